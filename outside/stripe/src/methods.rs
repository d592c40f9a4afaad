//! Which sorts of payment an account offers.

use std::{collections::BTreeMap, fmt};

use postern_domain::ports::stripe::{StripeError, StripeMethod, StripeMethodConfig};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;

use crate::{
    StripeClient,
    read::{HasId, List},
    spelling,
};

/// A configuration: which sorts there are is no fixed list, so every field that looks like one is taken for one.
struct Config(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrder)
    }
}

/// Keeps fields in the order of the answer, which a JSON object's own type does not.
struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Config;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a payment method configuration")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Config, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Config(fields))
    }
}

#[derive(Deserialize)]
struct Method {
    #[serde(default)]
    available: bool,
    display_preference: Preference,
}

#[derive(Deserialize)]
struct Preference {
    overridable: Option<bool>,
    value: String,
}

impl Config {
    fn field(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn says(&self, name: &str) -> bool {
        self.field(name).and_then(Value::as_bool) == Some(true)
    }

    fn into_port(self) -> StripeMethodConfig {
        let id = self.field("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let methods = self.0.into_iter().filter_map(|(id, value)| {
            let method = Method::deserialize(value).ok()?;
            Some(StripeMethod {
                id,
                enabled: method.display_preference.value == "on",
                available: method.available,
                // Only configurations with a parent say; without one there is nobody else to choose.
                overridable: method.display_preference.overridable.unwrap_or(true),
            })
        });
        StripeMethodConfig { id, methods: methods.collect() }
    }
}

/// An account has a default configuration of its own, and may have one for the platform (with `application`), which is the one
/// that counts for payments the platform makes.
pub(crate) async fn retrieve(stripe: &StripeClient, account_id: &str) -> Result<StripeMethodConfig, StripeError> {
    let request = spelling::list_payment_method_configuration();
    let found: List<Config> = stripe.ask(Some(account_id), request).await?;
    let mut defaults: Vec<_> = found.data.into_iter().filter(|config| config.says("is_default")).collect();
    defaults.sort_by_key(|config| config.field("application").is_none_or(Value::is_null));
    let default = defaults.into_iter().next();
    default
        .map(Config::into_port)
        .ok_or_else(|| StripeError::NotFound("the account has no default configuration of payment methods".to_owned()))
}

pub(crate) async fn update(
    stripe: &StripeClient,
    account_id: &str,
    config_id: &str,
    updates: &BTreeMap<String, bool>,
) -> Result<(), StripeError> {
    let request = spelling::update_payment_method_configuration(config_id, updates)?;
    let _: HasId = stripe.change_again(Some(account_id), request).await?;
    Ok(())
}
