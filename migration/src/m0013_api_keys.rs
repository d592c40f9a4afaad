//! API keys of users and teams.

use sea_orm_migration::prelude::*;

use crate::columns::{bytes, cascade, drop_tables, flag, index, table, text, time, time_null, uuid, uuid_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                table("api_key")
                    .col(uuid("id").primary_key())
                    .col(text("project_id"))
                    .col(uuid_null("user_id"))
                    .col(uuid_null("team_id"))
                    .col(text("description"))
                    .col(flag("is_public"))
                    .col(bytes("key_hash"))
                    .col(text("last_four"))
                    .col(time("created_at"))
                    .col(time_null("expires_at"))
                    .col(time_null("revoked_at"))
                    // A key belongs to one user or to one team.
                    .check(Expr::cust("(user_id IS NULL) <> (team_id IS NULL)"))
                    .foreign_key(&mut cascade("api_key", "user_id", "user"))
                    .foreign_key(&mut cascade("api_key", "team_id", "team"))
                    .to_owned(),
            )
            .await?;
        manager.create_index(index("api_key_by_user", "api_key", &["user_id", "created_at"], false)).await?;
        manager.create_index(index("api_key_by_team", "api_key", &["team_id", "created_at"], false)).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["api_key"]).await
    }
}
