//! Types of fields that only the Svix routes have.

use std::collections::BTreeMap;

use postern_domain::patch::Patch;
use secrecy::SecretString;
use serde_json::Value;
use utoipa::openapi::{
    RefOr, Schema,
    schema::{AdditionalProperties, ObjectBuilder, Type},
};

use crate::rest::input::{Field, Violations};

/// Headers by name; null removes one.
pub(super) struct Headers(pub(super) BTreeMap<String, Patch<SecretString>>);

impl Field for Headers {
    fn schema() -> RefOr<Schema> {
        let values = AdditionalProperties::RefOr(String::schema());
        ObjectBuilder::new().schema_type(Type::Object).additional_properties(Some(values)).into()
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        let Value::Object(object) = value else {
            violations.note(at, "must be an object");
            return None;
        };
        let mut headers = BTreeMap::new();
        for (name, value) in object {
            let value = match value {
                Value::Null => Patch::Clear,
                Value::String(text) => Patch::Set(text.into()),
                _ => {
                    violations.note(at, "must be an object of strings");
                    return None;
                }
            };
            headers.insert(name, value);
        }
        Some(Self(headers))
    }
}

/// Metadata, which endpoints of ours do not have: taken while it says nothing, and not lost silently.
pub(super) struct NoMetadata;

impl Field for NoMetadata {
    fn schema() -> RefOr<Schema> {
        let none = AdditionalProperties::FreeForm(false);
        ObjectBuilder::new().schema_type(Type::Object).additional_properties(Some(none)).into()
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        if value.as_object().is_some_and(serde_json::Map::is_empty) {
            return Some(Self);
        }
        violations.note(at, "must be an empty object: endpoints keep no metadata");
        None
    }
}

/// An id of the caller's own, which endpoints of ours do not have.
pub(super) struct NoUid;

impl Field for NoUid {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Null).into()
    }

    fn read(_: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        violations.note(at, "must be null: endpoints have no id but their own");
        None
    }

    fn null(_: &str, _: &mut Violations) -> Option<Self> {
        Some(Self)
    }
}

/// `status` of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StatusWord {
    Success,
    Pending,
    Fail,
    Sending,
}

impl Field for StatusWord {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([0, 1, 2, 3])).into()
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        let word = match i64::read(value, at, violations)? {
            0 => Some(Self::Success),
            1 => Some(Self::Pending),
            2 => Some(Self::Fail),
            3 => Some(Self::Sending),
            _ => None,
        };
        if word.is_none() {
            violations.note(at, "must be 0 (success), 1 (pending), 2 (fail) or 3 (sending)");
        }
        word
    }
}

/// `status_code_class` of a filter: the hundred.
#[derive(Clone, Copy, Debug)]
pub(super) struct StatusClass(pub(super) u8);

impl Field for StatusClass {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([0, 100, 200, 300, 400, 500])).into()
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        let number = i64::read(value, at, violations)?;
        let class = (number % 100 == 0).then_some(number / 100).and_then(|class| u8::try_from(class).ok());
        let class = class.filter(|class| *class <= 5).map(Self);
        if class.is_none() {
            violations.note(at, "must be 0, 100, 200, 300, 400 or 500");
        }
        class
    }
}
