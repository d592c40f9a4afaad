//! The event log: events, the head that hands out positions, and the cursors of those who follow the log.

use sea_orm_migration::prelude::*;

use crate::columns::{big, big_null, cascade, drop_tables, index, json_null, table, text, time, uuid_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                table("event")
                    // Order of writing, which is not the order of commits: nobody may read by it. Never reused.
                    .col(ColumnDef::new("seq").big_integer().not_null().auto_increment().primary_key())
                    .col(big_null("position"))
                    .col(text("project_id"))
                    .col(text("kind"))
                    .col(uuid_null("user_id"))
                    .col(uuid_null("team_id"))
                    .col(json_null("payload"))
                    .col(time("created_at"))
                    .foreign_key(&mut cascade("event", "project_id", "project"))
                    .to_owned(),
            )
            .await?;
        manager.create_index(index("event_position", "event", &["position"], true)).await?;
        manager
            .create_index(
                index("event_waiting", "event", &["seq"], false).and_where(Expr::col("position").is_null()).to_owned(),
            )
            .await?;
        manager.create_index(index("event_by_project", "event", &["project_id", "position"], false)).await?;
        manager.create_index(index("event_by_user", "event", &["user_id", "position"], false)).await?;
        manager.create_index(index("event_by_team", "event", &["team_id", "position"], false)).await?;
        manager
            .create_table(
                table("event_head")
                    .col(ColumnDef::new("id").integer().not_null().primary_key())
                    .col(big("position"))
                    .col(big("pruned_position"))
                    .to_owned(),
            )
            .await?;
        // The one row there ever is; its lock is what makes positions gap-free.
        let mut head = Query::insert();
        head.into_table("event_head").columns(["id", "position", "pruned_position"]);
        head.values([Expr::value(1), Expr::value(0_i64), Expr::value(0_i64)])
            .map_err(|error| DbErr::Custom(error.to_string()))?;
        manager.execute(head).await?;
        manager
            .create_table(
                table("event_consumer")
                    .col(text("name").primary_key())
                    .col(big("position"))
                    .col(time("updated_at"))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["event_consumer", "event_head", "event"]).await
    }
}
