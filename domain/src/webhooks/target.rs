//! Endpoints, ready to be sent to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use postern_entity::{WebhookEndpointId, webhook_endpoint, webhook_secret};
use secrecy::ExposeSecret;
use url::Url;

use super::{headers, secret, signing::Secret, store};
use crate::{Deps, Error, Result};

/// An endpoint as it was at one instant, deleted ones included: what waits for them must be dropped.
pub(super) struct Target {
    pub(super) row: webhook_endpoint::Model,
    /// What could not be opened fails the deliveries to this endpoint, and no others.
    pub(super) opened: std::result::Result<Opened, String>,
}

/// What an attempt needs of its endpoint.
pub(super) struct Opened {
    pub(super) url: Url,
    pub(super) headers: Vec<(String, String)>,
    pub(super) secrets: Vec<Secret>,
}

/// Loads endpoints, in the order of `ids`: two queries, however many there are.
pub(super) async fn load(deps: &Deps, ids: &[WebhookEndpointId]) -> Result<Vec<Option<Arc<Target>>>> {
    let connection = deps.db.read();
    let distinct: BTreeSet<_> = ids.iter().copied().collect();
    let all: Vec<_> = distinct.iter().copied().collect();
    let secrets = store::secrets(connection, &all).await?;
    let mut of_endpoint: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for secret in &secrets {
        of_endpoint.entry(secret.endpoint_id).or_default().push(secret);
    }
    let rows = store::any_endpoints_by_ids(connection, distinct).await?;
    let target = |row: webhook_endpoint::Model| {
        let secrets = of_endpoint.remove(&row.id).unwrap_or_default();
        let opened = open(deps, &row, secrets).map_err(|error| error.to_string());
        (row.id, Arc::new(Target { row, opened }))
    };
    let targets: BTreeMap<_, _> = rows.into_iter().map(target).collect();
    Ok(ids.iter().map(|id| targets.get(id).cloned()).collect())
}

fn open(deps: &Deps, row: &webhook_endpoint::Model, secrets: Vec<&webhook_secret::Model>) -> Result<Opened> {
    let headers = headers::open(&deps.keyring, &row.project_id, row.id, row.headers.as_deref())?;
    Ok(Opened {
        url: row.url.parse().map_err(Error::internal)?,
        headers: headers.into_iter().map(|(name, value)| (name, value.expose_secret().to_owned())).collect(),
        secrets: secret::valid(&deps.keyring, secrets, deps.now())?,
    })
}
