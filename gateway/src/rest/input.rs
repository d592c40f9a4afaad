//! Reading requests: JSON, forms, queries and path parameters into typed inputs.
//!
//! The contract wants more than serde gives: *all* violations in one answer, and scalars coerced (numbers written as
//! strings, `"true"`/`"1"` for booleans, numbers and booleans where text is wanted; wire requests-and-errors §5). So an
//! input is declared with [`input!`], whose fields are read one by one by [`Field`], and every violation is noted in
//! [`Violations`].

mod fields;

use postern_domain::Failure;
use serde_json::{Map, Value};
use utoipa::openapi::{
    RefOr, Schema,
    schema::{AdditionalProperties, ObjectBuilder},
};

pub(crate) use fields::{LooseEmail, Nullable, OneOf, Positive, StrictEmail, Text, Time, UrlText, Words};

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

#[cfg(test)]
mod tests;
