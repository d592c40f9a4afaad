//! Collecting what is wrong with an input, so that one answer names everything.

use std::fmt;

use serde_json::Value;

use crate::error::{Failure, Result, refuse};

/// What is wrong so far.
#[derive(Debug, Default)]
pub struct Violations(Vec<String>);

impl Violations {
    /// Notes that `field` breaks a rule: `must be …`.
    pub fn add(&mut self, field: &str, rule: impl fmt::Display) {
        self.0.push(format!("{field} {rule}"));
    }

    /// Notes it unless `holds`.
    pub fn require(&mut self, holds: bool, field: &str, rule: impl fmt::Display) {
        if !holds {
            self.add(field, rule);
        }
    }

    /// Takes the value, or notes why there is none.
    pub fn take<T>(&mut self, field: &str, value: Result<T, impl fmt::Display>) -> Option<T> {
        value.map_err(|rule| self.add(field, rule)).ok()
    }

    /// Notes text that is longer than `max_chars`, or that no database can hold.
    pub fn text(&mut self, field: &str, value: &str, max_chars: usize) {
        self.require(value.chars().count() <= max_chars, field, format_args!("must be at most {max_chars} characters"));
        self.storable(field, value);
    }

    /// Notes text with a zero character: PostgreSQL has no place for it in text.
    pub fn storable(&mut self, field: &str, value: &str) {
        self.require(!value.contains('\0'), field, "must not contain the character U+0000");
    }

    /// Notes JSON that holds such a text or key.
    pub fn json(&mut self, field: &str, value: &Value) {
        self.require(!holds_nul(value), field, "must not hold the character U+0000");
    }

    /// Ends the checks.
    ///
    /// # Errors
    /// `SCHEMA_ERROR` that names every violation, when there is one.
    pub fn finish(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { refuse(Failure::schema(self.0.join("; "))) }
    }
}

/// Whether a text has the form of a country's code (ISO 3166-1 alpha-2), in capitals or not.
#[must_use]
pub fn is_country_code(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// Whether a text or key within `value` holds U+0000, which PostgreSQL cannot store.
#[must_use]
pub fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(holds_nul),
        Value::Object(map) => map.iter().any(|(key, value)| key.contains('\0') || holds_nul(value)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_answer_names_everything() {
        let mut violations = Violations::default();
        violations.text("name", "abc\0", 3);
        violations.require(true, "fine", "must be fine");
        violations.json("fine", &serde_json::json!([{ "a": "b" }]));
        violations.json("data", &serde_json::json!([{ "a\0": 1 }]));
        assert_eq!(violations.take::<()>("mail", Err("must be mail")), None);
        let error = violations.finish().unwrap_err();
        assert_eq!(
            error.failure().unwrap().message,
            "name must be at most 3 characters; name must not contain the character U+0000; data must not hold the \
             character U+0000; mail must be mail"
        );
        assert!(Violations::default().finish().is_ok());
    }
}
