//! What a call was given, read as its parameters are meant.

use serde_json::{Map, Value, json};

use crate::problem::Problem;

/// Parameters of one call; places in them are JSON pointers.
#[derive(Clone, Debug)]
pub(crate) struct Params(pub(crate) Value);

impl Params {
    /// Refuses names that the call does not have, as Stripe does.
    pub(crate) fn only(&self, names: &[&str]) -> Result<(), Problem> {
        let Some(given) = self.0.as_object() else { return Ok(()) };
        match given.keys().find(|name| *name != "expand" && !names.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(Problem {
                param: Some(name.clone()),
                ..Problem::invalid(Some("parameter_unknown"), format!("Received unknown parameter: {name}"))
            }),
        }
    }

    pub(crate) fn has(&self, place: &str) -> bool {
        self.0.pointer(place).is_some()
    }

    pub(crate) fn text(&self, place: &str) -> Option<&str> {
        self.0.pointer(place).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    pub(crate) fn required(&self, place: &str) -> Result<&str, Problem> {
        self.text(place).ok_or_else(|| Problem {
            param: Some(spelled(place)),
            ..Problem::invalid(Some("parameter_missing"), format!("Missing required param: {}.", spelled(place)))
        })
    }

    pub(crate) fn int(&self, place: &str) -> Result<Option<i64>, Problem> {
        let Some(text) = self.text(place) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Problem {
            param: Some(spelled(place)),
            ..Problem::invalid(Some("parameter_invalid_integer"), format!("Invalid integer: {text}"))
        })
    }

    pub(crate) fn required_int(&self, place: &str) -> Result<i64, Problem> {
        self.required(place)?;
        Ok(self.int(place)?.unwrap_or_default())
    }

    pub(crate) fn flag(&self, place: &str) -> Result<Option<bool>, Problem> {
        match self.text(place) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(text) => Err(Problem {
                param: Some(spelled(place)),
                ..Problem::invalid(None, format!("Invalid boolean: {text}"))
            }),
        }
    }

    /// Text or null.
    pub(crate) fn or_null(&self, place: &str) -> Value {
        self.text(place).map_or(Value::Null, Into::into)
    }

    /// Metadata of an object that is made.
    pub(crate) fn metadata(&self, place: &str) -> Result<Value, Problem> {
        self.merged_metadata(&json!({}), place)
    }

    /// Metadata of an object that is changed: named ones are set, emptied ones go, others stay.
    pub(crate) fn merged_metadata(&self, before: &Value, place: &str) -> Result<Value, Problem> {
        let mut merged = before.as_object().cloned().unwrap_or_default();
        match self.0.pointer(place) {
            Some(Value::Object(given)) => merge(&mut merged, given)?,
            Some(Value::String(text)) if text.is_empty() => merged.clear(),
            _ => (),
        }
        Ok(Value::Object(merged))
    }

    /// Which fields are to be shown whole, each as the names on the way to it.
    pub(crate) fn expands(&self) -> Vec<Vec<String>> {
        let expands = self.0.get("expand").and_then(Value::as_array).into_iter().flatten();
        expands.filter_map(Value::as_str).map(|path| path.split('.').map(str::to_owned).collect()).collect()
    }
}

fn merge(metadata: &mut Map<String, Value>, given: &Map<String, Value>) -> Result<(), Problem> {
    for (name, value) in given {
        let text = value.as_str().unwrap_or_default();
        if name.chars().count() > 40 || text.chars().count() > 500 {
            let message = format!("Metadata names have at most 40 characters and values 500: {name}");
            return Err(Problem::invalid(None, message));
        }
        if text.is_empty() {
            metadata.remove(name);
        } else {
            metadata.insert(name.clone(), value.clone());
        }
    }
    if metadata.len() > 50 {
        return Err(Problem::invalid(None, "Metadata can have at most 50 keys"));
    }
    Ok(())
}

/// `/a/b/0` as Stripe spells it: `a[b][0]`.
fn spelled(place: &str) -> String {
    let mut parts = place.trim_start_matches('/').split('/');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |spelled, part| format!("{spelled}[{part}]"))
}
