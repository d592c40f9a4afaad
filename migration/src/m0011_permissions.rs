//! Permissions granted to members of teams and to users of the project.

use sea_orm_migration::prelude::*;

use crate::columns::{cascade, drop_tables, index, table, text, time, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Whoever leaves a team loses what was granted there.
        let mut with_membership = ForeignKey::create()
            .from("team_permission", ("team_id", "user_id"))
            .to("team_membership", ("team_id", "user_id"))
            .on_delete(ForeignKeyAction::Cascade)
            .to_owned();
        manager
            .create_table(
                table("team_permission")
                    .col(uuid("team_id"))
                    .col(uuid("user_id"))
                    .col(text("permission_id"))
                    .col(text("project_id"))
                    .col(time("created_at"))
                    .primary_key(Index::create().col("team_id").col("user_id").col("permission_id"))
                    .foreign_key(&mut with_membership)
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(index("team_permission_by_user", "team_permission", &["user_id", "team_id"], false))
            .await?;
        manager
            .create_index(index("team_permission_by_id", "team_permission", &["project_id", "permission_id"], false))
            .await?;
        manager
            .create_table(
                table("project_permission")
                    .col(uuid("user_id"))
                    .col(text("permission_id"))
                    .col(text("project_id"))
                    .col(time("created_at"))
                    .primary_key(Index::create().col("user_id").col("permission_id"))
                    .foreign_key(&mut cascade("project_permission", "user_id", "user"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(index(
                "project_permission_by_id",
                "project_permission",
                &["project_id", "permission_id"],
                false,
            ))
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["project_permission", "team_permission"]).await
    }
}
