//! What the outbox needs to be edited, to be filled with mails to many, and to hear what became of them; drafts.

use sea_orm_migration::prelude::*;

use crate::columns::{
    cascade, count, drop_tables, flag, index, json, json_null, table, text, text_null, time, time_null, uuid, uuid_null,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const BY_PROVIDER: &str = "email_by_provider";
/// Indexes of the few rows that are not done, or are to be told of. Whoever wants one must ask with its condition, word by
/// word.
const PARTIAL: &[(&str, &[&str], &str)] = &[
    // Those that wait for their turn, in the order in which they get it.
    (
        "email_waiting",
        &["project_id", "sending_priority", "scheduled_at", "created_at", "id"],
        "is_queued AND started_sending_at IS NULL AND NOT is_paused",
    ),
    ("email_on_its_way", &["project_id"], "started_sending_at IS NOT NULL AND finished_sending_at IS NULL"),
    ("email_unrendered", &["project_id"], "started_rendering_at IS NULL AND skipped_reason IS NULL AND NOT is_paused"),
    (
        "email_unfinished",
        &["updated_at"],
        "finished_sending_at IS NULL AND skipped_reason IS NULL AND render_error IS NULL AND NOT is_paused",
    ),
    (
        "email_failed",
        &["updated_at", "project_id"],
        "render_error IS NOT NULL OR send_error IS NOT NULL OR bounced_at IS NOT NULL",
    ),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite adds one column a statement.
        let columns = [
            count("revision"),
            count("sending_priority"),
            text_null("provider_message_id"),
            json_null("refused_recipients"),
        ];
        for column in columns {
            manager.alter_table(Table::alter().table("email").add_column(column).to_owned()).await?;
        }
        for column in [time_null("boost_expires_at"), time_null("failing_since")] {
            manager.alter_table(Table::alter().table("email_quota").add_column(column).to_owned()).await?;
        }
        manager
            .create_index(
                index(BY_PROVIDER, "email", &["provider_message_id"], false)
                    .and_where(Expr::col("provider_message_id").is_not_null())
                    .to_owned(),
            )
            .await?;
        for (name, columns, condition) in PARTIAL {
            let mut index = index(name, "email", columns, false);
            manager.create_index(index.and_where(Expr::cust(*condition)).to_owned()).await?;
        }
        manager
            .create_table(
                table("email_draft")
                    .col(uuid("id").primary_key())
                    .col(text("project_id"))
                    .col(text("display_name"))
                    .col(text("template_source"))
                    .col(text_null("theme_id"))
                    .col(flag("uses_selected_theme"))
                    .col(time("created_at"))
                    .col(time("updated_at"))
                    .col(time_null("sent_at"))
                    .foreign_key(&mut cascade("email_draft", "project_id", "project"))
                    .to_owned(),
            )
            .await?;
        manager.create_index(index("email_draft_by_age", "email_draft", &["project_id", "updated_at"], false)).await?;
        manager
            .create_table(
                table("email_batch")
                    .col(uuid("id").primary_key())
                    .col(text("project_id"))
                    .col(json("content"))
                    .col(json_null("user_ids"))
                    .col(count("done"))
                    .col(time_null("after_signed_up_at"))
                    .col(uuid_null("after_user_id"))
                    .col(time("created_at"))
                    .foreign_key(&mut cascade("email_batch", "project_id", "project"))
                    .to_owned(),
            )
            .await?;
        manager.create_index(index("email_batch_by_project", "email_batch", &["project_id"], false)).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["email_batch", "email_draft"]).await?;
        let partial = PARTIAL.iter().map(|(name, ..)| *name);
        for name in partial.chain([BY_PROVIDER]) {
            manager.drop_index(Index::drop().name(name).table("email").to_owned()).await?;
        }
        for column in ["failing_since", "boost_expires_at"] {
            manager.alter_table(Table::alter().table("email_quota").drop_column(column).to_owned()).await?;
        }
        for column in ["refused_recipients", "provider_message_id", "sending_priority", "revision"] {
            manager.alter_table(Table::alter().table("email").drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
