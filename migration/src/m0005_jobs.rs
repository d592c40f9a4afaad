//! The job queue.

use sea_orm_migration::prelude::*;

use crate::columns::{big, cascade, count, drop_tables, index, json, table, text, text_null, time, time_null, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                table("job")
                    .col(uuid("id").primary_key())
                    .col(text_null("project_id"))
                    .col(text("lane"))
                    .col(text("kind"))
                    .col(text_null("key"))
                    .col(json("payload"))
                    .col(text("state"))
                    .col(count("priority"))
                    .col(time("due_at"))
                    .col(count("attempts"))
                    .col(count("max_attempts"))
                    .col(big("fence"))
                    .col(count("takeovers"))
                    .col(text_null("worker"))
                    .col(text_null("last_error"))
                    .col(time("created_at"))
                    .col(time_null("finished_at"))
                    .col(time_null("prune_at"))
                    .foreign_key(&mut cascade("job", "project_id", "project"))
                    .to_owned(),
            )
            .await?;
        manager.create_index(index("job_key", "job", &["kind", "key"], true)).await?;
        // Only open jobs are in it, so a million finished rows cost a claim nothing. `due_at` is the end of the lease while
        // a job runs, so jobs to start and jobs to take over are found by the same scan.
        manager
            .create_index(
                index("job_due", "job", &["lane", "priority", "due_at"], false)
                    .and_where(Expr::col("finished_at").is_null())
                    .to_owned(),
            )
            .await?;
        // Nearly always empty.
        manager
            .create_index(
                index("job_suspect", "job", &["lane", "due_at"], false)
                    .and_where(Expr::col("takeovers").gt(0).and(Expr::col("finished_at").is_null()))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                index("job_prunable", "job", &["prune_at"], false)
                    .and_where(Expr::col("prune_at").is_not_null())
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                index("job_dead", "job", &["finished_at", "id"], false)
                    .and_where(Expr::col("state").eq("dead"))
                    .to_owned(),
            )
            .await?;
        manager.create_index(index("job_by_project", "job", &["project_id"], false)).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["job"]).await
    }
}
