//! Endpoints of a project's config file:
//!
//! ```toml
//! [webhooks.crm]
//! url = "https://crm.example.com/hook"
//! filterTypes = ["user.created"]
//! headers = { authorization = "Bearer …" }
//! ```
//!
//! The file says all there is to say about them, so nothing else changes them; those that leave the file are deleted.
//! Endpoints that were made otherwise are left alone.

use std::collections::BTreeMap;

use postern_entity::{ProjectId, WebhookEndpointId, webhook_endpoint};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;

use super::{
    NewEndpoint,
    endpoint::{self, insert, new_row, remove, write_change},
    headers,
    secret::{self, Replacement},
    signing::{Scheme, Secret},
    store, svix,
};
use crate::{
    Deps,
    db::Tx,
    error::Result,
    events::{self, EventKind},
};

/// The longest name of an endpoint in a file, in characters.
const MAX_KEY_CHARS: usize = 63;

/// The endpoints of a file, by their names there.
pub(crate) type FileEndpoints = BTreeMap<String, FileEndpoint>;

/// An endpoint as a file says it.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FileEndpoint {
    url: String,
    #[serde(default)]
    description: String,
    filter_types: Option<Vec<String>>,
    channels: Option<Vec<String>>,
    #[serde(default)]
    headers: BTreeMap<String, SecretString>,
    rate_limit: Option<i32>,
    #[serde(default)]
    in_order: bool,
    selection: Option<String>,
    #[serde(default)]
    disabled: bool,
    secret: Option<SecretString>,
}

impl PartialEq for FileEndpoint {
    fn eq(&self, other: &Self) -> bool {
        let exposed = |headers: &BTreeMap<String, SecretString>| {
            headers.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned())).collect::<Vec<_>>()
        };
        let rest = |one: &Self| {
            let one = one.clone();
            let secret = one.secret.map(|secret| secret.expose_secret().to_owned());
            let settings = (one.rate_limit, one.in_order, one.selection, one.disabled);
            (one.url, one.description, one.filter_types, one.channels, settings, secret)
        };
        exposed(&self.headers) == exposed(&other.headers) && rest(self) == rest(other)
    }
}

impl FileEndpoint {
    fn new_endpoint(&self) -> NewEndpoint {
        let endpoint = self.clone();
        NewEndpoint {
            url: endpoint.url,
            description: endpoint.description,
            filter_types: endpoint.filter_types,
            channels: endpoint.channels,
            headers: endpoint.headers,
            rate_limit: endpoint.rate_limit,
            in_order: endpoint.in_order,
            selection: endpoint.selection,
            disabled: endpoint.disabled,
            secret: endpoint.secret,
            scheme: Scheme::default(),
        }
    }
}

/// The part `webhooks` of a file. What is wrong is noted with its path; values do not show.
pub(crate) fn read(part: Value, wrong: &mut Vec<String>) -> FileEndpoints {
    let Value::Object(part) = part else {
        wrong.push("webhooks: must be a table".to_owned());
        return FileEndpoints::new();
    };
    let mut endpoints = FileEndpoints::new();
    for (key, value) in part {
        let is_name = (1..=MAX_KEY_CHARS).contains(&key.len())
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !is_name {
            wrong.push(format!("webhooks.{key}: the name must be 1 to {MAX_KEY_CHARS} letters, digits, '-' or '_'"));
            continue;
        }
        match serde_path_to_error::deserialize::<_, FileEndpoint>(value) {
            Ok(endpoint) => drop(endpoints.insert(key, endpoint)),
            Err(error) => wrong.push(format!("webhooks.{key}.{}: {}", error.path(), told(error.inner()))),
        }
    }
    endpoints
}

/// The reason without the value, which may be a secret.
fn told(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.strip_prefix("invalid type: ").and_then(|rest| rest.rsplit_once("expected ")) {
        Some((_, expected)) => format!("must be {expected}"),
        None => text,
    }
}

/// Makes the project's endpoints of the file what it says; answers whether anything changed.
///
/// # Errors
/// Every violation of an endpoint at once, naming it; too many endpoints; internal.
pub(crate) async fn apply(deps: &Deps, tx: &Tx, project_id: &ProjectId, wanted: &FileEndpoints) -> Result<bool> {
    if !wanted.is_empty() {
        svix::refuse_if_elsewhere(deps)?;
    }
    store::lock_project(tx, project_id).await?;
    let mut there: BTreeMap<_, _> = store::configured_endpoints(tx, project_id)
        .await?
        .into_iter()
        .filter_map(|row| Some((row.config_key.clone()?, row)))
        .collect();
    let mut changed = false;
    // What leaves the file makes room for what comes.
    for row in there.extract_if(.., |key, _| !wanted.contains_key(key)).map(|(_, row)| row).collect::<Vec<_>>() {
        remove(deps, tx, row).await?;
        changed = true;
    }
    for (key, endpoint) in wanted {
        let row = new_row(deps, project_id, endpoint.new_endpoint()).map_err(|error| named(key, error))?;
        let row = webhook_endpoint::Model { config_key: Some(key.clone()), ..row };
        changed |= match there.remove(key) {
            None => {
                let secret = secret::chosen_or_random(endpoint.secret.as_ref(), Scheme::default());
                insert(deps, tx, &row, &secret.map_err(|error| named(key, error))?).await?;
                true
            }
            Some(before) => {
                update(deps, tx, before, row, endpoint).await?
                    | rotate(deps, tx, project_id, key, endpoint).await.map_err(|error| named(key, error))?
            }
        };
    }
    Ok(changed)
}

/// Says which endpoint of the file an error is about.
fn named(key: &str, error: crate::Error) -> crate::Error {
    match error {
        crate::Error::Refused(mut failure) => {
            failure.message = format!("webhooks.{key}: {}", failure.message).into();
            crate::Error::Refused(failure)
        }
        other => other,
    }
}

async fn update(
    deps: &Deps,
    tx: &Tx,
    before: webhook_endpoint::Model,
    wanted: webhook_endpoint::Model,
    endpoint: &FileEndpoint,
) -> Result<bool> {
    let open = |row: &webhook_endpoint::Model| {
        let headers = headers::open(&deps.keyring, &row.project_id, row.id, row.headers.as_deref())?;
        Ok::<_, crate::Error>(
            headers.into_iter().map(|(name, value)| (name, value.expose_secret().to_owned())).collect::<Vec<_>>(),
        )
    };
    let same_headers = open(&before)? == open(&wanted)?;
    let id: WebhookEndpointId = before.id;
    let headers = if same_headers {
        before.headers.clone()
    } else {
        let lower = |(name, value): (&String, &SecretString)| (name.to_ascii_lowercase(), value.clone());
        headers::seal(&deps.keyring, &before.project_id, id, &endpoint.headers.iter().map(lower).collect())?
    };
    let mut row = webhook_endpoint::Model {
        url: wanted.url,
        description: wanted.description,
        filter_types: wanted.filter_types,
        channels: wanted.channels,
        headers,
        rate_limit: wanted.rate_limit,
        selection: wanted.selection,
        fifo: wanted.fifo,
        // One that was disabled because it failed gets another chance: this is how its owner enables it.
        disabled: wanted.disabled,
        ..before.clone()
    };
    if row == before {
        return Ok(false);
    }
    if row.url != before.url || (before.disabled && !row.disabled) {
        endpoint::hope(&mut row);
    }
    row.updated_at = deps.now();
    write_change(deps, tx, &row).await?;
    Ok(true)
}

/// Another secret in the file takes the place of the present one, which signs besides it for a day.
async fn rotate(deps: &Deps, tx: &Tx, project_id: &ProjectId, key: &str, endpoint: &FileEndpoint) -> Result<bool> {
    let Some(text) = &endpoint.secret else { return Ok(false) };
    let chosen: Secret = secret::chosen_or_random(Some(text), Scheme::default())?;
    let rows = store::configured_endpoints(tx, project_id).await?;
    let Some(row) = rows.into_iter().find(|row| row.config_key.as_deref() == Some(key)) else { return Ok(false) };
    if secret::is_current(deps, tx, row.id, &chosen).await? {
        return Ok(false);
    }
    let replacement = Replacement { chosen: Some(chosen), scheme: None, grace_seconds: super::DEFAULT_GRACE_SECONDS };
    secret::replace(deps, tx, &row, replacement).await?;
    events::record(deps, tx, endpoint::event(EventKind::WebhookSecretRotated, &row)).await?;
    Ok(true)
}
