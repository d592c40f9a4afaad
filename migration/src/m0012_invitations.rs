//! Invitations into teams, and which mails users want.

use sea_orm_migration::prelude::*;

use crate::columns::{cascade, drop_tables, flag, index, table, text, time, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                table("team_invitation")
                    .col(uuid("id").primary_key())
                    .col(text("project_id"))
                    .col(uuid("team_id"))
                    .col(uuid("code_id"))
                    .col(text("recipient_email"))
                    .col(time("created_at"))
                    .col(time("expires_at"))
                    .foreign_key(&mut cascade("team_invitation", "team_id", "team"))
                    .foreign_key(&mut cascade("team_invitation", "code_id", "verification_code"))
                    .to_owned(),
            )
            .await?;
        for (name, columns, is_unique) in [
            ("team_invitation_by_team", &["team_id", "created_at"][..], false),
            ("team_invitation_by_recipient", &["project_id", "recipient_email"], false),
            ("team_invitation_by_code", &["code_id"], true),
        ] {
            manager.create_index(index(name, "team_invitation", columns, is_unique)).await?;
        }
        // The link by which somebody unsubscribes carries nothing but a code.
        manager.drop_index(Index::drop().name("verification_code_hash").table("verification_code").to_owned()).await?;
        manager
            .create_index(index("verification_code_hash", "verification_code", &["code_hash", "project_id"], true))
            .await?;
        manager
            .create_table(
                table("notification_preference")
                    .col(uuid("user_id"))
                    .col(uuid("category_id"))
                    .col(text("project_id"))
                    .col(flag("is_enabled"))
                    .col(time("updated_at"))
                    .primary_key(Index::create().col("user_id").col("category_id"))
                    .foreign_key(&mut cascade("notification_preference", "user_id", "user"))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("verification_code_hash").table("verification_code").to_owned()).await?;
        manager
            .create_index(index("verification_code_hash", "verification_code", &["project_id", "code_hash"], true))
            .await?;
        drop_tables(manager, &["notification_preference", "team_invitation"]).await
    }
}
