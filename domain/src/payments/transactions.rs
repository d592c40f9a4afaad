//! What happened with money and items, newest first, for administrators (wire: payments §8): purchases, renewals, and changes
//! that servers made by hand.

use std::collections::HashMap;

use postern_entity::{
    ProjectId, PurchaseId, Timestamp, item_balance, item_change,
    item_change::ItemChangeKind,
    purchase::{self, PurchaseKind, PurchaseSource},
    purchase_invoice,
};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select};
use uuid::Uuid;

use super::{
    money::{Currency, times},
    product::{Product, Version},
    store,
};
use crate::{
    Actor, Deps, Failure, Level,
    error::{Result, refuse},
    items::{Customer, CustomerType},
};

/// The longest page.
pub const MAX_PAGE: u64 = 200;

/// What stands behind the id of a purchase in the id of its refund.
const REFUND: &str = ":refund";

/// What a refund of a purchase is called.
#[must_use]
pub fn refund_id(purchase_id: &str) -> String {
    format!("{purchase_id}{REFUND}")
}

/// What sort of transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransactionKind {
    /// A purchase or a grant.
    Purchase,
    /// A subscription was paid again.
    Renewal,
    /// A server changed what a customer has of an item.
    ItemChange,
    /// A purchase was paid back. Listed only when asked for: the purchase itself says so too.
    Refund,
    /// Kept by the contract; there are none of these.
    Other,
}

/// Which to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionFilter {
    /// Of one sort.
    pub kind: Option<TransactionKind>,
    /// Of customers of one sort.
    pub customer_type: Option<CustomerType>,
    /// Of the customer that is called so.
    pub customer_id: Option<String>,
}

/// A place in the list: behind what was made then, of what has this id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct TransactionPlace {
    /// When it was made.
    pub created_at: Timestamp,
    /// Its id.
    pub id: String,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Transaction {
    /// Its id: that of the purchase, the invoice or the change.
    pub id: String,
    /// When.
    pub created_at: Timestamp,
    /// What sort.
    pub kind: TransactionKind,
    /// To whom.
    pub customer: Customer,
    /// What.
    pub entries: Vec<TransactionEntry>,
    /// It was paid back, wholly or in part.
    pub is_refunded: bool,
    /// Nothing was paid: it was tried out.
    pub test_mode: bool,
}

/// A part of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum TransactionEntry {
    /// A product was granted.
    Product {
        /// Its key.
        product_id: Option<String>,
        /// As it was sold.
        product: Box<Product>,
        /// By this price.
        price_id: Option<String>,
        /// How many pieces.
        quantity: i64,
        /// By which purchase.
        purchase: (PurchaseKind, PurchaseId),
    },
    /// Something was paid: amounts by currency, of which dollars were charged.
    Money {
        /// All amounts of the price.
        charged: Vec<(Currency, i64)>,
        /// In US cents.
        net_cents: i64,
    },
    /// Pieces of a product were taken back.
    Revocation {
        /// By which transaction it was granted.
        transaction_id: String,
        /// How many.
        quantity: i64,
    },
    /// An item was changed.
    Item {
        /// Which.
        item_id: String,
        /// By how much.
        quantity: i64,
    },
}

/// A stretch of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct TransactionPage {
    /// What it holds.
    pub transactions: Vec<Transaction>,
    /// More follow.
    pub has_more: bool,
}

impl Transaction {
    /// Its place in the list.
    #[must_use]
    pub fn place(&self) -> TransactionPlace {
        TransactionPlace { created_at: self.created_at, id: self.id.clone() }
    }
}

/// Lists at most `limit` (and [`MAX_PAGE`]) after a place.
///
/// # Errors
/// `FORBIDDEN` for everybody but administrators.
#[crate::boxed]
pub async fn transactions(
    deps: &Deps,
    actor: &Actor,
    filter: &TransactionFilter,
    after: Option<&TransactionPlace>,
    limit: u64,
) -> Result<TransactionPage> {
    if actor.level < Level::Admin {
        return refuse(Failure::forbidden("Only administrators of the project see its transactions."));
    }
    let limit = limit.clamp(1, MAX_PAGE);
    let wants = |kind| filter.kind.is_none_or(|wanted| wanted == kind);
    let list = List { deps, project_id: &actor.project_id, filter, after, limit: limit + 1 };
    let mut all = Vec::new();
    if wants(TransactionKind::Purchase) {
        all.extend(list.purchases().await?);
    }
    if filter.kind == Some(TransactionKind::Refund) {
        all.extend(list.refunds().await?);
    }
    if wants(TransactionKind::Renewal) {
        all.extend(list.renewals().await?);
    }
    if wants(TransactionKind::ItemChange) {
        all.extend(list.item_changes().await?);
    }
    all.sort_by_key(|transaction| std::cmp::Reverse(transaction.place()));
    let has_more = all.len() as u64 > limit;
    all.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(TransactionPage { transactions: all, has_more })
}

struct List<'a> {
    deps: &'a Deps,
    project_id: &'a ProjectId,
    filter: &'a TransactionFilter,
    after: Option<&'a TransactionPlace>,
    limit: u64,
}

impl List<'_> {
    /// Newest first, behind the place; `id` is compared as the rows spell it.
    fn of<E: EntityTrait>(
        &self,
        select: Select<E>,
        created_at: impl ColumnTrait,
        id: impl ColumnTrait,
        place: Option<sea_orm::Value>,
    ) -> Select<E> {
        let select = match (self.after, place) {
            (Some(after), Some(place)) => select.filter(
                Condition::any()
                    .add(created_at.lt(after.created_at))
                    .add(Condition::all().add(created_at.eq(after.created_at)).add(id.lt(place))),
            ),
            // The place of an invoice, whose id comes before every UUID when the greatest comes first.
            (Some(after), None) => select.filter(created_at.lte(after.created_at)),
            (None, _) => select,
        };
        select.order_by_desc(created_at).order_by_desc(id).limit(self.limit)
    }

    /// The id behind which UUIDs follow, as both databases order them.
    fn uuid_place(&self) -> Option<sea_orm::Value> {
        let after = self.after?;
        Some(after.id.parse::<Uuid>().ok()?.into())
    }

    /// Whether customers are chosen.
    fn is_about_some(&self) -> bool {
        self.filter.customer_type.is_some() || self.filter.customer_id.is_some()
    }

    async fn purchases(&self) -> Result<Vec<Transaction>> {
        use purchase::Column;
        // One that was paid back at once never began, and money went to and fro all the same.
        let was_paid = Condition::any().add(Column::Started.gt(0)).add(Column::RefundedAt.is_not_null());
        let select = self.of_customers().filter(was_paid);
        let rows = self.of(select, Column::CreatedAt, Column::Id, self.uuid_place()).all(self.deps.db.read()).await?;
        let ids = rows.iter().map(|row| row.sold_version_id.clone());
        let versions = store::versions(self.deps.db.read(), self.project_id, ids).await?;
        Ok(rows.iter().filter_map(|row| Some(of_purchase(row, versions.get(&row.sold_version_id)?))).collect())
    }

    /// The purchases of the project that the filter is about.
    fn of_customers(&self) -> Select<purchase::Entity> {
        use purchase::Column;
        let mut select = purchase::Entity::find().filter(Column::ProjectId.eq(self.project_id.clone()));
        if let Some(customer_type) = self.filter.customer_type {
            select = select.filter(Column::CustomerType.eq(customer_type));
        }
        if let Some(customer_id) = &self.filter.customer_id {
            select = select.filter(Column::CustomerId.eq(customer_id));
        }
        select
    }

    async fn refunds(&self) -> Result<Vec<Transaction>> {
        use purchase::Column;
        let select = self.of_customers().filter(Column::RefundedAt.is_not_null());
        let place = self.after.and_then(|after| after.id.strip_suffix(REFUND)?.parse::<Uuid>().ok());
        let rows =
            self.of(select, Column::RefundedAt, Column::Id, place.map(Into::into)).all(self.deps.db.read()).await?;
        let refunds = rows.iter().filter_map(|row| {
            let revoked =
                TransactionEntry::Revocation { transaction_id: row.id.to_string(), quantity: row.revoked_quantity };
            Some(Transaction {
                id: refund_id(&row.id.to_string()),
                created_at: row.refunded_at?,
                kind: TransactionKind::Refund,
                customer: super::purchases::customer_of(row),
                entries: vec![revoked],
                is_refunded: false,
                test_mode: false,
            })
        });
        Ok(refunds.collect())
    }

    async fn renewals(&self) -> Result<Vec<Transaction>> {
        use purchase_invoice::Column;
        let select = purchase_invoice::Entity::find()
            .filter(Column::ProjectId.eq(self.project_id.clone()))
            .filter(Column::IsCreation.eq(false))
            .filter(Column::Status.eq("paid"));
        let select = if self.is_about_some() {
            let purchases = self.of_customers().select_only().column(purchase::Column::Id).into_query();
            select.filter(Column::PurchaseId.in_subquery(purchases))
        } else {
            select
        };
        let place = self.after.map(|after| after.id.clone().into());
        let invoices = self.of(select, Column::CreatedAt, Column::Id, place).all(self.deps.db.read()).await?;
        let ids = invoices.iter().map(|invoice| invoice.purchase_id);
        let purchases = purchase::Entity::find()
            .filter(purchase::Column::ProjectId.eq(self.project_id.clone()))
            .filter(purchase::Column::Id.is_in(ids))
            .all(self.deps.db.read())
            .await?;
        let purchases: HashMap<_, _> = purchases.into_iter().map(|row| (row.id, row)).collect();
        let renewals = invoices.into_iter().filter_map(|invoice| {
            let row = purchases.get(&invoice.purchase_id)?;
            Some({
                let currency: Option<Currency> = invoice.currency.parse().ok();
                let net_cents = if currency == Some(Currency::Usd) { invoice.amount_paid } else { 0 };
                let charged = currency.map(|currency| (currency, invoice.amount_paid)).into_iter().collect();
                Transaction {
                    id: invoice.id,
                    created_at: invoice.created_at,
                    kind: TransactionKind::Renewal,
                    customer: super::purchases::customer_of(row),
                    entries: vec![TransactionEntry::Money { charged, net_cents }],
                    is_refunded: false,
                    test_mode: false,
                }
            })
        });
        Ok(renewals.collect())
    }

    async fn item_changes(&self) -> Result<Vec<Transaction>> {
        use item_change::Column;
        let select = item_change::Entity::find()
            .filter(Column::ProjectId.eq(self.project_id.clone()))
            .filter(Column::Kind.eq(ItemChangeKind::Manual));
        let select = if self.is_about_some() {
            let mut balances = item_balance::Entity::find()
                .select_only()
                .column(item_balance::Column::Id)
                .filter(item_balance::Column::ProjectId.eq(self.project_id.clone()));
            if let Some(customer_type) = self.filter.customer_type {
                balances = balances.filter(item_balance::Column::CustomerType.eq(customer_type));
            }
            if let Some(customer_id) = &self.filter.customer_id {
                balances = balances.filter(item_balance::Column::CustomerId.eq(customer_id));
            }
            select.filter(Column::BalanceId.in_subquery(balances.into_query()))
        } else {
            select
        };
        let rows = self.of(select, Column::CreatedAt, Column::Id, self.uuid_place()).all(self.deps.db.read()).await?;
        let balances =
            crate::items::balances_of(self.deps, self.project_id, rows.iter().map(|row| row.balance_id)).await?;
        let changes = rows.into_iter().filter_map(|row| {
            let (customer, item_id) = balances.get(&row.balance_id)?;
            Some(Transaction {
                id: row.id.to_string(),
                created_at: row.created_at,
                kind: TransactionKind::ItemChange,
                customer: customer.clone(),
                entries: vec![TransactionEntry::Item { item_id: item_id.clone(), quantity: row.delta }],
                is_refunded: false,
                test_mode: false,
            })
        });
        Ok(changes.collect())
    }
}

fn of_purchase(row: &purchase::Model, version: &Version) -> Transaction {
    let mut entries = vec![TransactionEntry::Product {
        product_id: version.product_id.clone(),
        product: Box::new(version.product.clone()),
        price_id: row.sold_price_id.clone(),
        quantity: row.sold_quantity,
        purchase: (row.kind, row.id),
    }];
    let price = row.sold_price_id.as_ref().and_then(|id| version.product.prices.get(id));
    if let (PurchaseSource::PurchasePage, Some(price)) = (row.source, price) {
        let charged =
            price.in_minor().filter_map(|(currency, minor)| Some((currency, times(minor, row.sold_quantity)?)));
        let net_cents = price.cents().and_then(|cents| times(cents, row.sold_quantity)).unwrap_or_default();
        entries.push(TransactionEntry::Money { charged: charged.collect(), net_cents });
    }
    let items = version.product.included_items.iter().filter(|(_, item)| item.quantity > 0 && row.started > 0);
    entries.extend(items.map(|(item_id, item)| TransactionEntry::Item {
        item_id: item_id.clone(),
        quantity: item.quantity.saturating_mul(row.sold_quantity),
    }));
    Transaction {
        id: row.id.to_string(),
        created_at: row.created_at,
        kind: TransactionKind::Purchase,
        customer: super::purchases::customer_of(row),
        entries,
        is_refunded: row.refunded_at.is_some(),
        test_mode: row.source == PurchaseSource::TestMode,
    }
}
