//! Visits to sites that people sign in with; to which client of ours a consent was given, and who renews it.

use sea_orm_migration::prelude::*;

use crate::columns::{bytes, bytes_null, cascade, drop_tables, index, table, text, text_null, time, time_null, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let visit = table("oauth_visit")
            .col(uuid("id").primary_key())
            .col(text("project_id"))
            .col(bytes("state_hash"))
            .col(bytes_null("code_hash"))
            .col(bytes_null("memory"))
            .col(time("created_at"))
            .col(time_null("returned_at"))
            .col(time_null("used_at"))
            .col(time("kept_until"))
            .foreign_key(&mut cascade("oauth_visit", "project_id", "project"))
            .to_owned();
        manager.create_table(visit).await?;
        // Whoever comes back tells nothing but the state.
        manager.create_index(index("oauth_visit_by_state", "oauth_visit", &["state_hash"], true)).await?;
        manager.create_index(index("oauth_visit_by_code", "oauth_visit", &["project_id", "code_hash"], true)).await?;
        manager.create_index(index("oauth_visit_expiry", "oauth_visit", &["kept_until"], false)).await?;
        for column in [text_null("client"), time_null("renewing_until")] {
            let table = Table::alter().table("linked_account_token").add_column(column).to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["renewing_until", "client"] {
            let table = Table::alter().table("linked_account_token").drop_column(column).to_owned();
            manager.alter_table(table).await?;
        }
        drop_tables(manager, &["oauth_visit"]).await
    }
}
