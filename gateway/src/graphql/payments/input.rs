//! Products that come with a request.

use std::collections::BTreeMap;

use async_graphql::{ID, InputObject};
use postern_domain::payments::{
    ProductChoice,
    product::{IncludedItem, Never, Period, Price, Product, Repeat},
};
use serde_json::Value;

use super::types::{ItemExpiry, PeriodUnit, key};
use crate::graphql::{
    error::{Error, Result},
    items::types::{CustomerType, key as item_key},
    scalars::SafeInt,
};

/// A product that is not configured.
#[derive(InputObject)]
pub(crate) struct ProductInput {
    /// The name to show.
    display_name: String,
    /// Who can hold it.
    customer_type: CustomerType,
    /// Hidden from clients.
    #[graphql(default = true)]
    server_only: bool,
    /// What it costs.
    prices: Vec<ProductPriceInput>,
    /// What it grants.
    #[graphql(default)]
    included_items: Vec<IncludedItemInput>,
    /// What clients may see and change.
    client_metadata: Option<Value>,
    /// What clients may see.
    client_read_only_metadata: Option<Value>,
    /// What only servers see.
    server_metadata: Option<Value>,
}

/// A price.
#[derive(InputObject)]
pub(crate) struct ProductPriceInput {
    /// The name by which the product knows it.
    key: String,
    /// What one piece costs.
    amounts: Vec<MoneyInput>,
    /// Paid again after every such period; once, when not given.
    interval: Option<PeriodInput>,
    /// Not paid for so long at first.
    free_trial: Option<PeriodInput>,
}

/// An amount of money.
#[derive(InputObject)]
pub(crate) struct MoneyInput {
    /// ISO 4217, such as `USD`.
    currency: String,
    /// Such as `19.99`.
    amount: String,
}

/// A number and a unit.
#[derive(InputObject)]
pub(crate) struct PeriodInput {
    /// How many.
    count: i32,
    /// Of what.
    unit: PeriodUnit,
}

/// An item that comes with a product.
#[derive(InputObject)]
pub(crate) struct IncludedItemInput {
    /// The key of the item, or its id.
    item_id: ID,
    /// How much, for each piece of the product.
    quantity: SafeInt,
    /// Granted again after every such period; once, when not given.
    repeat: Option<PeriodInput>,
    /// When what was granted is lost.
    #[graphql(default_with = "ItemExpiry::Never")]
    expires: ItemExpiry,
}

impl PeriodInput {
    fn period(&self, field: &str) -> Result<Period> {
        let count = u64::try_from(self.count);
        let count = count.map_err(|_| Error::bad_input(format!("`{field}.count` must not be negative.")))?;
        Ok(Period(count, self.unit.into()))
    }
}

/// The product that is meant: configured, or brought along.
pub(super) fn chosen(id: Option<&ID>, product: Option<ProductInput>) -> Result<ProductChoice> {
    let product = product.map(ProductInput::product).transpose()?;
    Ok(ProductChoice::of(id.map(|id| key(id).to_owned()), product)?)
}

impl ProductInput {
    fn product(self) -> Result<Product> {
        let mut prices = BTreeMap::new();
        for price in self.prices {
            let amounts = price.amounts.into_iter().map(|money| (money.currency, money.amount)).collect();
            let interval = price.interval.map(|period| period.period("interval")).transpose()?;
            let free_trial = price.free_trial.map(|period| period.period("freeTrial")).transpose()?;
            prices.insert(price.key, Price { amounts, interval, free_trial });
        }
        let mut included_items = BTreeMap::new();
        for item in self.included_items {
            let repeat = match item.repeat {
                Some(period) => Repeat::Every(period.period("repeat")?),
                None => Repeat::Never(Never::Never),
            };
            let included = IncludedItem { quantity: item.quantity.0, repeat, expires: item.expires.into() };
            included_items.insert(item_key(&item.item_id).to_owned(), included);
        }
        Ok(Product {
            display_name: self.display_name,
            customer_type: self.customer_type.into(),
            server_only: self.server_only,
            stackable: false,
            prices,
            included_items,
            client_metadata: self.client_metadata,
            client_read_only_metadata: self.client_read_only_metadata,
            server_metadata: self.server_metadata,
        })
    }
}
