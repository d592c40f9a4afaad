//! Secrets among the settings (passwords of mail servers, secrets of sign-in providers, connection strings) are sealed one by
//! one before an override is stored, each bound to its project, level and path. Merging and taking out keys works on the
//! sealed form; only reading opens it.

use base64::{Engine, engine::general_purpose::STANDARD};
use postern_entity::config_override;
use serde_json::{Map, Value, json};

use super::schema::{self, ConfigLevel, Inside, Node};
use crate::{
    ProjectId,
    error::{Error, Result},
    rotation::{NewValue, Rotation},
    secrets::{Keyring, Place},
};

/// The key that marks a sealed text. No setting that takes a secret takes an object, so callers cannot forge it.
const MARK: &str = "$sealed";

/// Where an override is kept.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) keyring: &'a Keyring,
    pub(super) project_id: &'a ProjectId,
    pub(super) level: ConfigLevel,
}

impl At<'_> {
    fn row(&self, path: &str) -> String {
        format!("{}/{path}", self.level.as_str())
    }

    fn place<'a>(&'a self, row: &'a str) -> Place<'a> {
        Place { project: self.project_id.as_str(), table: "config_override", row, column: "value" }
    }
}

/// Seals every secret in a checked override.
///
/// # Errors
/// Internal, when the system has no randomness to give.
pub(super) fn seal(at: At<'_>, given: &mut Map<String, Value>) -> Result<()> {
    each_secret(given, &mut |path, value| {
        if let Value::String(plain) = value {
            let sealed = at.keyring.seal(&at.place(&at.row(path)), plain.as_bytes())?;
            *value = json!({ MARK: STANDARD.encode(sealed) });
        }
        Ok(())
    })
}

/// Opens every secret in a stored override.
///
/// # Errors
/// Internal, when one does not open: it was sealed under a server secret that is no longer listed.
pub(super) fn open(at: At<'_>, stored: &mut Map<String, Value>) -> Result<()> {
    each_secret(stored, &mut |path, value| {
        if let Some(sealed) = sealed_text(value) {
            *value = Value::String(open_one(at, path, sealed)?);
        }
        Ok(())
    })
}

/// Opens every secret that opens. One that does not is logged and counts as not set, so that a project whose mail password
/// was sealed under a lost server secret still answers everything else.
pub(super) fn open_what_opens(at: At<'_>, stored: &mut Map<String, Value>) {
    let opened = each_secret(stored, &mut |path, value| {
        if let Some(sealed) = sealed_text(value) {
            *value = open_one(at, path, sealed).map_or_else(
                |error| {
                    tracing::error!(project.id = %at.project_id, %error, "a sealed setting does not open: {path}");
                    Value::Null
                },
                Value::String,
            );
        }
        Ok(())
    });
    debug_assert!(opened.is_ok(), "nothing above fails");
}

/// Seals the secrets in all overrides again under the newest server secret, each by itself: one that does not open keeps no
/// other back.
pub(in crate::projects) async fn reseal(rotation: &mut Rotation<'_>) -> Result<()> {
    rotation
        .parts::<config_override::Entity>("configs of projects", config_override::Column::Value, |keyring, row| {
            let (Some(level), Value::Object(mut stored)) = (level(&row.level), row.value.clone()) else {
                return NewValue::default();
            };
            let (changed, unreadable) = reseal_in(At { keyring, project_id: &row.project_id, level }, &mut stored);
            NewValue { value: changed.then(|| Value::Object(stored).into()), unreadable }
        })
        .await
}

fn level(stored: &str) -> Option<ConfigLevel> {
    ConfigLevel::ALL.into_iter().find(|level| level.as_str() == stored)
}

/// Whether anything changed, and how many secrets do not open.
fn reseal_in(at: At<'_>, stored: &mut Map<String, Value>) -> (bool, u64) {
    let (mut changed, mut unreadable) = (false, 0);
    let visited = each_secret(stored, &mut |path, value| {
        let Some(sealed) = sealed_text(value) else { return Ok(()) };
        let again = STANDARD
            .decode(sealed)
            .map_err(Error::internal)
            .and_then(|sealed| at.keyring.reseal(&at.place(&at.row(path)), &sealed));
        match again {
            Ok(None) => {}
            Ok(Some(sealed)) => {
                *value = json!({ MARK: STANDARD.encode(sealed) });
                changed = true;
            }
            Err(error) => {
                tracing::warn!(project.id = %at.project_id, %error, "a setting cannot be sealed again: {path}");
                unreadable += 1;
            }
        }
        Ok(())
    });
    debug_assert!(visited.is_ok(), "nothing above fails");
    (changed, unreadable)
}

fn open_one(at: At<'_>, path: &str, sealed: &str) -> Result<String> {
    let sealed = STANDARD.decode(sealed).map_err(Error::internal)?;
    let plain = at.keyring.open(&at.place(&at.row(path)), &sealed)?;
    String::from_utf8(plain).map_err(Error::internal)
}

fn sealed_text(value: &Value) -> Option<&str> {
    value.as_object()?.get(MARK)?.as_str()
}

type Visit<'a> = &'a mut dyn FnMut(&str, &mut Value) -> Result<()>;

fn each_secret(settings: &mut Map<String, Value>, visit: Visit<'_>) -> Result<()> {
    for (path, value) in settings {
        let node = path.split('.').try_fold(schema::root(), |node, segment| node.child(segment, false));
        if let Some(node) = node {
            visit_inside(node, path, value, visit)?;
        }
    }
    Ok(())
}

fn visit_inside(node: &Node, path: &str, value: &mut Value, visit: Visit<'_>) -> Result<()> {
    if node.is_secret() {
        return visit(path, value);
    }
    let (Value::Object(object), false) = (value, matches!(node.inside, Inside::Nothing)) else { return Ok(()) };
    for (key, value) in object {
        if let Some(child) = node.child(key, false) {
            visit_inside(child, &format!("{path}.{key}"), value, visit)?;
        }
    }
    Ok(())
}
