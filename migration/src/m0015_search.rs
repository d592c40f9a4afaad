//! Searching users by any part of their names and addresses.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{ConnectionTrait, DbBackend},
};

use crate::columns::{cascade, drop_tables, index, table, text, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Both extensions come with PostgreSQL, and the owner of a database may create them. The project stands in the index, so
/// that a search does not look at what other projects have.
const POSTGRES: &str = r#"
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE EXTENSION IF NOT EXISTS btree_gin;
    CREATE INDEX user_by_name_part ON "user" USING gin (project_id, display_name_folded gin_trgm_ops);
    CREATE INDEX contact_channel_by_part ON contact_channel USING gin (project_id, value gin_trgm_ops);
"#;

/// FTS5 wants a whole number for each text, which stays the same: so the texts have a table of their own. Triggers fill it,
/// whoever writes names and addresses.
const SQLITE: &str = r#"
    CREATE VIRTUAL TABLE user_search_text
        USING fts5(text, content = 'user_search', content_rowid = 'id', tokenize = 'trigram case_sensitive 1');
    CREATE TRIGGER user_search_added AFTER INSERT ON user_search BEGIN
        INSERT INTO user_search_text (rowid, text) VALUES (new.id, new.text);
    END;
    CREATE TRIGGER user_search_removed AFTER DELETE ON user_search BEGIN
        INSERT INTO user_search_text (user_search_text, rowid, text) VALUES ('delete', old.id, old.text);
    END;
    CREATE TRIGGER user_search_name_added AFTER INSERT ON "user" WHEN new.display_name_folded IS NOT NULL BEGIN
        INSERT INTO user_search (source, user_id, project_id, text)
            VALUES (new.id, new.id, new.project_id, new.display_name_folded);
    END;
    CREATE TRIGGER user_search_name_changed AFTER UPDATE OF display_name_folded ON "user"
        WHEN old.display_name_folded IS NOT new.display_name_folded BEGIN
        DELETE FROM user_search WHERE source = new.id;
        INSERT INTO user_search (source, user_id, project_id, text)
            SELECT new.id, new.id, new.project_id, new.display_name_folded WHERE new.display_name_folded IS NOT NULL;
    END;
    CREATE TRIGGER user_search_address_added AFTER INSERT ON contact_channel BEGIN
        INSERT INTO user_search (source, user_id, project_id, text)
            VALUES (new.id, new.user_id, new.project_id, new.value);
    END;
    CREATE TRIGGER user_search_address_changed AFTER UPDATE OF value ON contact_channel
        WHEN old.value <> new.value BEGIN
        DELETE FROM user_search WHERE source = new.id;
        INSERT INTO user_search (source, user_id, project_id, text)
            VALUES (new.id, new.user_id, new.project_id, new.value);
    END;
    CREATE TRIGGER user_search_address_removed AFTER DELETE ON contact_channel BEGIN
        DELETE FROM user_search WHERE source = old.id;
    END;
    INSERT INTO user_search (source, user_id, project_id, text)
        SELECT id, id, project_id, display_name_folded FROM "user" WHERE display_name_folded IS NOT NULL;
    INSERT INTO user_search (source, user_id, project_id, text)
        SELECT id, user_id, project_id, value FROM contact_channel;
"#;

const TRIGGERS_ELSEWHERE: &str = r#"
    DROP TRIGGER user_search_name_added;
    DROP TRIGGER user_search_name_changed;
    DROP TRIGGER user_search_address_added;
    DROP TRIGGER user_search_address_changed;
    DROP TRIGGER user_search_address_removed;
    DROP TABLE user_search_text;
"#;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        if manager.get_database_backend() != DbBackend::Sqlite {
            connection.execute_unprepared(POSTGRES).await?;
            return Ok(());
        }
        manager
            .create_table(
                table("user_search")
                    .col(ColumnDef::new("id").integer().not_null().primary_key())
                    // The row that has the text: a user or a contact channel.
                    .col(uuid("source"))
                    .col(uuid("user_id"))
                    .col(text("project_id"))
                    .col(text("text"))
                    .foreign_key(&mut cascade("user_search", "user_id", "user"))
                    .to_owned(),
            )
            .await?;
        manager.create_index(index("user_search_source", "user_search", &["source"], true)).await?;
        manager.create_index(index("user_search_user", "user_search", &["user_id"], false)).await?;
        manager.create_index(index("user_search_prefix", "user_search", &["project_id", "text"], false)).await?;
        connection.execute_unprepared(SQLITE).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() != DbBackend::Sqlite {
            let drop = "DROP INDEX user_by_name_part; DROP INDEX contact_channel_by_part";
            manager.get_connection().execute_unprepared(drop).await?;
            return Ok(());
        }
        manager.get_connection().execute_unprepared(TRIGGERS_ELSEWHERE).await?;
        drop_tables(manager, &["user_search"]).await
    }
}
