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
    let mut wrong = Wrong::up_to(1);
    check_all(level, given, &mut wrong);
    match wrong.into_iter().next() {
        None => Ok(()),
        Some((path, why)) => refuse(Failure::bad_request(format!("config key {path:?}: {why}"))),
    }
}

/// The same, naming all keys that do not fit.
pub(super) fn check_all(level: ConfigLevel, given: &Map<String, Value>, wrong: &mut Wrong) {
    for (path, value) in given {
        if wrong.is_full() {
            return;
        }
        if let Some(node) = find(level, path, wrong) {
            check_value(level, path, node, value, wrong);
        }
    }
}

/// Keys that do not fit, and why, as many as are wanted.
pub(super) struct Wrong {
    found: Vec<(String, String)>,
    most: usize,
}

impl Wrong {
    /// None yet, and `most` at the end.
    pub(super) fn up_to(most: usize) -> Self {
        Self { found: Vec::new(), most }
    }

    fn is_full(&self) -> bool {
        self.found.len() >= self.most
    }

    fn note(&mut self, path: &str, why: impl Into<String>) {
        if !self.is_full() {
            // The key is the caller's own text: cut, so that the answer stays small.
            self.found.push((path.chars().take(200).collect(), why.into()));
        }
    }

    /// Each key with why it does not fit.
    pub(super) fn into_iter(self) -> impl Iterator<Item = (String, String)> {
        self.found.into_iter()
    }
}

/// The place that a dotted path leads to.
fn find(level: ConfigLevel, path: &str, wrong: &mut Wrong) -> Option<&'static Node> {
    let dotted = path.contains('.');
    path.split('.').try_fold(schema::root(), |node, segment| {
        fits(path, segment, wrong).then_some(())?;
        known(level, path, node.child(segment, dotted), wrong)
    })
}

fn check_value(level: ConfigLevel, path: &str, node: &Node, value: &Value, wrong: &mut Wrong) {
    match value {
        Value::Null => {}
        Value::Object(inside) if !matches!(node.inside, schema::Inside::Nothing) => {
            for (key, value) in inside {
                let path = format!("{path}.{key}");
                if key.contains('.') {
                    wrong.note(&path, "a key inside an object must not have dots");
                } else if fits(&path, key, wrong)
                    && let Some(node) = known(level, &path, node.child(key, false), wrong)
                {
                    check_value(level, &path, node, value, wrong);
                }
                if wrong.is_full() {
                    return;
                }
            }
        }
        // PostgreSQL has no place for it in text.
        value if crate::validation::holds_nul(value) => wrong.note(path, "must not hold the character U+0000"),
        value if node.takes(value) => {}
        _ => {
            let mut wanted: Vec<String> = node.kinds.iter().map(|kind| kind.describe()).collect();
            if !matches!(node.inside, schema::Inside::Nothing) {
                wanted.push("an object".to_owned());
            }
            wrong.note(path, format!("must be {}", wanted.join(", or ")));
        }
    }
}

/// Whether a key has the characters of one.
fn fits(path: &str, segment: &str, wrong: &mut Wrong) -> bool {
    let why = if segment.is_empty() {
        "a key must not be empty"
    } else if segment.starts_with('-') {
        "a key must not begin with -"
    } else if !segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"_:$-".contains(&b)) {
        "a key may have letters, digits, _, :, $, - and dots only"
    } else {
        return true;
    };
    wrong.note(path, why);
    false
}

/// `node`, when it is there and `level` may set something in it.
fn known<'a>(level: ConfigLevel, path: &str, node: Option<&'a Node>, wrong: &mut Wrong) -> Option<&'a Node> {
    let known = node.filter(|node| node.settable(level));
    if known.is_none() {
        wrong.note(path, format!("there is no such setting at level {}", level.as_str()));
    }
    known
}

/// `earlier` with `later` over it: a later key replaces itself and everything below it. An earlier object is not opened, so
/// `{a: {b: 1}}` under `a.b: 2` keeps both entries.
pub(super) fn combine(earlier: &mut Map<String, Value>, later: Map<String, Value>) {
    earlier.retain(|key, _| !covers_any(&later, key));
    earlier.extend(later);
}

/// Whether `key`, or a prefix of it that ends before a dot, is among `keys`.
pub(super) fn covers_any(keys: &Map<String, Value>, key: &str) -> bool {
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
