//! A product that comes with a request (wire: payments §1). Its defaults are not those of the config.

use std::collections::BTreeMap;

use postern_domain::payments::product::{IncludedItem, ItemExpires, Never, Price, Product, Repeat};
use serde_json::Value;

use super::{
    customer::{CustomerTypes, kind},
    fields::{Entries, ExpiryWords, PeriodField, RepeatField, expires},
};
use crate::rest::input::{OneOf, input};

input! {
    /// A product, all of it.
    pub(super) struct InlineProduct {
        display_name: String,
        customer_type: OneOf<CustomerTypes>,
        #[expect(dead_code, reason = "the contract takes it and nothing follows from it; that of a price counts")]
        free_trial: Option<PeriodField>,
        server_only: Option<bool>,
        stackable: Option<bool>,
        prices: Entries<InlinePrice>,
        included_items: Entries<InlineItem>,
        client_metadata: Option<Value>,
        client_read_only_metadata: Option<Value>,
        server_metadata: Option<Value>,
    }
}

input! {
    /// Amounts as text; whether they are amounts is the domain's to say.
    pub(super) struct InlinePrice {
        usd as "USD": Option<String>,
        eur as "EUR": Option<String>,
        gbp as "GBP": Option<String>,
        jpy as "JPY": Option<String>,
        inr as "INR": Option<String>,
        aud as "AUD": Option<String>,
        cad as "CAD": Option<String>,
        interval: Option<PeriodField>,
        free_trial: Option<PeriodField>,
    }
}

input! {
    pub(super) struct InlineItem { quantity: Option<i64>, repeat: Option<RepeatField>, expires: Option<OneOf<ExpiryWords>> }
}

impl From<InlineProduct> for Product {
    fn from(inline: InlineProduct) -> Self {
        Self {
            display_name: inline.display_name,
            customer_type: kind(&inline.customer_type),
            server_only: inline.server_only.unwrap_or(true),
            stackable: inline.stackable.unwrap_or(false),
            prices: entries(inline.prices),
            included_items: entries(inline.included_items),
            client_metadata: object(inline.client_metadata),
            client_read_only_metadata: object(inline.client_read_only_metadata),
            server_metadata: object(inline.server_metadata),
        }
    }
}

fn entries<T: Into<U>, U>(entries: Entries<T>) -> BTreeMap<String, U> {
    entries.0.into_iter().map(|(key, value)| (key, value.into())).collect()
}

/// Null says as much as nothing.
fn object(metadata: Option<Value>) -> Option<Value> {
    metadata.filter(|value| !value.is_null())
}

impl From<InlinePrice> for Price {
    fn from(price: InlinePrice) -> Self {
        let amounts = [
            ("USD", price.usd),
            ("EUR", price.eur),
            ("GBP", price.gbp),
            ("JPY", price.jpy),
            ("INR", price.inr),
            ("AUD", price.aud),
            ("CAD", price.cad),
        ];
        Self {
            amounts: amounts.into_iter().filter_map(|(code, text)| Some((code.to_owned(), text?))).collect(),
            interval: price.interval.map(|PeriodField(period)| period),
            free_trial: price.free_trial.map(|PeriodField(period)| period),
        }
    }
}

impl From<InlineItem> for IncludedItem {
    fn from(item: InlineItem) -> Self {
        Self {
            quantity: item.quantity.unwrap_or(0),
            repeat: item.repeat.map_or(Repeat::Never(Never::Never), |RepeatField(repeat)| repeat),
            expires: item.expires.as_ref().map_or(ItemExpires::Never, expires),
        }
    }
}

#[cfg(test)]
mod tests {
    use postern_domain::payments::product::{Period, Unit};
    use serde_json::json;

    use super::*;
    use crate::rest::input::{Violations, read_nested};

    fn read(value: Value) -> Result<Product, String> {
        let mut violations = Violations::default();
        let inline = read_nested::<InlineProduct>(value, "body.product_inline", &mut violations);
        match violations.into_failure("POST /sample") {
            Some(failure) => Err(failure.message.into_owned()),
            None => Ok(inline.unwrap().into()),
        }
    }

    #[test]
    fn what_is_not_said_has_the_defaults_of_requests() {
        let product = read(json!({
            "display_name": "Pro", "customer_type": "team", "prices": { "m": { "USD": 5, "interval": ["1", "month"] } },
            "included_items": { "seats": {} }, "client_metadata": null,
        }))
        .unwrap();
        assert_eq!((product.server_only, product.stackable), (true, false));
        let price = &product.prices["m"];
        assert_eq!(price.amounts, BTreeMap::from([("USD".to_owned(), "5".to_owned())]));
        assert_eq!((price.interval, price.free_trial), (Some(Period(1, Unit::Month)), None));
        let item = &product.included_items["seats"];
        assert_eq!((item.quantity, item.expires), (0, ItemExpires::Never));
        assert_eq!(item.repeat, Repeat::Never(Never::Never));
        assert_eq!(product.client_metadata, None);
    }

    #[test]
    fn everything_can_be_said() {
        let product = read(json!({
            "display_name": "Pro", "customer_type": "user", "free_trial": [7, "day"], "server_only": false,
            "stackable": true, "prices": {}, "server_metadata": { "a": 1 }, "included_items": {
                "credits": { "quantity": 100, "repeat": [2, "week"], "expires": "when-repeated" },
                "gems": { "repeat": "never", "expires": "when-purchase-expires" },
            },
        }))
        .unwrap();
        let credits = &product.included_items["credits"];
        assert_eq!((credits.quantity, credits.expires), (100, ItemExpires::WhenRepeated));
        assert_eq!(credits.repeat, Repeat::Every(Period(2, Unit::Week)));
        assert_eq!(product.included_items["gems"].expires, ItemExpires::WhenPurchaseExpires);
        assert_eq!((product.server_only, product.stackable), (false, true));
        assert_eq!(product.server_metadata, Some(json!({ "a": 1 })));
    }

    #[test]
    fn all_that_does_not_fit_is_named() {
        let message = read(json!({
            "displayName": "Pro", "customer_type": "robot", "prices": {
                "-x": { "USD": "1" }, "m": { "CHF": "5", "interval": [-1, "fortnight"] }, "n": null,
            },
            "included_items": { "seats": { "repeat": "always", "quantity": 1.5 } },
        }))
        .unwrap_err();
        for part in [
            "body.product_inline.display_name is required",
            "unknown key \"displayName\"",
            "body.product_inline.customer_type must be one of",
            "body.product_inline.prices has the key \"-x\"",
            "body.product_inline.prices.m has the unknown key \"CHF\"",
            "body.product_inline.prices.m.interval[0] must be at least 0",
            "body.product_inline.prices.m.interval[1] must be one of",
            "body.product_inline.prices.n must not be null",
            "body.product_inline.included_items.seats.repeat must be a number and a unit",
            "body.product_inline.included_items.seats.quantity must be a whole number",
        ] {
            assert!(message.contains(part), "{part} is not named in {message}");
        }
    }
}
