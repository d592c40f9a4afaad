//! Reading requests: JSON, forms, queries and path parameters into typed inputs.
//!
//! The contract wants more than serde gives: *all* violations in one answer, and scalars coerced (numbers written as
//! strings, `"true"`/`"1"` for booleans, numbers and booleans where text is wanted; wire requests-and-errors §5). So an
//! input is declared with [`input!`], whose fields are read one by one by [`Field`], and every violation is noted in
//! [`Violations`].

use std::{borrow::Cow, marker::PhantomData, str::FromStr};

use postern_domain::{
    ContactChannelId, EmailId, Failure, KeySetId, SessionId, TeamId, UserId, email_address::EmailAddress,
    identity::UserRef, patch::Patch,
};
use serde_json::{Map, Value};
use utoipa::openapi::{
    RefOr, Schema, SchemaFormat,
    schema::{AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, SchemaType, Type},
};

/// How many violations one answer names; the rest are counted.
const MAX_VIOLATIONS: usize = 50;

/// What is wrong with a request, collected over path, query and body.
#[derive(Debug, Default)]
pub(crate) struct Violations {
    texts: Vec<String>,
    more: usize,
}

impl Violations {
    /// Notes that the value `at` does not fit.
    pub(crate) fn note(&mut self, at: &str, what: impl AsRef<str>) {
        if self.texts.len() < MAX_VIOLATIONS {
            self.texts.push(format!("{at} {}", what.as_ref()));
        } else {
            self.more += 1;
        }
    }

    /// The refusal that names all of them for the request `METHOD /path`; nothing when there are none.
    pub(crate) fn into_failure(self, request: &str) -> Option<Failure> {
        if self.texts.is_empty() {
            return None;
        }
        let mut message = format!("{request}: the request does not fit its schema:");
        for text in &self.texts {
            message.push_str("\n  - ");
            message.push_str(text);
        }
        if self.more > 0 {
            message.push_str(&format!("\n  - and {} more", self.more));
        }
        Some(Failure::schema(message))
    }
}

/// A type that a field of an input may have. Each answers `None` after it has noted a violation.
pub(crate) trait Field: Sized {
    /// Whether a request without the field is refused; for the OpenAPI document.
    const REQUIRED: bool = true;

    /// The shape of the field; for the OpenAPI document.
    fn schema() -> RefOr<Schema>;

    /// Reads a present, non-null value.
    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self>;

    /// What an absent field means; by default a violation.
    fn absent(at: &str, violations: &mut Violations) -> Option<Self> {
        violations.note(at, "is required");
        None
    }

    /// What `null` means; by default a violation.
    fn null(at: &str, violations: &mut Violations) -> Option<Self> {
        violations.note(at, "must not be null");
        None
    }
}

/// An object of fields, declared by [`input!`]: a body, a query, path parameters, or an object inside a body.
pub(crate) trait Object: Sized {
    /// Whether a request without any object may be read as an empty one.
    const MAY_BE_ABSENT: bool = false;

    /// Name, shape and necessity of each field; for the OpenAPI document.
    fn fields() -> Vec<(&'static str, RefOr<Schema>, bool)>;

    /// The shape of the object; for the OpenAPI document.
    fn schema() -> RefOr<Schema> {
        let mut object = ObjectBuilder::new().additional_properties(Some(AdditionalProperties::FreeForm(false)));
        for (name, schema, required) in Self::fields() {
            object = object.property(name, schema);
            if required {
                object = object.required(name);
            }
        }
        object.into()
    }

    /// Takes the fields out of `object` and notes what is wrong, unknown keys included.
    fn read_object(object: Map<String, Value>, at: &str, violations: &mut Violations) -> Option<Self>;
}

/// Declares an input: a struct whose fields are read by [`Field`], under their names or another one (`name as "Name"`).
/// Unknown keys are violations. No `Debug` is derived, because inputs hold passwords and codes.
macro_rules! input {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$field_meta:meta])* $field:ident $(as $key:literal)? : $type:ty),* $(,)?
    }) => {
        $(#[$meta])*
        $vis struct $name { $($(#[$field_meta])* pub(crate) $field: $type,)* }

        impl $crate::rest::input::Object for $name {
            fn fields() -> Vec<(&'static str, utoipa::openapi::RefOr<utoipa::openapi::Schema>, bool)> {
                vec![$((
                    $crate::rest::input::key!($field $($key)?),
                    <$type as $crate::rest::input::Field>::schema(),
                    <$type as $crate::rest::input::Field>::REQUIRED,
                )),*]
            }

            fn read_object(
                mut object: serde_json::Map<String, serde_json::Value>,
                at: &str,
                violations: &mut $crate::rest::input::Violations,
            ) -> Option<Self> {
                $(let $field = $crate::rest::input::take::<$type>(
                    &mut object,
                    $crate::rest::input::key!($field $($key)?),
                    at,
                    violations,
                );)*
                $crate::rest::input::refuse_unknown(&object, at, violations);
                Some(Self { $($field: $field?,)* })
            }
        }

        impl $crate::rest::input::Field for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                <Self as $crate::rest::input::Object>::schema()
            }

            fn read(
                value: serde_json::Value,
                at: &str,
                violations: &mut $crate::rest::input::Violations,
            ) -> Option<Self> {
                $crate::rest::input::read_nested(value, at, violations)
            }
        }
    };
}

/// The key of a field on the wire: its own name, or another that was given.
macro_rules! key {
    ($field:ident $key:literal) => {
        $key
    };
    ($field:ident) => {
        stringify!($field).trim_start_matches("r#")
    };
}
pub(crate) use input;
pub(crate) use key;

/// Takes the field `key` out of `object`.
pub(crate) fn take<T: Field>(
    object: &mut Map<String, Value>,
    key: &str,
    at: &str,
    violations: &mut Violations,
) -> Option<T> {
    let at = format!("{at}.{key}");
    match object.remove(key) {
        None => T::absent(&at, violations),
        Some(Value::Null) => T::null(&at, violations),
        Some(value) => T::read(value, &at, violations),
    }
}

/// Notes every key that no field has taken.
pub(crate) fn refuse_unknown(object: &Map<String, Value>, at: &str, violations: &mut Violations) {
    for key in object.keys() {
        let key: String = key.chars().take(100).collect();
        violations.note(at, format!("has the unknown key {key:?}"));
    }
}

/// Reads an object that stands inside another one.
pub(crate) fn read_nested<T: Object>(value: Value, at: &str, violations: &mut Violations) -> Option<T> {
    if let Value::Object(object) = value {
        return T::read_object(object, at, violations);
    }
    violations.note(at, "must be an object");
    None
}

/// No keys at all: an endpoint whose query or body is declared and empty.
#[derive(Debug)]
pub(crate) struct Empty;

impl Object for Empty {
    fn fields() -> Vec<(&'static str, RefOr<Schema>, bool)> {
        Vec::new()
    }

    fn read_object(object: Map<String, Value>, at: &str, violations: &mut Violations) -> Option<Self> {
        refuse_unknown(&object, at, violations);
        Some(Self)
    }
}

/// Whatever is sent, or nothing: an endpoint that declares no such schema.
#[derive(Debug)]
pub(crate) struct Ignored;

impl Object for Ignored {
    const MAY_BE_ABSENT: bool = true;

    fn fields() -> Vec<(&'static str, RefOr<Schema>, bool)> {
        Vec::new()
    }

    fn read_object(_: Map<String, Value>, _: &str, _: &mut Violations) -> Option<Self> {
        Some(Self)
    }
}

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

/// A whole number of at least 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Positive(pub(crate) u64);

impl Field for Positive {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).into()
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        let number = i64::read(value, at, violations)?;
        let number = u64::try_from(number).ok().filter(|number| *number > 0).map(Self);
        noted(number, at, "must be at least 1", violations)
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
ids!(UserId, TeamId, SessionId, ContactChannelId, KeySetId, EmailId, uuid::Uuid);

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

/// Whether a text or key within `value` holds U+0000, which PostgreSQL cannot store.
fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(holds_nul),
        Value::Object(map) => map.iter().any(|(key, value)| key.contains('\0') || holds_nul(value)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    input! {
        /// Everything at once.
        #[derive(Debug)]
        struct Sample {
            name: Text<3>,
            flag: Option<bool>,
            count: Option<i64>,
            note: Patch<String>,
            id: Option<UserRef>,
            r#type: Option<String>,
            inner: Option<Inner>,
            list: Option<Vec<i64>>,
        }
    }
    input! {
        #[derive(Debug)]
        #[expect(dead_code, reason = "only the violations are looked at")]
        struct Inner { mail: LooseEmail }
    }

    fn read(value: Value) -> Result<Sample, String> {
        let mut violations = Violations::default();
        let sample = read_nested::<Sample>(value, "body", &mut violations);
        match violations.into_failure("POST /sample") {
            Some(failure) => Err(failure.message.into_owned()),
            None => Ok(sample.unwrap()),
        }
    }

    #[test]
    fn scalars_are_coerced() {
        let sample = read(json!({"name": 12, "flag": "1", "count": "7", "type": true, "list": [1.0, "2"]})).unwrap();
        assert_eq!(sample.name.0, "12");
        assert_eq!((sample.flag, sample.count), (Some(true), Some(7)));
        assert_eq!(sample.r#type.as_deref(), Some("true"));
        assert_eq!(sample.list, Some(vec![1, 2]));
        assert!(matches!(sample.note, Patch::Keep));
        assert!(sample.id.is_none() && sample.inner.is_none());
    }

    #[test]
    fn missing_null_and_set_are_three_things() {
        assert!(matches!(read(json!({"name": "a", "note": null})).unwrap().note, Patch::Clear));
        assert!(matches!(read(json!({"name": "a", "note": ""})).unwrap().note, Patch::Set(text) if text.is_empty()));
        assert!(read(json!({"name": "a", "flag": null})).unwrap_err().contains("body.flag must not be null"));
    }

    #[test]
    fn all_violations_are_named() {
        let message = read(json!({
            "name": "long", "flag": "yes", "count": 1.5, "id": "123", "inner": {"mail": "x", "other": 1},
            "list": [1, "x", null], "extra": {}, "note": "a\u{0}b",
        }))
        .unwrap_err();
        for part in [
            "POST /sample",
            "body.name must have at most 3",
            "body.flag must be a boolean",
            "body.count must be a whole",
            "body.id must be a UUID",
            "body.inner.mail must be an e-mail",
            "body.inner has the unknown key \"other\"",
            "body.list[1] must be",
            "body.list[2] must not be null",
            "body has the unknown key \"extra\"",
            "U+0000",
        ] {
            assert!(message.contains(part), "{part} is not named in {message}");
        }
    }

    #[test]
    fn only_rfc_uuids_are_ids() {
        let read = |text: &str| UserRef::read(json!(text), "id", &mut Violations::default());
        assert_eq!(read("me"), Some(UserRef::Me));
        assert!(read("00000000-0000-0000-0000-000000000000").is_some());
        assert!(read("6C7D9F2E-8C11-4D0D-9A55-0B3B0C6F6C55").is_some());
        assert!(read("6c7d9f2e-8c11-7d0d-9a55-0b3b0c6f6c55").is_none());
        assert!(read("6c7d9f2e8c114d0d9a550b3b0c6f6c55").is_none());
    }
}
