//! Projects, their config overrides and their key sets.

use sea_orm_migration::prelude::*;

use crate::columns::{
    bytes_null, cascade, drop_tables, flag, index, json, json_null, table, text, text_null, time, time_null, uuid,
    uuid_null,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                table("project")
                    .col(text("id").primary_key())
                    .col(text("display_name"))
                    .col(text("description"))
                    .col(text_null("logo_url"))
                    .col(text_null("logo_full_url"))
                    .col(text_null("logo_dark_mode_url"))
                    .col(text_null("logo_full_dark_mode_url"))
                    .col(flag("is_production_mode"))
                    .col(flag("is_development_environment"))
                    .col(uuid_null("owner_team_id"))
                    .col(text("onboarding_status"))
                    .col(json_null("onboarding_state"))
                    .col(time("created_at"))
                    .col(time("updated_at"))
                    .col(time_null("deleted_at"))
                    .to_owned(),
            )
            .await?;
        manager.create_index(index("project_by_owner", "project", &["owner_team_id"], false)).await?;
        manager
            .create_table(
                table("config_override")
                    .col(text("project_id"))
                    .col(text("level"))
                    .col(json("value"))
                    .col(json_null("source"))
                    .col(time("updated_at"))
                    .primary_key(Index::create().col("project_id").col("level"))
                    .foreign_key(&mut cascade("config_override", "project_id", "project"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                table("key_set")
                    .col(uuid("id").primary_key())
                    .col(text("project_id"))
                    .col(text("description"))
                    .col(time("created_at"))
                    .col(time("expires_at"))
                    .col(time_null("revoked_at"))
                    .col(bytes_null("publishable_client_key_hash"))
                    .col(text_null("publishable_client_key_last_four"))
                    .col(bytes_null("secret_server_key_hash"))
                    .col(text_null("secret_server_key_last_four"))
                    .col(bytes_null("super_secret_admin_key_hash"))
                    .col(text_null("super_secret_admin_key_last_four"))
                    .foreign_key(&mut cascade("key_set", "project_id", "project"))
                    .to_owned(),
            )
            .await?;
        manager.create_index(index("key_set_by_project", "key_set", &["project_id", "created_at"], false)).await?;
        manager.create_index(index("key_set_by_client_key", "key_set", &["publishable_client_key_hash"], true)).await?;
        manager.create_index(index("key_set_by_server_key", "key_set", &["secret_server_key_hash"], true)).await?;
        manager.create_index(index("key_set_by_admin_key", "key_set", &["super_secret_admin_key_hash"], true)).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["key_set", "config_override", "project"]).await
    }
}
