//! Payments: what was sold and in which version, invoices, the accounts and customers at Stripe, its events, and what was
//! asked of it and has not come to its end.

use sea_orm_migration::prelude::*;

use crate::columns::{
    big, cascade, drop_tables, flag, index, json, json_null, table, text, text_null, time, time_null, uuid,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let account = table("stripe_account")
            .col(text("project_id").primary_key())
            .col(text("account_id"))
            .col(time("created_at"))
            .col(time_null("synced_at"))
            .foreign_key(&mut cascade("stripe_account", "project_id", "project"))
            .to_owned();
        manager.create_table(account).await?;
        manager.create_index(index("stripe_account_by_id", "stripe_account", &["account_id"], true)).await?;
        purchases(manager).await?;
        customers(manager).await?;
        let event = table("stripe_event")
            .col(text("id").primary_key())
            .col(text_null("project_id"))
            .col(text_null("account_id"))
            .col(text("kind"))
            .col(json("payload"))
            .col(text("state"))
            .col(text_null("error"))
            .col(time("received_at"))
            .col(time_null("done_at"))
            .to_owned();
        manager.create_table(event).await?;
        manager.create_index(index("stripe_event_of_project", "stripe_event", &["project_id"], false)).await?;
        manager.create_index(index("stripe_event_by_age", "stripe_event", &["received_at", "id"], false)).await?;
        // Few are open at a time; asked for with this condition, word by word.
        let mut open = index("stripe_event_open", "stripe_event", &["received_at", "id"], false);
        manager.create_index(open.and_where(Expr::cust("state IN ('waiting', 'failed')")).to_owned()).await?;
        let operation = table("stripe_operation")
            .col(uuid("id").primary_key())
            .col(text("project_id"))
            .col(uuid("purchase_id"))
            .col(json("request"))
            .col(json_null("result"))
            .col(text("state"))
            .col(text_null("error"))
            .col(time("created_at"))
            .col(time_null("ended_at"))
            .foreign_key(&mut cascade("stripe_operation", "purchase_id", "purchase"))
            .to_owned();
        manager.create_table(operation).await?;
        // One thing at a time is done to a purchase.
        let mut pending = index("stripe_operation_pending", "stripe_operation", &["purchase_id"], true);
        manager.create_index(pending.and_where(Expr::cust("state = 'pending'")).to_owned()).await?;
        manager.create_index(index("stripe_operation_of", "stripe_operation", &["purchase_id", "state"], false)).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = [
            "stripe_operation",
            "stripe_event",
            "stripe_customer",
            "purchase_invoice",
            "purchase",
            "product_version",
            "stripe_account",
        ];
        drop_tables(manager, &tables).await
    }
}

async fn purchases(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let version = table("product_version")
        .col(text("project_id"))
        .col(text("id"))
        .col(text_null("product_id"))
        .col(json("product"))
        .col(time("created_at"))
        .primary_key(Index::create().col("project_id").col("id"))
        .to_owned();
    manager.create_table(version).await?;
    let purchase = table("purchase")
        .col(uuid("id").primary_key())
        .col(text("project_id"))
        .col(text("kind"))
        .col(text("customer_type"))
        .col(text("customer_id"))
        .col(text_null("product_id"))
        .col(text("version_id"))
        .col(text_null("line_id"))
        .col(flag("is_add_on"))
        .col(text_null("price_id"))
        .col(big("quantity"))
        .col(text("sold_version_id"))
        .col(text_null("sold_price_id"))
        .col(big("sold_quantity"))
        .col(big("revoked_quantity"))
        .col(text("source"))
        .col(text("status"))
        .col(text_null("stripe_id"))
        .col(big("started"))
        .col(time_null("period_start"))
        .col(time_null("period_end"))
        .col(flag("cancel_at_period_end"))
        .col(time_null("canceled_at"))
        .col(time_null("ends_at"))
        .col(time_null("refunded_at"))
        .col(time("created_at"))
        .check(Expr::cust("quantity > 0 AND revoked_quantity >= 0 AND revoked_quantity <= quantity"))
        .to_owned();
    manager.create_table(purchase).await?;
    let customer = ["project_id", "customer_type", "customer_id", "product_id"];
    manager.create_index(index("purchase_of_customer", "purchase", &customer, false)).await?;
    manager.create_index(index("purchase_by_age", "purchase", &["project_id", "created_at", "id"], false)).await?;
    // What Stripe tells of twice is one purchase.
    manager.create_index(index("purchase_by_stripe_id", "purchase", &["project_id", "stripe_id"], true)).await?;
    let invoice = table("purchase_invoice")
        .col(text("project_id"))
        .col(text("id"))
        .col(uuid("purchase_id"))
        .col(flag("is_creation"))
        .col(text_null("status"))
        .col(big("total"))
        .col(big("amount_paid"))
        .col(text("currency"))
        .col(text_null("hosted_url"))
        .col(text_null("payment_intent_id"))
        .col(time("created_at"))
        .primary_key(Index::create().col("project_id").col("id"))
        .foreign_key(&mut cascade("purchase_invoice", "purchase_id", "purchase"))
        .to_owned();
    manager.create_table(invoice).await?;
    manager
        .create_index(index("purchase_invoice_of", "purchase_invoice", &["purchase_id", "created_at"], false))
        .await?;
    let by_age = ["project_id", "created_at", "id"];
    manager.create_index(index("purchase_invoice_by_age", "purchase_invoice", &by_age, false)).await
}

async fn customers(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let customer = table("stripe_customer")
        .col(uuid("id").primary_key())
        .col(text("project_id"))
        .col(text("customer_type"))
        .col(text("customer_id"))
        .col(flag("is_main"))
        .col(text_null("stripe_id"))
        .col(big("syncs_begun"))
        .col(big("sync_done"))
        .col(time("created_at"))
        .to_owned();
    manager.create_table(customer).await?;
    let customer = ["project_id", "customer_type", "customer_id"];
    // Of two requests that make one at the same time, one finds the other's.
    let mut main = index("stripe_customer_main", "stripe_customer", &customer, true);
    manager.create_index(main.and_where(Expr::col("is_main").eq(true)).to_owned()).await?;
    let by_id = ["project_id", "stripe_id"];
    manager.create_index(index("stripe_customer_by_id", "stripe_customer", &by_id, true)).await
}
