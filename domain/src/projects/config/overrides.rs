//! What a level stores: one sparse object whose top-level keys may be dotted paths (wire: projects-config-webhooks §3).
//! Reading it from text, checking it, combining levels, taking keys out. Pure; storing is `store.rs`, rendering `render.rs`.

use serde_json::{Map, Value};

use super::schema::{self, ConfigLevel, Node};
use crate::error::{Failure, Result, refuse};

/// Longest text of an override.
pub const MAX_OVERRIDE_CHARS: usize = 5_000_000;

/// The override that `text` writes out, checked for `level`.
///
/// # Errors
/// `BAD_REQUEST` that says what is wrong and under which key.
pub(super) fn parse(level: ConfigLevel, text: &str) -> Result<Map<String, Value>> {
    if text.chars().count() > MAX_OVERRIDE_CHARS {
        return too_long();
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(given)) => {
            check(level, &given)?;
            Ok(given)
        }
        Ok(_) => refuse(Failure::bad_request("a config override must be a JSON object")),
        Err(error) => refuse(Failure::bad_request(format!("the config override is not valid JSON: {error}"))),
    }
}

pub(super) fn too_long<T>() -> Result<T> {
    refuse(Failure::bad_request(format!("a config override has at most {MAX_OVERRIDE_CHARS} characters")))
}

/// Whether `level` may store `given`. Only types, enumerations, UUIDs and the grammar of keys are checked: lengths, ranges
/// and what belongs together are not.
///
/// # Errors
/// `BAD_REQUEST` that names the first key that does not fit.
pub(super) fn check(level: ConfigLevel, given: &Map<String, Value>) -> Result<()> {
    for (path, value) in given {
        let mut node = schema::root();
        let dotted = path.contains('.');
        for segment in path.split('.') {
            check_segment(path, segment)?;
            node = known(level, path, node.child(segment, dotted))?;
        }
        check_value(level, path, node, value)?;
    }
    Ok(())
}

fn check_value(level: ConfigLevel, path: &str, node: &Node, value: &Value) -> Result<()> {
    match value {
        Value::Null => Ok(()),
        Value::Object(inside) if !matches!(node.inside, schema::Inside::Nothing) => {
            for (key, value) in inside {
                let path = format!("{path}.{key}");
                if key.contains('.') {
                    return wrong(&path, "a key inside an object must not have dots");
                }
                check_segment(&path, key)?;
                check_value(level, &path, known(level, &path, node.child(key, false))?, value)?;
            }
            Ok(())
        }
        // PostgreSQL has no place for it in text.
        Value::String(text) if text.contains('\0') => wrong(path, "must not hold the character U+0000"),
        value if node.takes(value) => Ok(()),
        _ => {
            let mut wanted: Vec<String> = node.kinds.iter().map(|kind| kind.describe()).collect();
            if !matches!(node.inside, schema::Inside::Nothing) {
                wanted.push("an object".to_owned());
            }
            wrong(path, &format!("must be {}", wanted.join(", or ")))
        }
    }
}

fn check_segment(path: &str, segment: &str) -> Result<()> {
    if segment.is_empty() {
        return wrong(path, "a key must not be empty");
    }
    if segment.starts_with('-') {
        return wrong(path, "a key must not begin with -");
    }
    if !segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"_:$-".contains(&b)) {
        return wrong(path, "a key may have letters, digits, _, :, $, - and dots only");
    }
    Ok(())
}

/// `node`, when it is there and `level` may set something in it.
fn known<'a>(level: ConfigLevel, path: &str, node: Option<&'a Node>) -> Result<&'a Node> {
    match node {
        Some(node) if node.settable(level) => Ok(node),
        _ => wrong(path, &format!("there is no such setting at level {}", level.as_str())),
    }
}

fn wrong<T>(path: &str, why: &str) -> Result<T> {
    // The key is the caller's own text: cut, so that the answer stays small.
    let path: String = path.chars().take(200).collect();
    refuse(Failure::bad_request(format!("config key {path:?}: {why}")))
}

/// `earlier` with `later` over it: a later key replaces itself and everything below it. An earlier object is not opened, so
/// `{a: {b: 1}}` under `a.b: 2` keeps both entries.
pub(super) fn combine(earlier: &mut Map<String, Value>, later: Map<String, Value>) {
    earlier.retain(|key, _| !covers_any(&later, key));
    earlier.extend(later);
}

/// Whether `key`, or a prefix of it that ends before a dot, is among `keys`.
fn covers_any(keys: &Map<String, Value>, key: &str) -> bool {
    keys.contains_key(key)
        || key.match_indices('.').any(|(dot, _)| key.get(..dot).is_some_and(|up| keys.contains_key(up)))
}

/// Takes each of `keys` and everything below it out of `stored`, inside objects too; an object that this leaves empty goes
/// as well. What is not there is not missed.
pub(super) fn reset(stored: &mut Map<String, Value>, keys: &[String]) {
    for key in keys {
        stored.retain(|path, value| {
            if is_at_or_below(path, key) {
                return false;
            }
            let Some(rest) = key.strip_prefix(path.as_str()).and_then(|rest| rest.strip_prefix('.')) else {
                return true;
            };
            !take_out(value, rest)
        });
    }
}

fn is_at_or_below(path: &str, key: &str) -> bool {
    path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Takes `path` out of `value`; answers whether that emptied it.
fn take_out(value: &mut Value, path: &str) -> bool {
    let Value::Object(object) = value else { return false };
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let gone = match (object.get_mut(first), rest) {
        (None, _) => return false,
        (Some(_), None) => true,
        (Some(inner), Some(rest)) => take_out(inner, rest),
    };
    if gone {
        object.remove(first);
    }
    gone && object.is_empty()
}
