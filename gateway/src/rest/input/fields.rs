//! The types that fields of inputs may have.

use std::{borrow::Cow, marker::PhantomData, str::FromStr};

use chrono::{DateTime, NaiveDate};
use postern_domain::{
    ApiKeyId, ContactChannelId, EmailDraftId, EmailId, KeySetId, LinkedAccountId, PurchaseId, SessionId, TeamId,
    TeamInvitationId, Timestamp, UserId, email_address::EmailAddress, identity::UserRef, patch::Patch,
    validation::holds_nul,
};
use serde_json::Value;
use utoipa::openapi::{
    RefOr, Schema, SchemaFormat,
    schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, SchemaType, Type},
};

use super::{Field, Violations};

impl<T: Field> Field for Option<T> {
    const REQUIRED: bool = false;

    fn schema() -> RefOr<Schema> {
        T::schema()
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        T::read(value, at, violations).map(Some)
    }

    fn absent(_: &str, _: &mut Violations) -> Option<Self> {
        Some(None)
    }

    fn null(at: &str, violations: &mut Violations) -> Option<Self> {
        T::null(at, violations).map(Some)
    }
}

/// A field that must be present but may be null.
#[derive(Debug)]
pub(crate) struct Nullable<T>(pub(crate) Option<T>);

impl<T: Field> Field for Nullable<T> {
    fn schema() -> RefOr<Schema> {
        or_null(T::schema())
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        T::read(value, at, violations).map(|value| Self(Some(value)))
    }

    fn null(_: &str, _: &mut Violations) -> Option<Self> {
        Some(Self(None))
    }
}

impl<T: Field> Field for Patch<T> {
    const REQUIRED: bool = false;

    fn schema() -> RefOr<Schema> {
        or_null(T::schema())
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        T::read(value, at, violations).map(Self::Set)
    }

    fn absent(_: &str, _: &mut Violations) -> Option<Self> {
        Some(Self::Keep)
    }

    fn null(_: &str, _: &mut Violations) -> Option<Self> {
        Some(Self::Clear)
    }
}

impl<T: Field> Field for Vec<T> {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new().items(T::schema()).into()
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        let Value::Array(values) = value else {
            violations.note(at, "must be an array");
            return None;
        };
        let mut read = Vec::with_capacity(values.len().min(1000));
        for (index, value) in values.into_iter().enumerate() {
            let at = format!("{at}[{index}]");
            let value = if value.is_null() { T::null(&at, violations) } else { T::read(value, &at, violations) };
            read.push(value);
        }
        // Collected only now, so that every element's violation is noted.
        read.into_iter().collect()
    }
}

/// Any JSON value, `null` included.
impl Field for Value {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(SchemaType::AnyValue).into()
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        if holds_nul(&value) {
            violations.note(at, "must not hold the character U+0000");
            return None;
        }
        Some(value)
    }

    fn null(_: &str, _: &mut Violations) -> Option<Self> {
        Some(Self::Null)
    }
}

impl Field for bool {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Boolean).into()
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        let flag = match &value {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) => match text.as_str() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            },
            Value::Number(number) => match number.as_f64() {
                Some(1.0) => Some(true),
                Some(0.0) => Some(false),
                _ => None,
            },
            _ => None,
        };
        noted(flag, at, "must be a boolean", violations)
    }
}

/// A whole number.
impl Field for i64 {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Integer).into()
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        let number = match &value {
            Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(whole)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        noted(number, at, "must be a whole number", violations)
    }
}

/// The float as an integer, where it holds one exactly.
fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and within the exact range of a float")]
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

/// A whole number of at least 1 and at most `MAX`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Positive<const MAX: u32 = { u32::MAX }>(pub(crate) u64);

impl<const MAX: u32> Field for Positive<MAX> {
    fn schema() -> RefOr<Schema> {
        let schema = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
        if MAX < u32::MAX { schema.maximum(Some(MAX)).into() } else { schema.into() }
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        let number = i64::read(value, at, violations)?;
        let most = if MAX < u32::MAX { u64::from(MAX) } else { u64::MAX };
        let number = u64::try_from(number).ok().filter(|number| (1..=most).contains(number)).map(Self);
        let text = if MAX < u32::MAX { format!("must be 1 to {MAX}") } else { "must be at least 1".to_owned() };
        noted(number, at, text, violations)
    }
}

/// The words that [`OneOf`] takes.
pub(crate) trait Words {
    /// All of them.
    const WORDS: &'static [&'static str];
}

/// One of a few words.
#[derive(Debug)]
pub(crate) struct OneOf<W> {
    /// The word.
    pub(crate) word: &'static str,
    words: PhantomData<W>,
}

impl<W: Words> Field for OneOf<W> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(W::WORDS.iter().copied())).into()
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        let text = String::read(value, at, violations)?;
        let word = W::WORDS.iter().find(|word| **word == text).map(|word| Self { word, words: PhantomData });
        noted(word, at, format!("must be one of {}", W::WORDS.join(", ")), violations)
    }
}

/// Text without a limit of its own beyond that of the body.
impl Field for String {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).into()
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            _ => {
                violations.note(at, "must be a string");
                return None;
            }
        };
        if text.contains('\0') {
            violations.note(at, "must not hold the character U+0000");
            return None;
        }
        Some(text)
    }
}

/// Text of at most `MAX` characters.
#[derive(Debug)]
pub(crate) struct Text<const MAX: usize>(pub(crate) String);

impl<const MAX: usize> Field for Text<MAX> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).max_length(Some(MAX)).into()
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        let text = String::read(value, at, violations)?;
        if text.chars().count() > MAX {
            violations.note(at, format!("must have at most {MAX} characters"));
            return None;
        }
        Some(Self(text))
    }
}

/// An e-mail address in the loose form (users, channels, sign-in), as typed.
#[derive(Debug)]
pub(crate) struct LooseEmail(pub(crate) String);

/// An e-mail address in the strict form (password sign-up, one-time codes), as typed.
#[derive(Debug)]
pub(crate) struct StrictEmail(pub(crate) String);

impl Field for LooseEmail {
    fn schema() -> RefOr<Schema> {
        formatted("email")
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        let text = String::read(value, at, violations)?;
        let fits = EmailAddress::loose(&text).is_ok();
        noted(fits.then_some(Self(text)), at, "must be an e-mail address", violations)
    }
}

impl Field for StrictEmail {
    fn schema() -> RefOr<Schema> {
        formatted("email")
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        let text = String::read(value, at, violations)?;
        let fits = EmailAddress::strict(&text).is_ok();
        noted(fits.then_some(Self(text)), at, "must be a full e-mail address", violations)
    }
}

/// An absolute URL without spaces, of at most `MAX` characters, as typed.
#[derive(Debug)]
pub(crate) struct UrlText<const MAX: usize = 1_000_000>(pub(crate) String);

impl<const MAX: usize> Field for UrlText<MAX> {
    fn schema() -> RefOr<Schema> {
        formatted("uri")
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        let Text(text) = Text::<MAX>::read(value, at, violations)?;
        let fits = !text.contains(char::is_whitespace) && url::Url::parse(&text).is_ok();
        noted(fits.then_some(Self(text)), at, "must be an absolute URL without spaces", violations)
    }
}

/// An instant, written as ISO 8601 has it with its offset, or a day alone, which begins in UTC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time(pub(crate) Timestamp);

impl Field for Time {
    fn schema() -> RefOr<Schema> {
        formatted("date-time")
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        let text = value.as_str().unwrap_or_default();
        let instant = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc().into()).ok();
        let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
        let time = instant.or_else(|| day().map(|day| day.and_utc().into()));
        noted(time.map(Self), at, "must be an instant such as 2030-01-31T12:00:00Z", violations)
    }
}

/// A user named by id, or `me` for the user of the access token.
impl Field for UserRef {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).description(Some("A user's id, or `me`.")).into()
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        if value.as_str() == Some("me") {
            return Some(Self::Me);
        }
        UserId::read(value, at, violations).map(Self::Id)
    }
}

macro_rules! ids {
    ($($id:ty),*) => {$(
        impl Field for $id {
    fn schema() -> RefOr<Schema> {
        formatted("uuid")
    }

            fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
                read_uuid(value, at, violations)
            }
        }
    )*};
}
ids!(
    UserId,
    TeamId,
    TeamInvitationId,
    SessionId,
    ContactChannelId,
    ApiKeyId,
    KeySetId,
    LinkedAccountId,
    EmailId,
    EmailDraftId,
    PurchaseId,
    uuid::Uuid
);

/// UUIDs of versions 1 to 5 with the RFC 4122 variant, or the nil UUID, in the hyphenated form.
fn read_uuid<T: FromStr>(value: Value, at: &str, violations: &mut Violations) -> Option<T> {
    let id = value.as_str().filter(|text| text.len() == 36).and_then(|text| {
        let id = uuid::Uuid::parse_str(text).ok()?;
        let fits = id.is_nil() || (matches!(id.get_version_num(), 1..=5) && id.get_variant() == uuid::Variant::RFC4122);
        fits.then(|| text.parse().ok()).flatten()
    });
    noted(id, at, "must be a UUID", violations)
}

/// Text of a known format.
fn formatted(format: &str) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::Custom(format.to_owned()))).into()
}

/// The shape, or `null`.
fn or_null(schema: RefOr<Schema>) -> RefOr<Schema> {
    OneOfBuilder::new().item(schema).item(ObjectBuilder::new().schema_type(Type::Null)).into()
}

fn noted<T>(value: Option<T>, at: &str, what: impl Into<Cow<'static, str>>, violations: &mut Violations) -> Option<T> {
    if value.is_none() {
        violations.note(at, what.into());
    }
    value
}
