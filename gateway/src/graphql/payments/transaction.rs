//! Transactions, as the schema shows them.

use async_graphql::{Enum, ID};
use postern_domain::{
    items::Customer,
    payments::{
        PurchaseKind,
        transactions::{Transaction, TransactionEntry, TransactionKind as Kind},
    },
};
use postern_gateway_macros::guarded;

use super::types::MoneyObject;
use crate::graphql::{
    items::types::CustomerType,
    scalars::{DateTime, SafeInt},
};

/// What sort of transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum TransactionType {
    /// A purchase or a grant.
    Purchase,
    /// A subscription was paid again.
    SubscriptionRenewal,
    /// A server changed what a customer has of an item.
    ItemQuantityChange,
    /// A purchase was paid back. Listed only when asked for; the purchase itself says so too.
    Refund,
}

impl From<TransactionType> for Kind {
    fn from(kind: TransactionType) -> Self {
        match kind {
            TransactionType::Purchase => Self::Purchase,
            TransactionType::SubscriptionRenewal => Self::Renewal,
            TransactionType::ItemQuantityChange => Self::ItemChange,
            TransactionType::Refund => Self::Refund,
        }
    }
}

/// Something that happened with money or items.
pub(crate) struct TransactionObject(pub(crate) Transaction);

/// Something that happened with money or items.
#[guarded(ADMIN, graphql(name = "Transaction"))]
impl TransactionObject {
    /// Of the purchase, the invoice or the change.
    #[access(ADMIN)]
    fn id(&self) -> ID {
        ID(self.0.id.clone())
    }

    /// When it happened.
    #[access(ADMIN)]
    fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// What sort.
    #[access(ADMIN)]
    #[graphql(name = "type")]
    fn kind(&self) -> TransactionType {
        match self.0.kind {
            Kind::Renewal => TransactionType::SubscriptionRenewal,
            Kind::ItemChange => TransactionType::ItemQuantityChange,
            Kind::Refund => TransactionType::Refund,
            Kind::Purchase | Kind::Other => TransactionType::Purchase,
        }
    }

    /// To whom it happened.
    #[access(ADMIN)]
    fn customer(&self) -> CustomerObject {
        CustomerObject(self.0.customer.clone())
    }

    /// What happened, part by part. The product of a purchase is the first.
    #[access(ADMIN)]
    fn entries(&self) -> Vec<TransactionEntryObject> {
        self.0.entries.iter().cloned().map(TransactionEntryObject).collect()
    }

    /// It was paid back, wholly or in part.
    #[access(ADMIN)]
    fn refunded(&self) -> bool {
        self.0.is_refunded
    }

    /// Nothing was paid: it was tried out.
    #[access(ADMIN)]
    fn test_mode(&self) -> bool {
        self.0.test_mode
    }
}

/// A customer.
pub(crate) struct CustomerObject(Customer);

/// A customer.
#[guarded(ADMIN, graphql(name = "Customer"))]
impl CustomerObject {
    /// What sort of customer.
    #[access(ADMIN)]
    #[graphql(name = "type")]
    fn kind(&self) -> CustomerType {
        self.0.kind().into()
    }

    /// The id of the user or team, or what the application calls the customer.
    #[access(ADMIN)]
    fn id(&self) -> ID {
        ID(self.0.id().to_owned())
    }
}

/// What sort of part of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum TransactionEntryType {
    /// A product was granted.
    ProductGrant,
    /// Something was paid.
    MoneyTransfer,
    /// An item was changed.
    ItemQuantityChange,
    /// Pieces of a product were taken back.
    ProductRevocation,
}

/// A part of a transaction.
pub(crate) struct TransactionEntryObject(TransactionEntry);

/// A part of a transaction.
#[guarded(ADMIN, graphql(name = "TransactionEntry"))]
impl TransactionEntryObject {
    /// What sort.
    #[access(ADMIN)]
    #[graphql(name = "type")]
    fn kind(&self) -> TransactionEntryType {
        match self.0 {
            TransactionEntry::Product { .. } => TransactionEntryType::ProductGrant,
            TransactionEntry::Money { .. } => TransactionEntryType::MoneyTransfer,
            TransactionEntry::Item { .. } => TransactionEntryType::ItemQuantityChange,
            TransactionEntry::Revocation { .. } => TransactionEntryType::ProductRevocation,
        }
    }

    /// The key of the product that was granted.
    #[access(ADMIN)]
    fn product_key(&self) -> Option<&str> {
        match &self.0 {
            TransactionEntry::Product { product_id, .. } => product_id.as_deref(),
            _ => None,
        }
    }

    /// What the product was called.
    #[access(ADMIN)]
    fn product_display_name(&self) -> Option<&str> {
        match &self.0 {
            TransactionEntry::Product { product, .. } => Some(&product.display_name),
            _ => None,
        }
    }

    /// The key of the price.
    #[access(ADMIN)]
    fn price_key(&self) -> Option<&str> {
        match &self.0 {
            TransactionEntry::Product { price_id, .. } => price_id.as_deref(),
            _ => None,
        }
    }

    /// The subscription that granted the product.
    #[access(ADMIN)]
    fn subscription_id(&self) -> Option<ID> {
        self.purchase(PurchaseKind::Subscription)
    }

    /// The one-time purchase that granted the product.
    #[access(ADMIN)]
    fn one_time_purchase_id(&self) -> Option<ID> {
        self.purchase(PurchaseKind::OneTime)
    }

    /// The key of the item that was changed.
    #[access(ADMIN)]
    fn item_key(&self) -> Option<&str> {
        match &self.0 {
            TransactionEntry::Item { item_id, .. } => Some(item_id),
            _ => None,
        }
    }

    /// Pieces of the product, or by how much the item was changed.
    #[access(ADMIN)]
    fn quantity(&self) -> Option<SafeInt> {
        match &self.0 {
            TransactionEntry::Product { quantity, .. }
            | TransactionEntry::Item { quantity, .. }
            | TransactionEntry::Revocation { quantity, .. } => Some(SafeInt(*quantity)),
            TransactionEntry::Money { .. } => None,
        }
    }

    /// What was paid, in all currencies of the price; dollars were charged.
    #[access(ADMIN)]
    fn charged(&self) -> Option<Vec<MoneyObject>> {
        let TransactionEntry::Money { charged, .. } = &self.0 else { return None };
        let money = charged
            .iter()
            .map(|(currency, minor)| MoneyObject { currency: currency.to_string(), amount: currency.text(*minor) });
        Some(money.collect())
    }
}

impl TransactionEntryObject {
    fn purchase(&self, wanted: PurchaseKind) -> Option<ID> {
        match &self.0 {
            TransactionEntry::Product { purchase: (kind, id), .. } if *kind == wanted => Some(ID(id.to_string())),
            _ => None,
        }
    }
}
