//! Kept outcomes of repeatable mutations.

use sea_orm_migration::prelude::*;

use crate::columns::{bytes, cascade, drop_tables, index, table, text, time};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                table("idempotency")
                    .col(text("project_id"))
                    .col(text("caller"))
                    .col(text("operation"))
                    .col(text("key"))
                    .col(bytes("request_hash"))
                    .col(bytes("outcome"))
                    .col(time("expires_at"))
                    .primary_key(Index::create().col("project_id").col("caller").col("operation").col("key"))
                    .foreign_key(&mut cascade("idempotency", "project_id", "project"))
                    .to_owned(),
            )
            .await?;
        manager.create_index(index("idempotency_expiry", "idempotency", &["expires_at"], false)).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["idempotency"]).await
    }
}
