//! Scalars of the schema, and typed ids as `ID`.

use std::{fmt::Display, str::FromStr};

use async_graphql::{ID, InputValueError, InputValueResult, MaybeUndefined, Scalar, ScalarType, Value};
use chrono::SecondsFormat;
use postern_domain::{Failure, Timestamp, items::MAX_QUANTITY, patch::Patch};

use super::error::{Error, Result};

/// An instant as RFC 3339 text in UTC, to the millisecond: `2030-01-31T12:00:00.000Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DateTime(pub(crate) Timestamp);

impl From<Timestamp> for DateTime {
    fn from(time: Timestamp) -> Self {
        Self(time)
    }
}

/// An instant as RFC 3339 text in UTC, to the millisecond: `2030-01-31T12:00:00.000Z`.
#[Scalar(specified_by_url = "https://scalars.graphql.org/andimarek/date-time.html")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        let time = chrono::DateTime::parse_from_rfc3339(text).map_err(InputValueError::custom)?;
        Ok(Self(time.to_utc().into()))
    }

    fn to_value(&self) -> Value {
        self.0.to_utc().map_or(Value::Null, |time| time.to_rfc3339_opts(SecondsFormat::Millis, true).into())
    }
}

/// A whole number from -(2^53 - 1) to 2^53 - 1, which every number of JavaScript holds exactly; `Int` has 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SafeInt(pub(crate) i64);

/// A whole number from -(2^53 - 1) to 2^53 - 1, which every number of JavaScript holds exactly; `Int` has 32 bits.
#[Scalar]
impl ScalarType for SafeInt {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::Number(number) = &value else { return Err(InputValueError::expected_type(value)) };
        match number.as_i64() {
            Some(number) if number.unsigned_abs() <= MAX_QUANTITY.unsigned_abs() => Ok(Self(number)),
            _ => Err(InputValueError::custom(format!(
                "must be a whole number within -{MAX_QUANTITY} and {MAX_QUANTITY}"
            ))),
        }
    }

    fn to_value(&self) -> Value {
        self.0.into()
    }
}

/// Ids of the domain as GraphQL shows them.
pub(crate) trait IntoId {
    /// The same id as over REST.
    fn into_id(self) -> ID;
}

impl<T: Display> IntoId for T {
    fn into_id(self) -> ID {
        ID(self.to_string())
    }
}

/// JSON that may be null, which in the schema is no value.
pub(crate) fn json(value: &serde_json::Value) -> Option<&serde_json::Value> {
    Some(value).filter(|value| !value.is_null())
}

/// What an input says about a field that may be left out.
pub(crate) fn patch<T>(value: MaybeUndefined<T>) -> Patch<T> {
    match value {
        MaybeUndefined::Undefined => Patch::Keep,
        MaybeUndefined::Null => Patch::Clear,
        MaybeUndefined::Value(value) => Patch::Set(value),
    }
}

/// The id in the form that its type has; a malformed one is told by the name of its argument.
///
/// # Errors
/// `BAD_USER_INPUT` when it is not such an id.
pub(crate) fn parse_id<T: FromStr>(id: &ID, argument: &str) -> Result<T> {
    id.parse().map_err(|_| Error::bad_input(format!("`{argument}` is no valid id: {}", shown(id))))
}

/// An id that names nothing the caller may see.
pub(crate) fn no_such(what: &str) -> Failure {
    Failure::not_found(format!("There is no such {what}."))
}

/// What a caller sent, cut to a length that fits a message.
pub(crate) fn shown(text: &str) -> String {
    const MAX_CHARS: usize = 60;
    if text.chars().count() <= MAX_CHARS {
        return text.to_owned();
    }
    text.chars().take(MAX_CHARS).chain("…".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_utc_to_the_millisecond() {
        let parsed = DateTime::parse(Value::from("2030-01-31T13:00:00.5+01:00")).unwrap();
        assert_eq!(parsed.to_value(), Value::from("2030-01-31T12:00:00.500Z"));
        assert!(DateTime::parse(Value::from("yesterday")).is_err());
        assert!(DateTime::parse(Value::from(1)).is_err());
    }

    #[test]
    fn whole_numbers_are_those_that_every_client_can_hold() {
        let max = 9_007_199_254_740_991_i64;
        assert_eq!(SafeInt::parse(Value::from(-max)).unwrap().to_value(), Value::from(-max));
        for wrong in [Value::from(max + 1), Value::from(1.5), Value::from("1"), Value::Null] {
            assert!(SafeInt::parse(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_shown_back_is_short() {
        assert_eq!(shown(&"ä".repeat(1000)).chars().count(), 61);
    }
}
