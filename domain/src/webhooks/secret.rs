//! Signing secrets of endpoints: showing the current one, and replacing it while the former ones stay valid for a while.
//! wire/webhooks §7.1.

use postern_entity::{WebhookEndpointId, webhook_secret};
use secrecy::{ExposeSecret, SecretString};

use super::{no_such_endpoint, require_admin, signing::Secret, store};
use crate::{
    Deps, ProjectId, Timestamp,
    actor::Actor,
    db::Tx,
    error::{Error, Failure, Result, refuse},
    events::{self, EventKind},
    rotation::Rotation,
    secrets::{Keyring, Place},
};

/// How long a replaced secret stays valid unless told otherwise.
pub const DEFAULT_GRACE_SECONDS: i64 = 86_400;
/// The longest that a replaced secret may stay valid.
pub const MAX_GRACE_SECONDS: i64 = 604_800;
/// How many replaced secrets may be valid at a time.
pub const MAX_OLD_SECRETS: usize = 10;

/// The current secret of an endpoint, `whsec_…`.
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
    Ok(opened(&deps.keyring, current)?.to_text())
}

/// Replaces the secret of an endpoint by `new` or a random one. The former one signs besides it for `grace_seconds`; with
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
    grace_seconds: Option<i64>,
) -> Result<()> {
    require_admin(actor)?;
    let grace_seconds = grace_seconds.unwrap_or(DEFAULT_GRACE_SECONDS);
    if !(0..=MAX_GRACE_SECONDS).contains(&grace_seconds) {
        return refuse(Failure::schema(format!("gracePeriodSeconds must be 0 to {MAX_GRACE_SECONDS}")));
    }
    let new = &chosen_or_random(new)?;
    deps.mutate(actor, "rotateWebhookSecret", |tx| async move {
        let Some(endpoint) = store::endpoint_for_update(&tx, &actor.project_id, endpoint_id).await? else {
            return no_such_endpoint();
        };
        replace(deps, &tx, &actor.project_id, endpoint_id, new, grace_seconds).await?;
        events::record(deps, &tx, super::endpoint::event(EventKind::WebhookSecretRotated, &endpoint)).await
    })
    .await
}

/// The secret that the owner chose, or a fresh one.
pub(super) fn chosen_or_random(chosen: Option<&SecretString>) -> Result<Secret> {
    let Some(text) = chosen else { return Secret::random() };
    match Secret::parse(text.expose_secret()) {
        Some(secret) => Ok(secret),
        None => refuse(Failure::schema("secret must be whsec_ followed by the standard base64 of 24 to 75 bytes")),
    }
}

async fn replace(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    endpoint_id: WebhookEndpointId,
    new: &Secret,
    grace_seconds: i64,
) -> Result<()> {
    let now = deps.now();
    let rows = store::secrets(&**tx, &[endpoint_id]).await?;
    let (valid, expired): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| is_valid(row, now));
    // All that are valid now become old ones, unless the current one is cut off.
    let old = if grace_seconds == 0 { valid.len().saturating_sub(1) } else { valid.len() };
    if old > MAX_OLD_SECRETS {
        return refuse(Failure::bad_request(format!(
            "The endpoint has {MAX_OLD_SECRETS} old secrets that are still valid. Wait until one has expired."
        )));
    }
    let newest = valid.iter().chain(&expired).map(|row| row.generation).max().unwrap_or(0);
    let mut gone: Vec<_> = expired.iter().map(|row| row.generation).collect();
    if let Some(current) = valid.iter().find(|row| row.expires_at.is_none()) {
        if grace_seconds == 0 {
            gone.push(current.generation);
        } else {
            store::expire_secret(tx, endpoint_id, current.generation, now.plus_seconds(grace_seconds)).await?;
        }
    }
    store::delete_secrets(tx, endpoint_id, gone).await?;
    store::insert_secret(tx, sealed(&deps.keyring, project_id, endpoint_id, newest + 1, new, now)?).await
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
