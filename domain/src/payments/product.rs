//! Products: what the config says, what a request brought along, and the version of either that was sold. A version is
//! written once and named by what is in it, so that a later change of the config changes nothing that was sold.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Days, Months, Utc};
use postern_entity::item_source::Expires;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::money::Currency;
use crate::{
    Failure, Timestamp,
    error::{Error, Result, refuse},
    items::{self, CustomerType, Interval, IntervalUnit},
    projects::{AddOnTo, Prices, ProductConfig},
    validation::Violations,
};

/// How many prices and included items a product may have.
const MAX_ENTRIES: usize = 100;
/// The longest name, in characters.
const MAX_NAME_CHARS: usize = 255;
/// The longest trial that Stripe takes, in days.
pub(super) const MAX_TRIAL_DAYS: u32 = 730;
/// Nobody is billed in longer periods, in days.
const MAX_BILLING_DAYS: u64 = 3 * 366;

/// A product as the contract writes it; of configured ones and of those that requests bring along alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Product {
    /// For people.
    pub display_name: String,
    /// Who can hold it: `user`, `team` or `custom`.
    #[schemars(with = "String")]
    pub customer_type: CustomerType,
    /// Hidden from clients.
    pub server_only: bool,
    /// It can be held several times.
    pub stackable: bool,
    /// By key.
    pub prices: BTreeMap<String, Price>,
    /// By the key of the item.
    pub included_items: BTreeMap<String, IncludedItem>,
    /// What clients may see and change.
    pub client_metadata: Option<Value>,
    /// What clients may see.
    pub client_read_only_metadata: Option<Value>,
    /// What only servers see.
    pub server_metadata: Option<Value>,
}

/// A price: amounts by currency, and how often they are paid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Price {
    /// Amounts as text, such as `19.99`, by the code of the currency.
    #[serde(flatten)]
    pub amounts: BTreeMap<String, String>,
    /// Paid again after every such period; once, when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Period>,
    /// Not paid for so long at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_trial: Option<Period>,
}

/// An item that comes with a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IncludedItem {
    /// How much, for each piece of the product.
    pub quantity: i64,
    /// When it is granted again.
    pub repeat: Repeat,
    /// When what was granted is lost.
    #[schemars(with = "String")]
    pub expires: ItemExpires,
}

/// `never`, or a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Repeat {
    /// Granted again after every such period.
    Every(Period),
    /// Granted once.
    Never(Never),
}

/// The word `never`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Never {
    /// Never.
    Never,
}

/// When what was granted is lost, as the contract spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemExpires {
    /// Never.
    Never,
    /// With the purchase.
    WhenPurchaseExpires,
    /// When it is granted again, and with the purchase.
    WhenRepeated,
}

/// A number and a unit: `[1, "month"]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Period(pub u64, pub Unit);

/// What periods are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Day.
    Day,
    /// Week.
    Week,
    /// Month.
    Month,
    /// Year.
    Year,
}

/// A product with all that rules need: what is kept when it is sold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Its key in the config; none for one that came with the request.
    pub product_id: Option<String>,
    /// As the contract writes it.
    pub product: Product,
    /// The line it fills.
    pub line_id: Option<String>,
    /// The products of which a customer must hold one first.
    pub add_on_to: BTreeSet<String>,
}

impl Version {
    /// The configured product.
    ///
    /// # Errors
    /// `BAD_REQUEST` when the config says of it what nobody can sell.
    pub fn configured(id: &str, config: &ProductConfig) -> Result<Self> {
        let prices = match &config.prices {
            Prices::Named(prices) => {
                prices.iter().map(|(key, price)| Ok((key.clone(), price_of(price)?))).collect::<Result<_>>()?
            }
            Prices::Word(_) => BTreeMap::new(),
        };
        let included = config.included_items.iter().map(|(key, item)| {
            let quantity =
                if item.quantity.fract() == 0.0 { format!("{:.0}", item.quantity).parse().ok() } else { None };
            let Some(quantity) = quantity else {
                return refuse(unsaleable(id, format!("the quantity of the item {key} is no whole number")));
            };
            let repeat = serde_json::from_value(item.repeat.clone()).map_err(Error::internal)?;
            let expires = serde_json::from_value(Value::String(item.expires.clone())).map_err(Error::internal)?;
            Ok((key.clone(), IncludedItem { quantity, repeat, expires }))
        });
        let product = Product {
            display_name: config.display_name.clone(),
            customer_type: config.customer_type,
            server_only: config.server_only,
            stackable: config.stackable.unwrap_or_default(),
            prices,
            included_items: included.collect::<Result<_>>()?,
            client_metadata: config.client_metadata.clone(),
            client_read_only_metadata: config.client_read_only_metadata.clone(),
            server_metadata: config.server_metadata.clone(),
        };
        let add_on_to = match &config.is_add_on_to {
            AddOnTo::Products(products) => products.keys().cloned().collect(),
            AddOnTo::Nothing(_) => BTreeSet::new(),
        };
        let mut violations = Violations::default();
        product.check("product", &mut violations);
        if let Err(error) = violations.finish() {
            let failure = error.told()?;
            return refuse(unsaleable(id, failure.message));
        }
        Ok(Self { product_id: Some(id.to_owned()), product, line_id: config.product_line_id.clone(), add_on_to })
    }

    /// A product that came with the request. It cannot be held several times, whatever it says (wire: payments §1).
    ///
    /// # Errors
    /// `SCHEMA_ERROR`.
    pub fn inline(mut product: Product) -> Result<Self> {
        let mut violations = Violations::default();
        product.check("product_inline", &mut violations);
        violations.finish()?;
        product.stackable = false;
        Ok(Self { product_id: None, product, line_id: None, add_on_to: BTreeSet::new() })
    }

    /// What names it: the SHA-256 of all that is in it, in base64.
    ///
    /// # Errors
    /// Internal only.
    pub fn id(&self) -> Result<String> {
        // Keys of objects are sorted: the maps here are, and so are those of `Value`.
        let canonical = serde_json::to_value(self).and_then(|value| serde_json::to_vec(&value));
        Ok(BASE64_STANDARD.encode(Sha256::digest(canonical.map_err(Error::internal)?)))
    }

    /// The price with this key.
    ///
    /// # Errors
    /// `BAD_REQUEST`.
    pub fn price(&self, id: &str) -> Result<&Price> {
        match self.product.prices.get(id) {
            Some(price) => Ok(price),
            None => refuse(Failure::bad_request("The product has no price of that key.")),
        }
    }

    /// The first price by key, by which servers grant.
    #[must_use]
    pub fn first_price(&self) -> Option<(&str, &Price)> {
        self.product.prices.iter().next().map(|(id, price)| (id.as_str(), price))
    }

    /// Whether it is paid again and again.
    #[must_use]
    pub fn has_interval_price(&self) -> bool {
        self.product.prices.values().any(|price| price.interval.is_some())
    }
}

fn unsaleable(id: &str, why: impl std::fmt::Display) -> Failure {
    Failure::bad_request(format!("The product {id} cannot be sold as it is configured: {why}."))
}

/// The config says more of a price than the contract shows.
fn price_of(value: &Value) -> Result<Price> {
    let amounts = Currency::ALL
        .iter()
        .filter_map(|currency| Some((currency.code().to_owned(), value.get(currency.code())?.as_str()?.to_owned())));
    let period = |key: &str| {
        value.get(key).filter(|value| !value.is_null()).map(|value| serde_json::from_value(value.clone())).transpose()
    };
    Ok(Price {
        amounts: amounts.collect(),
        interval: period("interval").map_err(Error::internal)?,
        free_trial: period("freeTrial").map_err(Error::internal)?,
    })
}

impl Product {
    /// Notes what nobody could sell.
    fn check(&self, field: &str, violations: &mut Violations) {
        violations.text(&format!("{field}.display_name"), &self.display_name, MAX_NAME_CHARS);
        let entries = self.prices.len().max(self.included_items.len());
        violations.require(
            entries <= MAX_ENTRIES,
            field,
            format_args!("must have at most {MAX_ENTRIES} prices and items"),
        );
        for (key, price) in &self.prices {
            violations.require(is_key(key), field, "must call its prices by letters, digits, _ and -, at most 63");
            price.check(&format!("{field}.prices.{key}"), violations);
        }
        for (key, item) in &self.included_items {
            let field = format!("{field}.included_items.{key}");
            violations.require(is_key(key), &field, "must be called by letters, digits, _ and -, at most 63");
            let is_countable = (0..=items::MAX_QUANTITY).contains(&item.quantity);
            violations.require(
                is_countable,
                &field,
                format_args!("must have a quantity of 0 to {}", items::MAX_QUANTITY),
            );
            if let Repeat::Every(period) = item.repeat {
                violations.require(period.repeats().is_ok(), &field, "must repeat after at least a day");
            }
        }
        for metadata in
            [&self.client_metadata, &self.client_read_only_metadata, &self.server_metadata].into_iter().flatten()
        {
            violations.json(field, metadata);
        }
    }
}

fn is_key(text: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=63).contains(&text.len()) && !text.starts_with('-') && text.bytes().all(is_fine)
}

impl Price {
    fn check(&self, field: &str, violations: &mut Violations) {
        violations.require(!self.amounts.is_empty(), field, "must have an amount");
        for (code, text) in &self.amounts {
            let currency = Currency::ALL.iter().find(|currency| currency.code() == code);
            violations.require(currency.is_some(), field, format_args!("has {code:.10}, which is no currency here"));
            let is_money = currency.is_none_or(|currency| currency.parse(text).is_some());
            violations.require(is_money, field, format_args!("must have an amount of {code:.10} such as 5 or 4.99"));
        }
        if let Some(period) = self.interval {
            violations.require(
                period.billing_days().is_some(),
                field,
                "must be paid every day at most, and every 3 years at least",
            );
        }
        if let Some(period) = self.free_trial {
            violations.require(
                period.days() <= u64::from(MAX_TRIAL_DAYS),
                field,
                "must have a trial of at most 730 days",
            );
        }
    }

    /// What one piece costs, in US cents. Only dollars are charged.
    #[must_use]
    pub fn cents(&self) -> Option<i64> {
        Currency::Usd.parse(self.amounts.get(Currency::Usd.code())?)
    }

    /// Amounts in minor units, by currency.
    pub fn in_minor(&self) -> impl Iterator<Item = (Currency, i64)> {
        Currency::ALL
            .iter()
            .filter_map(|currency| Some((*currency, currency.parse(self.amounts.get(currency.code())?)?)))
    }
}

impl Period {
    /// As periods of grants are counted: each unit of a fixed length (wire: payments §4.1).
    ///
    /// # Errors
    /// `BAD_REQUEST` for less than a day, and for more than a thousand years.
    pub fn repeats(self) -> Result<Interval> {
        let unit = match self.1 {
            Unit::Day => IntervalUnit::Day,
            Unit::Week => IntervalUnit::Week,
            Unit::Month => IntervalUnit::Month,
            Unit::Year => IntervalUnit::Year,
        };
        Interval::new(self.0, unit)
    }

    /// The instant so much later by the calendar, as bills count: the 31st of January is followed by the last of February.
    #[must_use]
    pub fn after(self, from: Timestamp) -> Option<Timestamp> {
        let from = DateTime::<Utc>::from_timestamp_millis(from.millis())?;
        let later = match self.1 {
            Unit::Day => from.checked_add_days(Days::new(self.0)),
            Unit::Week => from.checked_add_days(Days::new(self.0.checked_mul(7)?)),
            Unit::Month => from.checked_add_months(Months::new(u32::try_from(self.0).ok()?)),
            Unit::Year => from.checked_add_months(Months::new(u32::try_from(self.0.checked_mul(12)?).ok()?)),
        };
        later.map(|later| Timestamp(later.timestamp_millis()))
    }

    /// Its length in days, roughly.
    #[must_use]
    pub fn days(self) -> u64 {
        let days = match self.1 {
            Unit::Day => 1,
            Unit::Week => 7,
            Unit::Month => 30,
            Unit::Year => 365,
        };
        self.0.saturating_mul(days)
    }

    /// Its length in days, if bills can be made so often.
    fn billing_days(self) -> Option<u64> {
        Some(self.days()).filter(|days| (1..=MAX_BILLING_DAYS).contains(days))
    }
}

impl ItemExpires {
    /// When what a purchase grants is lost. A one-time purchase has no end: what would be lost with it stays.
    #[must_use]
    pub fn of(self, is_subscription: bool, repeats: bool) -> Expires {
        match self {
            Self::WhenRepeated if repeats => Expires::WhenRepeated,
            Self::WhenRepeated | Self::WhenPurchaseExpires if is_subscription => Expires::WhenPurchaseExpires,
            Self::Never | Self::WhenRepeated | Self::WhenPurchaseExpires => Expires::Never,
        }
    }
}
