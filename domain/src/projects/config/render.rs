//! From combined overrides to the config that counts: defaults, normalisation, clean-up (wire: projects-config-webhooks §3.1),
//! and its JSON text with the orders that the contract fixes.

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value, json};

use super::{
    schema::{self, Inside},
    table::APPS,
};
use crate::emails::DEFAULT_THEME;

/// The config that `combined` (all levels, later over earlier) amounts to. Every setting has a value or is left out.
pub(super) fn render(combined: Map<String, Value>) -> Value {
    let mut config = schema::root().default_value("", "").unwrap_or_else(|| json!({}));
    let mut entries: Vec<(String, Value)> = combined.into_iter().collect();
    // Shallow keys first, so that deeper ones are written into what they made.
    entries.sort_by_key(|(path, _)| path.matches('.').count());
    for (path, value) in entries {
        put(&mut config, &path, value);
    }
    clean_up(&mut config);
    config
}

/// Writes one key. A path whose parent is not there is dropped: a field of a record entry that nobody made.
fn put(config: &mut Value, path: &str, value: Value) {
    let mut segments: Vec<&str> = path.split('.').collect();
    let Some(last) = segments.pop() else { return };
    let mut node = schema::root();
    let (mut parent, mut owner) = (config, "");
    for segment in segments {
        let (Some(child), Some(value)) = (node.child(segment, false), parent.get_mut(segment)) else { return };
        (node, parent, owner) = (child, value, segment);
    }
    let (Some(child), Value::Object(parent)) = (node.child(last, false), parent) else { return };
    let is_entry = matches!(node.inside, Inside::Record(..));
    let value = child
        .completed(last, owner, value)
        .or_else(|| if is_entry { built_in_entry(node, child, last) } else { child.default_value(last, owner) });
    match value {
        Some(value) => parent.insert(last.to_owned(), value),
        None => parent.remove(last),
    };
}

/// The entry `key` that the record `node` always has.
fn built_in_entry(node: &schema::Node, entry: &schema::Node, key: &str) -> Option<Value> {
    node.built_in().get_mut(key).and_then(|value| entry.completed(key, "", value.take()))
}

fn clean_up(config: &mut Value) {
    if let Some(Value::Object(providers)) = config.pointer_mut("/auth/oauth/providers") {
        providers.retain(|_, provider| provider.get("type").is_some());
    }
    if config.pointer("/emails/server/isShared") == Some(&Value::Bool(true))
        && let Some(templates) = config.pointer_mut("/emails/templates")
    {
        *templates = schema::root()
            .child("emails", false)
            .and_then(|emails| emails.child("templates", false))
            .and_then(|node| node.default_value("templates", "emails"))
            .unwrap_or_else(|| json!({}));
    }
    let selected = config.pointer("/emails/selectedThemeId").and_then(Value::as_str).unwrap_or_default();
    if config.pointer("/emails/themes").is_none_or(|themes| themes.get(selected).is_none())
        && let Some(theme) = config.pointer_mut("/emails/selectedThemeId")
    {
        *theme = DEFAULT_THEME.id.into();
    }
    if let Some(source) = config.get_mut("sourceOfTruth") {
        clean_up_source(source);
    }
}

/// A source without its connection data is hosted; connection data of another kind goes.
fn clean_up_source(source: &mut Value) {
    let kind = source.get("type").and_then(Value::as_str).unwrap_or_default();
    let connections = source.get("connectionStrings").filter(|all| all.as_object().is_some_and(|all| !all.is_empty()));
    *source = match (kind, source.get("connectionString"), connections) {
        ("postgres", Some(connection), _) => json!({ "type": "postgres", "connectionString": connection }),
        ("neon", _, Some(connections)) => json!({ "type": "neon", "connectionStrings": connections }),
        _ => json!({ "type": "hosted" }),
    };
}

/// The JSON text of a rendered config: sign-up rules by priority (highest first) and id, apps in the order of the catalogue.
///
/// # Errors
/// None in practice: a JSON value always has a text.
pub(super) fn to_text(config: &Value) -> serde_json::Result<String> {
    serde_json::to_string(&Ordered { value: config, path: &[] })
}

struct Ordered<'a> {
    value: &'a Value,
    path: &'a [&'a str],
}

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Value::Object(object) = self.value else { return self.value.serialize(serializer) };
        let mut entries: Vec<(&String, &Value)> = object.iter().collect();
        match self.path {
            ["auth", "signUpRules"] => {
                entries.sort_by(|a, b| rule_priority(b.1).total_cmp(&rule_priority(a.1)).then(a.0.cmp(b.0)))
            }
            ["apps", "installed"] => entries.sort_by_key(|(app, _)| APPS.iter().position(|known| known == app)),
            _ => {}
        }
        let mut map = serializer.serialize_map(Some(entries.len()))?;
        for (key, value) in entries {
            let path = [self.path, &[key.as_str()]].concat();
            map.serialize_entry(key, &Ordered { value, path: &path })?;
        }
        map.end()
    }
}

fn rule_priority(rule: &Value) -> f64 {
    rule.get("priority").and_then(Value::as_f64).unwrap_or_default()
}
