//! SQLite: a search asks the index of trigrams for texts of its own project only. On PostgreSQL the project stands in the
//! index already.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{ConnectionTrait, DbBackend},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// The beginning of the project's id is one trigram, which few other projects share; whoever searches sorts those out.
const UP: &str = r#"
    DROP TRIGGER user_search_added;
    DROP TRIGGER user_search_removed;
    DROP TABLE user_search_text;
    ALTER TABLE user_search ADD COLUMN scope text GENERATED ALWAYS AS (substr(project_id, 1, 3)) VIRTUAL;
    CREATE VIRTUAL TABLE user_search_text
        USING fts5(text, scope, content = 'user_search', content_rowid = 'id', tokenize = 'trigram case_sensitive 1');
    INSERT INTO user_search_text (user_search_text) VALUES ('rebuild');
    CREATE TRIGGER user_search_added AFTER INSERT ON user_search BEGIN
        INSERT INTO user_search_text (rowid, text, scope) VALUES (new.id, new.text, new.scope);
    END;
    CREATE TRIGGER user_search_removed AFTER DELETE ON user_search BEGIN
        INSERT INTO user_search_text (user_search_text, rowid, text, scope) VALUES ('delete', old.id, old.text, old.scope);
    END;
"#;

const DOWN: &str = r#"
    DROP TRIGGER user_search_added;
    DROP TRIGGER user_search_removed;
    DROP TABLE user_search_text;
    ALTER TABLE user_search DROP COLUMN scope;
    CREATE VIRTUAL TABLE user_search_text
        USING fts5(text, content = 'user_search', content_rowid = 'id', tokenize = 'trigram case_sensitive 1');
    INSERT INTO user_search_text (user_search_text) VALUES ('rebuild');
    CREATE TRIGGER user_search_added AFTER INSERT ON user_search BEGIN
        INSERT INTO user_search_text (rowid, text) VALUES (new.id, new.text);
    END;
    CREATE TRIGGER user_search_removed AFTER DELETE ON user_search BEGIN
        INSERT INTO user_search_text (user_search_text, rowid, text) VALUES ('delete', old.id, old.text);
    END;
"#;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        on_sqlite(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        on_sqlite(manager, DOWN).await
    }
}

async fn on_sqlite(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    if manager.get_database_backend() == DbBackend::Sqlite {
        manager.get_connection().execute_unprepared(sql).await?;
    }
    Ok(())
}
