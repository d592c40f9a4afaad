//! Items of customers: what they have, what is open of it, what grants again and again, and the ledger.

use sea_orm_migration::prelude::*;

use crate::columns::{
    big, big_null, cascade, drop_tables, flag, index, table, text, text_null, time, time_null, uuid, uuid_null,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// By whom and what a balance is found.
const KEY: [&str; 4] = ["project_id", "customer_type", "customer_id", "item_id"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let balance = table("item_balance")
            .col(uuid("id").primary_key())
            .col(text("project_id"))
            .col(text("customer_type"))
            .col(text("customer_id"))
            .col(uuid_null("user_id"))
            .col(uuid_null("team_id"))
            .col(text("item_id"))
            .col(big("debt"))
            .col(time("folded_at"))
            .col(big("next_place"))
            .col(big("open_grants"))
            .col(big("open_sources"))
            .col(time_null("due_at"))
            .check(Expr::cust("debt <= 0"))
            // A user or a team is also referred to, so that the row goes with it.
            .check(Expr::cust(
                "(customer_type = 'user') = (user_id IS NOT NULL) AND (customer_type = 'team') = (team_id IS NOT NULL)",
            ))
            .foreign_key(&mut cascade("item_balance", "user_id", "user"))
            .foreign_key(&mut cascade("item_balance", "team_id", "team"))
            .to_owned();
        manager.create_table(balance).await?;
        manager.create_index(index("item_balance_of_customer", "item_balance", &KEY, true)).await?;
        manager.create_index(index("item_balance_by_user", "item_balance", &["user_id"], false)).await?;
        manager.create_index(index("item_balance_by_team", "item_balance", &["team_id"], false)).await?;
        // For the worker, which takes what is due longest.
        manager.create_index(index("item_balance_due", "item_balance", &["due_at"], false)).await?;
        let grant = table("item_grant")
            .col(uuid("balance_id"))
            .col(big("place"))
            .col(text("project_id"))
            .col(flag("of_source"))
            .col(big("remaining"))
            .col(time_null("ends_at"))
            .col(flag("ends_with_purchase"))
            .col(time("granted_at"))
            .col(big("parts"))
            .col(big("part_quantity"))
            .col(big("part_interval"))
            .primary_key(Index::create().col("balance_id").col("place"))
            .check(Expr::cust("remaining > 0"))
            .foreign_key(&mut cascade("item_grant", "balance_id", "item_balance"))
            .to_owned();
        manager.create_table(grant).await?;
        let source = table("item_source")
            .col(uuid("balance_id"))
            .col(big("place"))
            .col(text("project_id"))
            .col(text("source_key"))
            .col(big("quantity"))
            .col(time("starts_at"))
            .col(big_null("interval"))
            .col(text("expires"))
            .col(time_null("ends_at"))
            .col(big("granted"))
            .col(time_null("next_at"))
            .primary_key(Index::create().col("balance_id").col("place"))
            .foreign_key(&mut cascade("item_source", "balance_id", "item_balance"))
            .to_owned();
        manager.create_table(source).await?;
        // A purchase grants each of its items once, however often it is told of.
        let key = ["balance_id", "source_key"];
        manager.create_index(index("item_source_key", "item_source", &key, true)).await?;
        manager.create_index(index("item_source_next", "item_source", &["balance_id", "next_at"], false)).await?;
        let change = table("item_change")
            .col(uuid("id").primary_key())
            .col(uuid("balance_id"))
            .col(text("project_id"))
            .col(text("kind"))
            .col(big("delta"))
            .col(time_null("expires_at"))
            .col(text_null("description"))
            .col(text_null("source_key"))
            .col(text("made_by"))
            .col(time("created_at"))
            .foreign_key(&mut cascade("item_change", "balance_id", "item_balance"))
            .to_owned();
        manager.create_table(change).await?;
        let of_balance = ["balance_id", "created_at"];
        manager.create_index(index("item_change_of_balance", "item_change", &of_balance, false)).await?;
        let of_project = ["project_id", "created_at", "id"];
        manager.create_index(index("item_change_of_project", "item_change", &of_project, false)).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["item_change", "item_source", "item_grant", "item_balance"]).await
    }
}
