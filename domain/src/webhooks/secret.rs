//! Signing secrets of endpoints: showing the current one, and replacing it while the former ones stay valid for a while.
//! wire/webhooks §7.1.

use postern_entity::{WebhookEndpointId, webhook_endpoint, webhook_secret};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{
    endpoint::changeable,
    no_such_endpoint, require_admin,
    signing::{Scheme, Secret},
    store, svix,
};
use crate::{
    Deps, ProjectId, Timestamp,
    actor::Actor,
    db::Tx,
    error::{Error, Failure, Result, refuse},
    events::{self, EventKind},
    random::equal_secrets,
    rotation::Rotation,
    secrets::{Keyring, Place},
};

/// How long a replaced secret stays valid unless told otherwise.
pub const DEFAULT_GRACE_SECONDS: i64 = 86_400;
/// The longest that a replaced secret may stay valid.
pub const MAX_GRACE_SECONDS: i64 = 604_800;
/// How many replaced secrets may be valid at a time.
pub const MAX_OLD_SECRETS: usize = 10;

/// What a receiver verifies with: the current secret of an endpoint, `whsec_…`, or its public key, `whpk_…`.
///
/// # Errors
/// Not found, access; internal.
#[crate::boxed]
pub async fn secret(deps: &Deps, actor: &Actor, endpoint_id: WebhookEndpointId) -> Result<SecretString> {
    require_admin(actor)?;
    let connection = deps.db.read();
    if store::endpoint(connection, &actor.project_id, endpoint_id).await?.is_none() {
        return no_such_endpoint();
    }
    let rows = store::secrets(connection, &[endpoint_id]).await?;
    let current = rows.iter().find(|row| row.expires_at.is_none());
    let current = current.ok_or_else(|| Error::internal("a webhook endpoint has no secret"))?;
    Ok(opened(&deps.keyring, current)?.verifying_text())
}

/// Replaces the secret of an endpoint by `new` or a random one, which signs by `scheme` or as the former one. The former one signs besides it for `grace_seconds`; with
/// 0 it is gone at once.
///
/// # Errors
/// Invalid input, too many old secrets, not found, access; internal.
#[crate::boxed]
pub async fn rotate_secret(
    deps: &Deps,
    actor: &Actor,
    endpoint_id: WebhookEndpointId,
    new: Option<&SecretString>,
    scheme: Option<Scheme>,
    grace_seconds: Option<i64>,
) -> Result<()> {
    require_admin(actor)?;
    svix::refuse_if_elsewhere(deps)?;
    let grace_seconds = grace_seconds.unwrap_or(DEFAULT_GRACE_SECONDS);
    if !(0..=MAX_GRACE_SECONDS).contains(&grace_seconds) {
        return refuse(Failure::schema(format!("gracePeriodSeconds must be 0 to {MAX_GRACE_SECONDS}")));
    }
    let new = &new.map(parsed).transpose()?;
    deps.mutate(actor, "rotateWebhookSecret", |tx| async move {
        let endpoint = changeable(&tx, actor, endpoint_id).await?;
        let new = Replacement { chosen: new.clone(), scheme, grace_seconds };
        replace(deps, &tx, &endpoint, new).await?;
        events::record(deps, &tx, super::endpoint::event(EventKind::WebhookSecretRotated, &endpoint)).await
    })
    .await
}

/// The secret that the owner chose, or a fresh one.
pub(super) fn chosen_or_random(chosen: Option<&SecretString>, scheme: Scheme) -> Result<Secret> {
    chosen.map_or_else(|| Secret::random(scheme), parsed)
}

fn parsed(text: &SecretString) -> Result<Secret> {
    match Secret::parse(text.expose_secret()) {
        Some(secret) => Ok(secret),
        None => refuse(Failure::schema(
            "secret must be whsec_ followed by the standard base64 of 24 to 75 bytes, or whsk_ followed by that of an Ed25519 \
             private key: its seed and its public key",
        )),
    }
}

/// What takes the place of a secret.
pub(super) struct Replacement {
    pub(super) chosen: Option<Secret>,
    pub(super) scheme: Option<Scheme>,
    pub(super) grace_seconds: i64,
}

pub(super) async fn replace(
    deps: &Deps,
    tx: &Tx,
    endpoint: &webhook_endpoint::Model,
    replacement: Replacement,
) -> Result<()> {
    let Replacement { chosen, scheme, grace_seconds } = replacement;
    let (project_id, endpoint_id) = (&endpoint.project_id, endpoint.id);
    let now = deps.now();
    let rows = store::secrets(&**tx, &[endpoint_id]).await?;
    let (valid, expired): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| is_valid(row, now));
    // All that are valid now become old ones, unless the current one is cut off.
    let old = if grace_seconds == 0 { valid.len().saturating_sub(1) } else { valid.len() };
    if old > MAX_OLD_SECRETS {
        let text =
            format!("The endpoint has {MAX_OLD_SECRETS} old secrets that are still valid. Wait until one has expired.");
        return refuse(Failure::bad_request(text).with(json!({ "reason": "limit_reached" })));
    }
    let current = valid.iter().find(|row| row.expires_at.is_none());
    let new = match (chosen, scheme, current) {
        (Some(chosen), ..) => chosen,
        (None, Some(scheme), _) => Secret::random(scheme)?,
        (None, None, Some(current)) => Secret::random(opened(&deps.keyring, current)?.scheme())?,
        (None, None, None) => Secret::random(Scheme::default())?,
    };
    let newest = valid.iter().chain(&expired).map(|row| row.generation).max().unwrap_or(0);
    let mut gone: Vec<_> = expired.iter().map(|row| row.generation).collect();
    if let Some(current) = current {
        if grace_seconds == 0 {
            gone.push(current.generation);
        } else {
            store::expire_secret(tx, endpoint_id, current.generation, now.plus_seconds(grace_seconds)).await?;
        }
    }
    store::delete_secrets(tx, endpoint_id, gone).await?;
    store::insert_secret(tx, sealed(&deps.keyring, project_id, endpoint_id, newest + 1, &new, now)?).await
}

/// Whether this is the current secret of an endpoint.
pub(super) async fn is_current(deps: &Deps, tx: &Tx, id: WebhookEndpointId, secret: &Secret) -> Result<bool> {
    let rows = store::secrets(&**tx, &[id]).await?;
    let Some(current) = rows.iter().find(|row| row.expires_at.is_none()) else { return Ok(false) };
    let (current, given) = (opened(&deps.keyring, current)?.to_text(), secret.to_text());
    Ok(equal_secrets(current.expose_secret().as_bytes(), given.expose_secret().as_bytes()))
}

/// The row of a new current secret.
pub(super) fn sealed(
    keyring: &Keyring,
    project_id: &ProjectId,
    endpoint_id: WebhookEndpointId,
    generation: i32,
    secret: &Secret,
    now: Timestamp,
) -> Result<webhook_secret::Model> {
    let row = row_key(endpoint_id, generation);
    let sealed = keyring.seal(&place(project_id, &row), secret.to_text().expose_secret().as_bytes())?;
    let project_id = project_id.clone();
    Ok(webhook_secret::Model { endpoint_id, generation, project_id, sealed, created_at: now, expires_at: None })
}

/// The secrets among `rows` (newest first) that sign at `now`, newest first.
pub(super) fn valid<'a>(
    keyring: &Keyring,
    rows: impl IntoIterator<Item = &'a webhook_secret::Model>,
    now: Timestamp,
) -> Result<Vec<Secret>> {
    rows.into_iter().filter(|row| is_valid(row, now)).map(|row| opened(keyring, row)).collect()
}

fn is_valid(row: &webhook_secret::Model, now: Timestamp) -> bool {
    row.expires_at.is_none_or(|expires_at| now < expires_at)
}

fn opened(keyring: &Keyring, row: &webhook_secret::Model) -> Result<Secret> {
    let plain = keyring.open(&place(&row.project_id, &row_key(row.endpoint_id, row.generation)), &row.sealed)?;
    let text = String::from_utf8(plain).map_err(Error::internal)?;
    Secret::parse(&text).ok_or_else(|| Error::internal("a stored webhook secret is malformed"))
}

/// Seals the secrets of all endpoints again under the newest server secret.
pub(super) async fn reseal(rotation: &mut Rotation<'_>) -> Result<()> {
    rotation
        .column::<webhook_secret::Entity>(
            "secrets of webhook endpoints",
            webhook_secret::Column::Sealed,
            |keyring, row, sealed| {
                keyring.reseal(&place(&row.project_id, &row_key(row.endpoint_id, row.generation)), sealed)
            },
        )
        .await
}

fn row_key(endpoint_id: WebhookEndpointId, generation: i32) -> String {
    format!("{endpoint_id}/{generation}")
}

fn place<'a>(project_id: &'a ProjectId, row: &'a str) -> Place<'a> {
    Place { project: project_id.as_str(), table: "webhook_secret", row, column: "sealed" }
}
