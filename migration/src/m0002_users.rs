//! Users, contact channels, teams and memberships.

use sea_orm_migration::prelude::*;

use crate::columns::{
    bytes_null, cascade, count, drop_tables, flag, index, json_null, table, text, text_null, time, uuid,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                table("user")
                    .col(uuid("id").primary_key())
                    .col(text("project_id"))
                    .col(text_null("display_name"))
                    .col(text_null("display_name_folded"))
                    .col(text_null("profile_image_url"))
                    .col(json_null("client_metadata"))
                    .col(json_null("client_read_only_metadata"))
                    .col(json_null("server_metadata"))
                    .col(time("signed_up_at"))
                    .col(time("last_active_at"))
                    .col(text_null("password_hash"))
                    .col(flag("otp_auth_enabled"))
                    .col(flag("requires_totp_mfa"))
                    .col(bytes_null("totp_secret"))
                    .col(flag("is_anonymous"))
                    .col(flag("restricted_by_admin"))
                    .col(text_null("restricted_by_admin_reason"))
                    .col(text_null("restricted_by_admin_private_details"))
                    .col(text_null("country_code"))
                    .col(count("risk_bot"))
                    .col(count("risk_free_trial_abuse"))
                    .col(time("created_at"))
                    .col(time("updated_at"))
                    .foreign_key(&mut cascade("user", "project_id", "project"))
                    .to_owned(),
            )
            .await?;
        manager.create_index(index("user_by_sign_up", "user", &["project_id", "signed_up_at", "id"], false)).await?;
        manager.create_index(index("user_by_activity", "user", &["project_id", "last_active_at", "id"], false)).await?;
        manager
            .create_table(
                table("contact_channel")
                    .col(uuid("id").primary_key())
                    .col(text("project_id"))
                    .col(uuid("user_id"))
                    .col(text("kind"))
                    .col(text("value"))
                    .col(flag("is_primary"))
                    .col(flag("is_verified"))
                    .col(flag("used_for_auth"))
                    .col(time("created_at"))
                    .foreign_key(&mut cascade("contact_channel", "user_id", "user"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(index("contact_channel_value", "contact_channel", &["user_id", "kind", "value"], true))
            .await?;
        manager
            .create_index(index("contact_channel_by_value", "contact_channel", &["project_id", "kind", "value"], false))
            .await?;
        manager
            .create_index(index("contact_channel_by_age", "contact_channel", &["project_id", "created_at"], false))
            .await?;
        // Partial unique indexes: the races that two requests can run are settled here, not by checking first.
        manager
            .create_index(
                index("contact_channel_auth", "contact_channel", &["project_id", "kind", "value"], true)
                    .and_where(Expr::col("used_for_auth").eq(true))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                index("contact_channel_primary", "contact_channel", &["user_id", "kind"], true)
                    .and_where(Expr::col("is_primary").eq(true))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                table("team")
                    .col(uuid("id").primary_key())
                    .col(text("project_id"))
                    .col(text("display_name"))
                    .col(text_null("profile_image_url"))
                    .col(json_null("client_metadata"))
                    .col(json_null("client_read_only_metadata"))
                    .col(json_null("server_metadata"))
                    .col(time("created_at"))
                    .col(time("updated_at"))
                    .foreign_key(&mut cascade("team", "project_id", "project"))
                    .to_owned(),
            )
            .await?;
        manager.create_index(index("team_by_age", "team", &["project_id", "created_at", "id"], false)).await?;
        manager
            .create_table(
                table("team_membership")
                    .col(uuid("team_id"))
                    .col(uuid("user_id"))
                    .col(text("project_id"))
                    .col(flag("is_selected"))
                    .col(text_null("display_name"))
                    .col(text_null("profile_image_url"))
                    .col(time("created_at"))
                    .primary_key(Index::create().col("team_id").col("user_id"))
                    .foreign_key(&mut cascade("team_membership", "team_id", "team"))
                    .foreign_key(&mut cascade("team_membership", "user_id", "user"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(index("team_membership_by_user", "team_membership", &["user_id", "created_at"], false))
            .await?;
        manager
            .create_index(
                index("team_membership_selected", "team_membership", &["user_id"], true)
                    .and_where(Expr::col("is_selected").eq(true))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["team_membership", "team", "contact_channel", "user"]).await
    }
}
