//! `/internal/payments/transactions`: what happened with money and items, and paying back (wire: payments §8).

use std::collections::BTreeMap;

use postern_domain::{
    Failure, PurchaseId, Result, Timestamp,
    items::Customer,
    payments::{
        self, PurchaseKind, RefundEnd, RefundEntry, RefundPurchase,
        money::Currency,
        product::Product,
        transactions::{
            self, MAX_PAGE, Transaction, TransactionEntry, TransactionFilter, TransactionKind, TransactionPlace,
        },
    },
};
use schemars::JsonSchema;
use serde::Serialize;

use super::customer::{CustomerTypes, kind};
use crate::{
    cursor,
    rest::{
        call::{ADMIN, Call},
        input::{Ignored, OneOf, Words, input},
        reply::{Answer, Reply},
        routes::{About, Routes},
    },
};

/// The page when its size is not told.
const DEFAULT_LIMIT: i64 = 50;

pub(super) fn routes() -> Routes {
    let about = |summary| About::new("Payments", summary, ADMIN);
    let all = "/internal/payments/transactions";
    Routes::new().get(all, list, about("Lists transactions, newest first").query::<ListQuery>()).post(
        &format!("{all}/refund"),
        refund,
        about("Pays back, and takes back what was sold").body::<RefundBody>(),
    )
}

/// The sorts of transactions.
#[derive(Debug)]
struct TransactionTypes;

impl Words for TransactionTypes {
    const WORDS: &'static [&'static str] = &[
        "purchase",
        "subscription-cancellation",
        "subscription-renewal",
        "chargeback",
        "manual-item-quantity-change",
        "refund",
        "product-change",
    ];
}

input! {
    /// A limit that is too small or too large is the nearest that is not.
    struct ListQuery {
        cursor: Option<String>,
        limit: Option<i64>,
        kind as "type": Option<OneOf<TransactionTypes>>,
        customer_type: Option<OneOf<CustomerTypes>>,
        customer_id: Option<String>,
    }
}

/// What can be paid back.
#[derive(Debug)]
struct RefundTypes;

impl Words for RefundTypes {
    const WORDS: &'static [&'static str] = &["subscription", "one-time-purchase"];
}

/// How a purchase ends that is paid back.
#[derive(Debug)]
struct EndActions;

impl Words for EndActions {
    const WORDS: &'static [&'static str] = &["now", "at-period-end"];
}

input! {
    /// Older clients name entries; newer ones an amount, and what becomes of the rest.
    struct RefundBody {
        kind as "type": OneOf<RefundTypes>,
        id: PurchaseId,
        refund_entries: Option<Vec<RefundEntryInput>>,
        amount_usd: Option<String>,
        invoice_id: Option<String>,
        end_action: Option<OneOf<EndActions>>,
    }
}

input! {
    struct RefundEntryInput { entry_index: i64, quantity: i64, amount_usd: String }
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Refund")]
struct RefundView {
    success: bool,
    /// For newer clients, which are told by how they ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_transaction_id: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TransactionList")]
struct ListView {
    transactions: Vec<TransactionView>,
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Transaction")]
struct TransactionView {
    id: String,
    created_at_millis: Timestamp,
    effective_at_millis: Timestamp,
    #[serde(rename = "type")]
    kind: &'static str,
    customer_type: &'static str,
    customer_id: String,
    entries: Vec<EntryView>,
    adjusted_by: Vec<Adjustment>,
    test_mode: bool,
}

/// What took a part of the transaction back.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TransactionAdjustment")]
struct Adjustment {
    transaction_id: String,
    entry_index: i64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schemars(rename = "TransactionEntry")]
enum EntryView {
    ProductGrant {
        #[serde(flatten)]
        base: Base,
        product_id: Option<String>,
        product: Box<Product>,
        price_id: Option<String>,
        quantity: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        subscription_id: Option<PurchaseId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        one_time_purchase_id: Option<PurchaseId>,
    },
    MoneyTransfer {
        #[serde(flatten)]
        base: Base,
        /// Amounts as text, by the code of the currency.
        charged_amount: BTreeMap<&'static str, String>,
        /// The same, of `USD` alone.
        net_amount: BTreeMap<&'static str, String>,
    },
    ItemQuantityChange {
        #[serde(flatten)]
        base: Base,
        item_id: String,
        quantity: i64,
    },
    ProductRevocation {
        adjusted_transaction_id: String,
        adjusted_entry_index: i64,
        quantity: i64,
    },
}

/// What every entry says.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "TransactionEntryBase")]
struct Base {
    /// Always null: no transaction that is listed adjusts another one.
    adjusted_transaction_id: Option<String>,
    /// Always null.
    adjusted_entry_index: Option<i64>,
    customer_type: &'static str,
    customer_id: String,
}

impl Base {
    fn of(customer: &Customer) -> Self {
        Self {
            adjusted_transaction_id: None,
            adjusted_entry_index: None,
            customer_type: customer.kind().as_str(),
            customer_id: customer.id().to_owned(),
        }
    }
}

impl EntryView {
    fn of(entry: TransactionEntry, base: Base) -> Self {
        match entry {
            TransactionEntry::Product { product_id, product, price_id, quantity, purchase: (kind, id) } => {
                Self::ProductGrant {
                    base,
                    product_id,
                    product,
                    price_id,
                    quantity,
                    subscription_id: (kind == PurchaseKind::Subscription).then_some(id),
                    one_time_purchase_id: (kind == PurchaseKind::OneTime).then_some(id),
                }
            }
            TransactionEntry::Money { charged, net_cents } => {
                let amount = |(currency, minor): (Currency, i64)| (currency.code(), currency.text(minor));
                Self::MoneyTransfer {
                    base,
                    charged_amount: charged.into_iter().map(amount).collect(),
                    net_amount: BTreeMap::from([amount((Currency::Usd, net_cents))]),
                }
            }
            TransactionEntry::Item { item_id, quantity } => Self::ItemQuantityChange { base, item_id, quantity },
            TransactionEntry::Revocation { transaction_id, quantity } => Self::ProductRevocation {
                adjusted_transaction_id: transaction_id,
                // The product of a purchase is its first entry.
                adjusted_entry_index: 0,
                quantity,
            },
        }
    }
}

impl From<Transaction> for TransactionView {
    fn from(transaction: Transaction) -> Self {
        let kind = match transaction.kind {
            TransactionKind::Purchase => "purchase",
            TransactionKind::Renewal => "subscription-renewal",
            TransactionKind::ItemChange => "manual-item-quantity-change",
            TransactionKind::Refund => "refund",
            TransactionKind::Other => "product-change",
        };
        let base = Base::of(&transaction.customer);
        let refund = transaction
            .is_refunded
            .then(|| Adjustment { transaction_id: transactions::refund_id(&transaction.id), entry_index: 0 });
        Self {
            id: transaction.id,
            created_at_millis: transaction.created_at,
            effective_at_millis: transaction.created_at,
            kind,
            customer_type: base.customer_type,
            customer_id: base.customer_id.clone(),
            entries: transaction.entries.into_iter().map(|entry| EntryView::of(entry, base.clone())).collect(),
            adjusted_by: refund.into_iter().collect(),
            test_mode: transaction.test_mode,
        }
    }
}

async fn list(mut call: Call) -> Answer<ListView> {
    let actor = call.actor(ADMIN)?;
    let (Ignored, query, Ignored) = call.read::<_, ListQuery, _>()?;
    let filter = TransactionFilter {
        kind: query.kind.as_ref().map(kind_of),
        customer_type: query.customer_type.as_ref().map(kind),
        customer_id: query.customer_id,
    };
    let after = query.cursor.as_deref().map(place).transpose()?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).max(1);
    let limit = u64::try_from(limit).unwrap_or(MAX_PAGE).min(MAX_PAGE);
    let page = transactions::transactions(&call.deps, &actor, &filter, after.as_ref(), limit).await?;
    let last = page.transactions.last().filter(|_| page.has_more);
    let next_cursor = last.map(|last| cursor::encode(&last.place())).transpose()?;
    Ok(Reply::ok(ListView {
        transactions: page.transactions.into_iter().map(TransactionView::from).collect(),
        next_cursor,
    }))
}

fn kind_of(word: &OneOf<TransactionTypes>) -> TransactionKind {
    match word.word {
        "purchase" => TransactionKind::Purchase,
        "subscription-renewal" => TransactionKind::Renewal,
        "manual-item-quantity-change" => TransactionKind::ItemChange,
        "refund" => TransactionKind::Refund,
        // Words of the contract of which there never is anything.
        _ => TransactionKind::Other,
    }
}

fn place(text: &str) -> Result<TransactionPlace> {
    cursor::decode(text).ok_or_else(|| Failure::bad_request("The cursor is not one of this list.").into())
}

async fn refund(mut call: Call) -> Answer<RefundView> {
    let actor = call.actor(ADMIN)?;
    let (Ignored, Ignored, body) = call.read::<_, _, RefundBody>()?;
    let entry = |entry: RefundEntryInput| RefundEntry {
        entry_index: entry.entry_index,
        quantity: entry.quantity,
        amount_usd: entry.amount_usd,
    };
    let kind = match body.kind.word {
        "subscription" => PurchaseKind::Subscription,
        _ => PurchaseKind::OneTime,
    };
    let is_newer = body.amount_usd.is_some();
    let entries = match (body.refund_entries, body.amount_usd) {
        (Some(entries), None) => entries.into_iter().map(entry).collect(),
        (None, Some(amount_usd)) => vec![RefundEntry { entry_index: 0, quantity: 0, amount_usd }],
        _ => return Err(Failure::schema("the body must have either refund_entries or amount_usd").into()),
    };
    let end = body.end_action.map(|action| match action.word {
        "now" => RefundEnd::Now,
        _ => RefundEnd::WithPeriod,
    });
    let wanted = RefundPurchase { kind, id: body.id, entries, invoice_id: body.invoice_id, end };
    payments::refund(&call.deps, &actor, &wanted).await?;
    let refund_transaction_id = is_newer.then(|| transactions::refund_id(&body.id.to_string()));
    Ok(Reply::ok(RefundView { success: true, refund_transaction_id }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use postern_domain::items::CustomerType;

    #[test]
    fn money_is_told_in_every_currency_of_the_price_and_net_in_dollars() {
        let base = Base::of(&Customer::new(CustomerType::Custom, "c1"));
        let charged = vec![(Currency::Usd, 1050), (Currency::Jpy, 300)];
        let entry = EntryView::of(TransactionEntry::Money { charged, net_cents: 0 }, base);
        let expected = json!({
            "type": "money_transfer", "adjusted_transaction_id": null, "adjusted_entry_index": null,
            "customer_type": "custom", "customer_id": "c1",
            "charged_amount": { "USD": "10.5", "JPY": "300" }, "net_amount": { "USD": "0" },
        });
        assert_eq!(serde_json::to_value(entry).unwrap(), expected);
    }

    #[test]
    fn a_refund_is_named_by_what_it_took_back() {
        let view = TransactionView::from(Transaction {
            id: "p".to_owned(),
            created_at: Timestamp(5),
            kind: TransactionKind::Purchase,
            customer: Customer::new(CustomerType::Custom, "c1"),
            entries: vec![TransactionEntry::Item { item_id: "seats".to_owned(), quantity: 3 }],
            is_refunded: true,
            test_mode: false,
        });
        let view = serde_json::to_value(view).unwrap();
        assert_eq!(view["adjusted_by"], json!([{ "transaction_id": "p:refund", "entry_index": 0 }]));
        assert_eq!((&view["type"], &view["effective_at_millis"]), (&json!("purchase"), &json!(5)));
        assert_eq!(view["entries"][0]["type"], "item_quantity_change");
    }
}
