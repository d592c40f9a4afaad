//! Uploaded pictures.

use sea_orm_migration::prelude::*;

use crate::columns::{bytes, cascade, drop_tables, index, table, text, text_null, time, uuid, uuid_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Whoever leaves a team takes the picture along that it had there.
        let mut with_membership = ForeignKey::create()
            .from("image", ("team_id", "user_id"))
            .to("team_membership", ("team_id", "user_id"))
            .on_delete(ForeignKeyAction::Cascade)
            .to_owned();
        manager
            .create_table(
                table("image")
                    .col(uuid("id").primary_key())
                    .col(text("project_id"))
                    .col(uuid_null("user_id"))
                    .col(uuid_null("team_id"))
                    .col(text_null("slot"))
                    .col(text("content_type"))
                    .col(bytes("content"))
                    .col(time("created_at"))
                    .foreign_key(&mut cascade("image", "user_id", "user"))
                    .foreign_key(&mut cascade("image", "team_id", "team"))
                    .foreign_key(&mut with_membership)
                    .to_owned(),
            )
            .await?;
        manager.create_index(index("image_by_user", "image", &["user_id"], false)).await?;
        manager.create_index(index("image_by_team", "image", &["team_id", "user_id"], false)).await?;
        manager.create_index(index("image_by_slot", "image", &["project_id", "slot"], false)).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["image"]).await
    }
}
