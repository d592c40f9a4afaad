//! Sessions and one-time codes.

use sea_orm_migration::prelude::*;

use crate::columns::{
    bytes, cascade, count, drop_tables, flag, index, json, table, text, text_null, time, time_null, uuid, uuid_null,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                table("session")
                    .col(uuid("id").primary_key())
                    .col(text("project_id"))
                    .col(uuid("user_id"))
                    .col(bytes("token_hash"))
                    .col(time("created_at"))
                    .col(time("last_used_at"))
                    .col(time("expires_at"))
                    .col(flag("is_impersonation"))
                    .col(text_null("last_used_ip"))
                    .col(text_null("last_used_user_agent"))
                    .foreign_key(&mut cascade("session", "user_id", "user"))
                    .to_owned(),
            )
            .await?;
        manager.create_index(index("session_token", "session", &["token_hash"], true)).await?;
        manager.create_index(index("session_expiry", "session", &["expires_at"], false)).await?;
        manager.create_index(index("session_by_user", "session", &["user_id", "created_at"], false)).await?;
        manager
            .create_table(
                table("verification_code")
                    .col(uuid("id").primary_key())
                    .col(text("project_id"))
                    .col(text("kind"))
                    .col(bytes("code_hash"))
                    .col(bytes("tail_hash"))
                    .col(uuid_null("user_id"))
                    .col(json("data"))
                    .col(count("attempts"))
                    .col(time("created_at"))
                    .col(time("expires_at"))
                    .col(time_null("used_at"))
                    .foreign_key(&mut cascade("verification_code", "project_id", "project"))
                    .foreign_key(&mut cascade("verification_code", "user_id", "user"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(index("verification_code_hash", "verification_code", &["project_id", "code_hash"], true))
            .await?;
        manager
            .create_index(index("verification_code_tail", "verification_code", &["project_id", "tail_hash"], false))
            .await?;
        manager.create_index(index("verification_code_expiry", "verification_code", &["expires_at"], false)).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["verification_code", "session"]).await
    }
}
