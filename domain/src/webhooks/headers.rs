//! The owner's own headers of an endpoint: sealed as a whole, shown without the values of the sensitive ones.

use std::collections::BTreeMap;

use postern_entity::{ProjectId, WebhookEndpointId, webhook_endpoint};
use secrecy::{ExposeSecret, SecretString};

use super::rules::{self, MAX_HEADERS};
use crate::{
    error::{Error, Result},
    patch::Patch,
    rotation::Rotation,
    secrets::{Keyring, Place},
    validation::Violations,
};

const FIELD: &str = "headers";

/// Names in lower case, values.
pub(super) type Headers = BTreeMap<String, SecretString>;

/// `headers` with `patch` applied.
pub(super) fn patched(
    mut headers: Headers,
    patch: &BTreeMap<String, Patch<SecretString>>,
    violations: &mut Violations,
) -> Headers {
    for (name, value) in patch {
        let Some(name) = violations.take(FIELD, rules::header_name(name)) else { continue };
        match value {
            Patch::Keep => {}
            Patch::Clear => {
                headers.remove(&name);
            }
            Patch::Set(value) => {
                violations.take(FIELD, rules::header_value(&name, value.expose_secret()));
                headers.insert(name, value.clone());
            }
        }
    }
    violations.require(headers.len() <= MAX_HEADERS, FIELD, format_args!("must be at most {MAX_HEADERS}"));
    headers
}

/// As stored; nothing for none.
pub(super) fn seal(
    keyring: &Keyring,
    project_id: &ProjectId,
    endpoint_id: WebhookEndpointId,
    headers: &Headers,
) -> Result<Option<Vec<u8>>> {
    if headers.is_empty() {
        return Ok(None);
    }
    let plain: BTreeMap<_, _> = headers.iter().map(|(name, value)| (name, value.expose_secret())).collect();
    let plain = serde_json::to_vec(&plain).map_err(Error::internal)?;
    keyring.seal(&place(project_id, &endpoint_id.to_string()), &plain).map(Some)
}

/// What [`seal`] sealed.
pub(super) fn open(
    keyring: &Keyring,
    project_id: &ProjectId,
    endpoint_id: WebhookEndpointId,
    sealed: Option<&[u8]>,
) -> Result<Headers> {
    let Some(sealed) = sealed else { return Ok(Headers::new()) };
    let plain = keyring.open(&place(project_id, &endpoint_id.to_string()), sealed)?;
    serde_json::from_slice(&plain).map_err(Error::internal)
}

/// Seals the headers of all endpoints again under the newest server secret.
pub(super) async fn reseal(rotation: &mut Rotation<'_>) -> Result<()> {
    rotation
        .column::<webhook_endpoint::Entity>(
            "headers of webhook endpoints",
            webhook_endpoint::Column::Headers,
            |keyring, row, sealed| keyring.reseal(&place(&row.project_id, &row.id.to_string()), sealed),
        )
        .await
}

/// Names and values that may be shown, and the names of the others.
pub(super) fn shown(headers: &Headers) -> (BTreeMap<String, String>, Vec<String>) {
    let (sensitive, open): (Vec<_>, Vec<_>) = headers.iter().partition(|(name, _)| rules::is_sensitive(name));
    let open = open.into_iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned())).collect();
    (open, sensitive.into_iter().map(|(name, _)| name.clone()).collect())
}

fn place<'a>(project_id: &'a ProjectId, row: &'a str) -> Place<'a> {
    Place { project: project_id.as_str(), table: "webhook_endpoint", row, column: "headers" }
}
