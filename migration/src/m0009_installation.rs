//! Secrets of the installation itself.

use sea_orm_migration::prelude::*;

use crate::columns::{bytes, drop_tables, table, text};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(table("installation_secret").col(text("name").primary_key()).col(bytes("value")).to_owned())
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["installation_secret"]).await
    }
}
