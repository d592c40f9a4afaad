//! Outgoing webhooks: endpoints with their secrets, messages, deliveries, attempts.

use sea_orm_migration::prelude::*;

use crate::columns::{
    big_null, bytes, bytes_null, cascade, count, drop_tables, flag, index, json_null, table, text, text_null, time,
    time_null, uuid, uuid_null,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        endpoints(manager).await?;
        messages(manager).await?;
        attempts(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = ["webhook_attempt", "webhook_delivery", "webhook_message", "webhook_secret", "webhook_endpoint"];
        drop_tables(manager, &tables).await
    }
}

async fn endpoints(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            table("webhook_endpoint")
                .col(uuid("id").primary_key())
                .col(text("project_id"))
                .col(text("url"))
                .col(text("description"))
                .col(json_null("filter_types"))
                .col(json_null("channels"))
                .col(bytes_null("headers"))
                .col(ColumnDef::new("rate_limit").integer().null())
                .col(flag("fifo"))
                .col(flag("disabled"))
                .col(time_null("failing_since"))
                .col(time("created_at"))
                .col(time("updated_at"))
                .col(time_null("deleted_at"))
                .foreign_key(&mut cascade("webhook_endpoint", "project_id", "project"))
                .to_owned(),
        )
        .await?;
    let by_project = ["project_id", "created_at", "id"];
    manager.create_index(index("webhook_endpoint_by_project", "webhook_endpoint", &by_project, false)).await?;
    manager
        .create_table(
            table("webhook_secret")
                .col(uuid("endpoint_id"))
                .col(ColumnDef::new("generation").integer().not_null())
                .col(text("project_id"))
                .col(bytes("sealed"))
                .col(time("created_at"))
                .col(time_null("expires_at"))
                .primary_key(Index::create().col("endpoint_id").col("generation"))
                .foreign_key(&mut cascade("webhook_secret", "endpoint_id", "webhook_endpoint"))
                .to_owned(),
        )
        .await
}

async fn messages(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            table("webhook_message")
                .col(uuid("id").primary_key())
                .col(text("project_id"))
                .col(big_null("event_position"))
                .col(text("event_type"))
                .col(json_null("channels"))
                .col(uuid_null("user_id"))
                .col(uuid_null("team_id"))
                .col(bytes_null("payload"))
                .col(time("created_at"))
                .foreign_key(&mut cascade("webhook_message", "project_id", "project"))
                .to_owned(),
        )
        .await?;
    manager.create_index(index("webhook_message_event", "webhook_message", &["event_position"], true)).await?;
    let by_project = ["project_id", "created_at", "id"];
    manager.create_index(index("webhook_message_by_project", "webhook_message", &by_project, false)).await?;
    // No foreign key to the endpoint: its row outlives its deliveries, and each new delivery would lock it on PostgreSQL.
    manager
        .create_table(
            table("webhook_delivery")
                .col(uuid("id").primary_key())
                .col(text("project_id"))
                .col(uuid("message_id"))
                .col(uuid("endpoint_id"))
                .col(text("state"))
                .col(count("attempts"))
                .col(time_null("next_attempt_at"))
                .col(time("created_at"))
                .foreign_key(&mut cascade("webhook_delivery", "message_id", "webhook_message"))
                .to_owned(),
        )
        .await?;
    let once = ["message_id", "endpoint_id"];
    manager.create_index(index("webhook_delivery_once", "webhook_delivery", &once, true)).await?;
    let by_endpoint = ["endpoint_id", "created_at", "id"];
    manager.create_index(index("webhook_delivery_by_endpoint", "webhook_delivery", &by_endpoint, false)).await
}

async fn attempts(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            table("webhook_attempt")
                .col(uuid("id").primary_key())
                .col(text("project_id"))
                .col(uuid("message_id"))
                .col(uuid("endpoint_id"))
                .col(text("url"))
                .col(text("trigger_type"))
                .col(flag("succeeded"))
                .col(count("response_status"))
                .col(bytes_null("response_body"))
                .col(text_null("error"))
                .col(count("duration_ms"))
                .col(time("attempted_at"))
                .col(time_null("next_attempt_at"))
                .foreign_key(&mut cascade("webhook_attempt", "message_id", "webhook_message"))
                .to_owned(),
        )
        .await?;
    let by_message = ["message_id", "attempted_at", "id"];
    manager.create_index(index("webhook_attempt_by_message", "webhook_attempt", &by_message, false)).await?;
    let by_endpoint = ["endpoint_id", "attempted_at", "id"];
    manager.create_index(index("webhook_attempt_by_endpoint", "webhook_attempt", &by_endpoint, false)).await
}
