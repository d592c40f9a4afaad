//! What each customer has and was told, held against how its story ends.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use postern_fake_stripe::stories::{Outcome, Story};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::shop::{LOOK_EVERY, PATIENCE, Shop};
use crate::drill::readback::{outbox_items, patiently};

/// Somebody of a story.
pub(super) struct Customer {
    pub(super) id: String,
    pub(super) story: Story,
}

/// What one customer has.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    credits: i64,
    coins: i64,
    products: Vec<(String, i64)>,
    transactions: usize,
    refunded: usize,
    receipts: usize,
    failures: usize,
    paid_back: i64,
}

impl Seen {
    fn wanted(outcome: Outcome) -> Self {
        Self {
            credits: outcome.credits,
            coins: outcome.coins,
            products: outcome.products.iter().map(|(id, quantity)| ((*id).to_owned(), *quantity)).collect(),
            transactions: outcome.transactions,
            refunded: outcome.refunded,
            receipts: outcome.receipts,
            failures: outcome.failures,
            paid_back: outcome.paid_back,
        }
    }
}

/// Waits until everybody has what its story says; answers who has not.
pub(super) async fn settle(shop: &Shop, account: &str, customers: &[Customer]) -> Result<Vec<String>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let wrong = look(shop, account, customers).await?;
        if wrong.is_empty() || Instant::now() > deadline {
            return Ok(wrong);
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Who has something else than its story says.
pub(super) async fn look(shop: &Shop, account: &str, customers: &[Customer]) -> Result<Vec<String>> {
    let mails = mails(shop).await?;
    let paid_back = paid_back(shop, account);
    let mut wrong = Vec::new();
    for customer in customers {
        let id = &customer.id;
        let get = async |path: String, is_admin: bool| {
            let client = if is_admin { shop.client.admin() } else { shop.client.server() };
            patiently(async || client.get(&path).await?.json()).await
        };
        let quantity = async |item: &str| -> Result<i64> {
            let item = get(format!("/payments/items/user/{id}/{item}"), false).await?;
            item.get("quantity").and_then(Value::as_i64).context("no quantity")
        };
        let products = get(format!("/payments/products/user/{id}?limit=100"), false).await?;
        let path = format!("/internal/payments/transactions?customer_type=user&customer_id={id}");
        let transactions = get(path, true).await?;
        let transactions = list(&transactions, "transactions");
        let is_refunded = |transaction: &&Value| !list(transaction, "adjusted_by").is_empty();
        let (receipts, failures) = mails.get(id).copied().unwrap_or_default();
        let seen = Seen {
            credits: quantity("credits").await?,
            coins: quantity("coins").await?,
            products: list(&products, "items").iter().map(owned).collect(),
            transactions: transactions.len(),
            refunded: transactions.iter().filter(is_refunded).count(),
            receipts,
            failures,
            paid_back: paid_back.get(id).copied().unwrap_or_default(),
        };
        let wanted = Seen::wanted(customer.story.outcome());
        if seen != wanted {
            wrong.push(format!("{} ({id}): {seen:?} instead of {wanted:?}", customer.story.name()));
        }
    }
    Ok(wrong)
}

fn owned(item: &Value) -> (String, i64) {
    let id = item.get("id").and_then(Value::as_str).unwrap_or("-").to_owned();
    (id, item.get("quantity").and_then(Value::as_i64).unwrap_or_default())
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Receipts and other mails of the outbox, by user.
async fn mails(shop: &Shop) -> Result<BTreeMap<String, (usize, usize)>> {
    let mut mails: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for item in outbox_items(&shop.client, "").await? {
        let text = |place: &str| item.pointer(place).and_then(Value::as_str).unwrap_or_default();
        let (receipts, others) = mails.entry(text("/to/user_id").to_owned()).or_default();
        *if text("/subject").contains("receipt") { receipts } else { others } += 1;
    }
    Ok(mails)
}

/// What was paid back at Stripe, by customer, in cents.
fn paid_back(shop: &Shop, account: &str) -> BTreeMap<String, i64> {
    let stripe_customers = shop.stripe.objects(account, "customer").into_iter().filter_map(|customer| {
        let id = customer.pointer("/metadata/customerId")?.as_str()?.to_owned();
        Some((customer.get("id")?.as_str()?.to_owned(), id))
    });
    let stripe_customers: BTreeMap<_, _> = stripe_customers.collect();
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    for refund in shop.stripe.refunds(account) {
        let intent = refund.get("payment_intent").and_then(Value::as_str).unwrap_or_default();
        let intent = shop.stripe.object(account, intent).unwrap_or_default();
        let customer = intent.get("customer").and_then(Value::as_str).unwrap_or_default();
        let id = stripe_customers.get(customer).cloned().unwrap_or_default();
        *sums.entry(id).or_default() += refund.get("amount").and_then(Value::as_i64).unwrap_or_default();
    }
    sums
}
