//! Fields that only payments have.

use std::collections::BTreeMap;

use postern_domain::payments::product::{ItemExpires, Never, Period, Repeat, Unit};
use serde_json::Value;
use utoipa::openapi::{
    RefOr, Schema,
    schema::{AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, Type},
};

use crate::rest::input::{Field, OneOf, Violations, Words};

/// The longest key that a project may choose, in characters.
const MAX_KEY_CHARS: usize = 63;
/// The most entries of one object: the domain takes fewer, and says so.
const MAX_ENTRIES: usize = 1_000;

/// Values by keys that the caller chooses: letters, digits, `_` and `-`, no leading `-`.
#[derive(Debug)]
pub(super) struct Entries<T>(pub(super) BTreeMap<String, T>);

impl<T: Field> Field for Entries<T> {
    fn schema() -> RefOr<Schema> {
        let values = AdditionalProperties::RefOr(T::schema());
        ObjectBuilder::new().schema_type(Type::Object).additional_properties(Some(values)).into()
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        let Value::Object(object) = value else {
            violations.note(at, "must be an object");
            return None;
        };
        if object.len() > MAX_ENTRIES {
            violations.note(at, format!("must have at most {MAX_ENTRIES} keys"));
            return None;
        }
        let mut entries = Vec::with_capacity(object.len());
        for (key, value) in object {
            if !is_key(&key) {
                let shown: String = key.chars().take(MAX_KEY_CHARS).collect();
                violations
                    .note(at, format!("has the key {shown:?}, which is not letters, digits, _ and -, at most 63"));
                entries.push(None);
                continue;
            }
            let at = format!("{at}.{key}");
            let value = if value.is_null() { T::null(&at, violations) } else { T::read(value, &at, violations) };
            entries.push(value.map(|value| (key, value)));
        }
        // Collected only now, so that the violations of every entry are noted.
        entries.into_iter().collect::<Option<_>>().map(Self)
    }
}

fn is_key(text: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=MAX_KEY_CHARS).contains(&text.len()) && !text.starts_with('-') && text.bytes().all(is_fine)
}

/// A number and a unit: `[1, "month"]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct PeriodField(pub(super) Period);

impl Field for PeriodField {
    fn schema() -> RefOr<Schema> {
        let unit = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["day", "week", "month", "year"]));
        let part = OneOfBuilder::new().item(i64::schema()).item(unit);
        ArrayBuilder::new().items(part).min_items(Some(2)).max_items(Some(2)).into()
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        let Some(Ok([count, unit])) = (match value {
            Value::Array(parts) => Some(<[Value; 2]>::try_from(parts)),
            _ => None,
        }) else {
            violations.note(at, "must be a number and a unit, such as [1, \"month\"]");
            return None;
        };
        let count = i64::read(count, &format!("{at}[0]"), violations);
        let count = count.and_then(|count| {
            let count = u64::try_from(count).ok();
            if count.is_none() {
                violations.note(&format!("{at}[0]"), "must be at least 0");
            }
            count
        });
        let unit = match unit.as_str() {
            Some("day") => Some(Unit::Day),
            Some("week") => Some(Unit::Week),
            Some("month") => Some(Unit::Month),
            Some("year") => Some(Unit::Year),
            _ => {
                violations.note(&format!("{at}[1]"), "must be one of day, week, month, year");
                None
            }
        };
        Some(Self(Period(count?, unit?)))
    }
}

/// `never`, or a period.
#[derive(Clone, Copy, Debug)]
pub(super) struct RepeatField(pub(super) Repeat);

impl Field for RepeatField {
    fn schema() -> RefOr<Schema> {
        let never = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["never"]));
        OneOfBuilder::new().item(never).item(PeriodField::schema()).into()
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        if value.as_str() == Some("never") {
            return Some(Self(Repeat::Never(Never::Never)));
        }
        PeriodField::read(value, at, violations).map(|PeriodField(period)| Self(Repeat::Every(period)))
    }
}

/// When what was granted is lost.
#[derive(Debug)]
pub(super) struct ExpiryWords;

impl Words for ExpiryWords {
    const WORDS: &'static [&'static str] = &["never", "when-purchase-expires", "when-repeated"];
}

/// What the word says.
pub(super) fn expires(word: &OneOf<ExpiryWords>) -> ItemExpires {
    match word.word {
        "when-purchase-expires" => ItemExpires::WhenPurchaseExpires,
        "when-repeated" => ItemExpires::WhenRepeated,
        _ => ItemExpires::Never,
    }
}

/// `on` or `off`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Switch(pub(super) bool);

impl Field for Switch {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["on", "off"])).into()
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        match value.as_str() {
            Some("on") => Some(Self(true)),
            Some("off") => Some(Self(false)),
            _ => {
                violations.note(at, "must be on or off");
                None
            }
        }
    }
}
