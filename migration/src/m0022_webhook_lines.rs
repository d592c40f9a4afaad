//! Webhooks in lines: what waits for an endpoint is found by endpoint and time, not by a job of its own. Also shaped
//! payloads, endpoints of the config file, the breaker of an endpoint that is not there, and what pruning needs.

use sea_orm_migration::prelude::*;

use crate::columns::{big_null, bytes_null, count, flag, index, text_null, time_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Indexes of the few rows that are not done, or given up, or hold something to erase. Whoever wants one must ask with its
/// condition, word by word.
const PARTIAL: &[(&str, &str, &[&str], &str)] = &[
    (
        "webhook_delivery_due",
        "webhook_delivery",
        &["endpoint_id", "next_attempt_at", "id"],
        "state = 'sending' AND next_attempt_at IS NOT NULL",
    ),
    ("webhook_delivery_line", "webhook_delivery", &["endpoint_id", "line"], "state = 'sending' AND line IS NOT NULL"),
    ("webhook_delivery_failed", "webhook_delivery", &["project_id", "created_at", "id"], "state = 'failed'"),
    ("webhook_delivery_failed_to", "webhook_delivery", &["endpoint_id", "created_at", "id"], "state = 'failed'"),
    ("webhook_message_of_user", "webhook_message", &["user_id"], "user_id IS NOT NULL AND payload IS NOT NULL"),
];
/// One endpoint per name in the config file and project.
const BY_CONFIG_KEY: &str = "webhook_endpoint_by_config_key";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite adds one column a statement.
        let endpoint = [
            text_null("selection"),
            text_null("config_key"),
            count("misses"),
            count("pauses"),
            time_null("paused_until"),
        ];
        for column in endpoint {
            manager.alter_table(Table::alter().table("webhook_endpoint").add_column(column).to_owned()).await?;
        }
        for column in [bytes_null("payload"), big_null("line"), flag("once")] {
            manager.alter_table(Table::alter().table("webhook_delivery").add_column(column).to_owned()).await?;
        }
        let message = Table::alter().table("webhook_message").add_column(text_null("traceparent")).to_owned();
        manager.alter_table(message).await?;
        for (name, table, columns, condition) in PARTIAL {
            let mut index = index(name, table, columns, false);
            manager.create_index(index.and_where(Expr::cust(*condition)).to_owned()).await?;
        }
        manager
            .create_index(
                index(BY_CONFIG_KEY, "webhook_endpoint", &["project_id", "config_key"], true)
                    .and_where(Expr::cust("config_key IS NOT NULL AND deleted_at IS NULL"))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name(BY_CONFIG_KEY).table("webhook_endpoint").to_owned()).await?;
        for (name, table, ..) in PARTIAL {
            manager.drop_index(Index::drop().name(*name).table(*table).to_owned()).await?;
        }
        let message = Table::alter().table("webhook_message").drop_column("traceparent").to_owned();
        manager.alter_table(message).await?;
        for column in ["once", "line", "payload"] {
            manager.alter_table(Table::alter().table("webhook_delivery").drop_column(column).to_owned()).await?;
        }
        for column in ["paused_until", "pauses", "misses", "config_key", "selection"] {
            manager.alter_table(Table::alter().table("webhook_endpoint").drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
