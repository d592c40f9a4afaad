//! `payments.*` of the rendered config.

use std::collections::BTreeMap;

pub use postern_entity::item_balance::CustomerType;
use serde::Deserialize;
use serde_json::Value;

/// `payments.*`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payments {
    /// Nothing can be bought; servers still grant.
    pub block_new_purchases: bool,
    /// Purchases can be tried out.
    pub test_mode: bool,
    /// Of the products of one line a customer holds one, by key.
    pub product_lines: BTreeMap<String, ProductLineConfig>,
    /// What is sold, by key.
    pub products: BTreeMap<String, ProductConfig>,
    /// What customers have quantities of, by key.
    pub items: BTreeMap<String, ItemConfig>,
}

/// `payments.productLines.<id>`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProductLineConfig {
    /// For people.
    pub display_name: Option<String>,
    /// Who holds its products.
    pub customer_type: Option<CustomerType>,
}

/// `payments.products.<id>`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProductConfig {
    /// For people.
    pub display_name: String,
    /// The line it is of.
    pub product_line_id: Option<String>,
    /// Who can hold it.
    pub customer_type: CustomerType,
    /// Hidden from clients.
    pub server_only: bool,
    /// It can be held several times.
    pub stackable: Option<bool>,
    /// Of which products the customer must hold one first.
    #[serde(default)]
    pub is_add_on_to: AddOnTo,
    /// By key.
    #[serde(default)]
    pub prices: Prices,
    /// What it grants, by the key of the item.
    #[serde(default)]
    pub included_items: BTreeMap<String, IncludedItemConfig>,
    /// What clients may see and change.
    pub client_metadata: Option<Value>,
    /// What clients may see.
    pub client_read_only_metadata: Option<Value>,
    /// What only servers see.
    pub server_metadata: Option<Value>,
}

/// `payments.products.<id>.isAddOnTo`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum AddOnTo {
    /// None; the schema lets only `false` through.
    Nothing(bool),
    /// These.
    Products(BTreeMap<String, bool>),
}

impl Default for AddOnTo {
    fn default() -> Self {
        Self::Nothing(false)
    }
}

/// `payments.products.<id>.prices`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Prices {
    /// By key.
    Named(BTreeMap<String, Value>),
    /// `include-by-default`, which nobody gets by default any more: no price.
    Word(String),
}

impl Default for Prices {
    fn default() -> Self {
        Self::Named(BTreeMap::new())
    }
}

/// `payments.products.<id>.includedItems.<id>`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IncludedItemConfig {
    /// As configured: the schema takes any number.
    pub quantity: f64,
    /// `never`, or a number and a unit.
    pub repeat: Value,
    /// `never`, `when-purchase-expires` or `when-repeated`.
    pub expires: String,
}

/// `payments.items.<id>`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemConfig {
    /// For people.
    pub display_name: String,
    /// Who has it.
    pub customer_type: CustomerType,
}
