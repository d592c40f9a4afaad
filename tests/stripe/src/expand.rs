//! Objects as answers show them: others by their ids, unless the call asks to have them whole.

use serde_json::{Map, Value};

use crate::{problem::Problem, state::Objects};

/// Fields of invoices that are only there when asked for.
const WHEN_ASKED: [&str; 2] = ["confirmation_secret", "payments"];

/// The object, showing no more than it must.
pub(crate) fn bare(object: &Value) -> Value {
    let mut object = object.clone();
    hide(&mut object, &[]);
    object
}

/// The object or list, with these paths shown whole.
///
/// # Errors
/// A path names nothing that could be.
pub(crate) fn show(objects: &Objects, value: &Value, paths: &[Vec<String>]) -> Result<Value, Problem> {
    if let Value::Array(items) = value {
        return items.iter().map(|item| show(objects, item, paths)).collect();
    }
    let mut shown = value.clone();
    hide(&mut shown, paths);
    let Some(fields) = shown.as_object_mut() else { return Ok(shown) };
    if let Some(Value::Array(data)) = fields.get("data") {
        // Invoices within a list hide as much as alone.
        let bare: Vec<_> =
            data.iter().map(|item| show(objects, item, &below(paths, "data"))).collect::<Result<_, _>>()?;
        fields.insert("data".to_owned(), Value::Array(bare));
    }
    for path in paths {
        let Some(name) = path.first().filter(|name| *name != "data") else { continue };
        let whole = match fields.get(name) {
            Some(Value::String(id)) => objects.get(id).ok_or_else(|| cannot(name))?,
            Some(inner) => inner,
            // Lists may hold objects of several kinds; single ones must have it.
            None if value.get("deleted").is_some() => continue,
            None => return Err(cannot(name)),
        };
        let whole = show(objects, whole, &below(paths, name))?;
        fields.insert(name.clone(), whole);
    }
    Ok(shown)
}

fn cannot(name: &str) -> Problem {
    Problem::invalid(None, format!("This property cannot be expanded ({name})."))
}

fn below(paths: &[Vec<String>], name: &str) -> Vec<Vec<String>> {
    let within = paths.iter().filter(|path| path.first().is_some_and(|first| first == name));
    within.filter_map(|path| path.get(1..)).filter(|rest| !rest.is_empty()).map(<[String]>::to_vec).collect()
}

fn hide(object: &mut Value, paths: &[Vec<String>]) {
    let Some(fields) = object.as_object_mut().filter(|fields| is_invoice(fields)) else { return };
    for name in WHEN_ASKED {
        if !paths.iter().any(|path| path.first().is_some_and(|first| first == name)) {
            fields.remove(name);
        }
    }
}

fn is_invoice(fields: &Map<String, Value>) -> bool {
    fields.get("object").and_then(Value::as_str) == Some("invoice")
}
