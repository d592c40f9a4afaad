//! Endpoints: registering, changing, deleting, reading.

use std::collections::BTreeMap;

use postern_entity::{WebhookEndpointId, webhook_endpoint as row};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    MAX_PAGE, Page, PageRequest, Place, headers, line, no_such_endpoint, require_admin,
    rules::{self, MAX_DESCRIPTION_CHARS, MAX_ENDPOINTS},
    secret,
    signing::{Scheme, Secret},
    store, svix,
};
use crate::{
    Code, Deps, ProjectId, Timestamp,
    actor::Actor,
    db::Tx,
    error::{Error, Failure, Result, refuse},
    events::{self, EventKind, NewEvent},
    patch::Patch,
    validation::Violations,
};

/// An endpoint as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The endpoint.
    pub id: WebhookEndpointId,
    /// Where deliveries go, normalised.
    pub url: String,
    /// Shown to people.
    pub description: String,
    /// The event types it wants; `None` means those of the webhook contract.
    pub filter_types: Option<Vec<String>>,
    /// The channels it listens to; `None` means every message.
    pub channels: Option<Vec<String>>,
    /// The owner's own headers, lower-case name to value, without the sensitive ones.
    pub headers: BTreeMap<String, String>,
    /// Names of the headers whose values are never shown.
    pub sensitive_headers: Vec<String>,
    /// Most deliveries a second; what is more waits.
    pub rate_limit: Option<i32>,
    /// Gets one message after the other, in the order of the log.
    pub in_order: bool,
    /// The GraphQL selection that shapes its payloads; none means the envelope.
    pub selection: Option<String>,
    /// Its name in the config file, which alone changes it then.
    pub config_key: Option<String>,
    /// Gets nothing.
    pub disabled: bool,
    /// Until when nothing is tried, because no receiver answers.
    pub paused_until: Option<Timestamp>,
    /// Since when messages have been given up without any success in between.
    pub failing_since: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Endpoint {
    /// Where it stands in [`endpoints`].
    #[must_use]
    pub fn place(&self) -> Place {
        Place { at: self.created_at, id: self.id.0 }
    }

    fn of(deps: &Deps, row: row::Model) -> Result<Self> {
        let stored = headers::open(&deps.keyring, &row.project_id, row.id, row.headers.as_deref())?;
        let (headers, sensitive_headers) = headers::shown(&stored);
        Ok(Self {
            id: row.id,
            url: row.url,
            description: row.description,
            filter_types: texts(row.filter_types)?,
            channels: texts(row.channels)?,
            headers,
            sensitive_headers,
            rate_limit: row.rate_limit,
            in_order: row.fifo,
            selection: row.selection,
            config_key: row.config_key,
            disabled: row.disabled,
            paused_until: row.paused_until.filter(|until| deps.now() < *until),
            failing_since: row.failing_since,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// What a new endpoint is to be.
#[derive(Clone, Debug, Default)]
pub struct NewEndpoint {
    /// Absolute `http` or `https` URL.
    pub url: String,
    /// Shown to people.
    pub description: String,
    /// The event types it wants.
    pub filter_types: Option<Vec<String>>,
    /// The channels it listens to.
    pub channels: Option<Vec<String>>,
    /// The owner's own headers.
    pub headers: BTreeMap<String, SecretString>,
    /// Most deliveries a second.
    pub rate_limit: Option<i32>,
    /// Whether it gets one message after the other.
    pub in_order: bool,
    /// The GraphQL selection that shapes its payloads.
    pub selection: Option<String>,
    /// Made, but not sent to yet.
    pub disabled: bool,
    /// Its signing secret, `whsec_…` or `whsk_…`; a random one otherwise.
    pub secret: Option<SecretString>,
    /// How a random secret signs.
    pub scheme: Scheme,
}

/// What is to change of an endpoint; `None` leaves as is.
#[derive(Clone, Debug, Default)]
pub struct EndpointChange {
    /// Absolute `http` or `https` URL.
    pub url: Option<String>,
    /// Shown to people.
    pub description: Option<String>,
    /// The event types it wants.
    pub filter_types: Patch<Vec<String>>,
    /// The channels it listens to.
    pub channels: Patch<Vec<String>>,
    /// Headers to set or to remove.
    pub headers: BTreeMap<String, Patch<SecretString>>,
    /// Whether headers that are not named are removed; else they stay.
    pub only_these_headers: bool,
    /// Most deliveries a second.
    pub rate_limit: Patch<i32>,
    /// Whether it gets one message after the other. Applies to messages to come.
    pub in_order: Option<bool>,
    /// The GraphQL selection that shapes its payloads. Applies to messages to come.
    pub selection: Patch<String>,
    /// Disabling drops the retries that wait; enabling stops the clock of its failures.
    pub disabled: Option<bool>,
}

/// Registers an endpoint.
///
/// # Errors
/// Every violation of the input at once; too many endpoints; access; internal.
#[crate::boxed]
pub async fn create(deps: &Deps, actor: &Actor, new: NewEndpoint) -> Result<Endpoint> {
    require_admin(actor)?;
    svix::refuse_if_elsewhere(deps)?;
    let secret = &secret::chosen_or_random(new.secret.as_ref(), new.scheme)?;
    let row = &new_row(deps, &actor.project_id, new)?;
    deps.mutate(actor, "createWebhookEndpoint", |tx| async move {
        insert(deps, &tx, row, secret).await?;
        Endpoint::of(deps, row.clone())
    })
    .await
}

/// Writes a new endpoint with its secret.
pub(super) async fn insert(deps: &Deps, tx: &Tx, row: &row::Model, secret: &Secret) -> Result<()> {
    // The lock makes the count hold: two requests at once would both see the last free place.
    store::lock_project(tx, &row.project_id).await?;
    if store::count_endpoints(&**tx, &row.project_id).await? >= MAX_ENDPOINTS {
        let text = format!("A project has at most {MAX_ENDPOINTS} webhook endpoints.");
        return refuse(Failure::bad_request(text).with(json!({ "reason": "limit_reached" })));
    }
    store::insert_endpoint(tx, row.clone()).await?;
    let secret = secret::sealed(&deps.keyring, &row.project_id, row.id, 1, secret, row.created_at)?;
    store::insert_secret(tx, secret).await?;
    events::record(deps, tx, event(EventKind::WebhookEndpointCreated, row)).await
}

pub(super) fn new_row(deps: &Deps, project_id: &ProjectId, new: NewEndpoint) -> Result<row::Model> {
    let mut violations = Violations::default();
    let url = violations.take("url", rules::url(&new.url, &deps.settings));
    violations.text("description", &new.description, MAX_DESCRIPTION_CHARS);
    let filter_types = violations.take("filterTypes", rules::filter_types(new.filter_types));
    let channels = violations.take("channels", rules::channels(new.channels));
    let patch = new.headers.into_iter().map(|(name, value)| (name, Patch::Set(value))).collect();
    let headers = headers::patched(headers::Headers::new(), &patch, &mut violations);
    violations.take("rateLimit", rules::rate_limit(new.rate_limit));
    let filter = filter_types.as_ref().and_then(Option::as_deref);
    violations.take("selection", rules::selection(new.selection.as_deref(), filter));
    violations.finish()?;
    let (id, now) = (WebhookEndpointId::random(), deps.now());
    Ok(row::Model {
        id,
        project_id: project_id.clone(),
        url: url.unwrap_or_default(),
        description: new.description,
        filter_types: filter_types.flatten().map(Value::from),
        channels: channels.flatten().map(Value::from),
        headers: headers::seal(&deps.keyring, project_id, id, &headers)?,
        rate_limit: new.rate_limit,
        selection: new.selection,
        config_key: None,
        fifo: new.in_order,
        disabled: new.disabled,
        failing_since: None,
        misses: 0,
        pauses: 0,
        paused_until: None,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    })
}

/// Changes an endpoint. Applies to messages that wait already.
///
/// # Errors
/// Every violation of the input at once; not found; access; internal.
#[crate::boxed]
pub async fn update(deps: &Deps, actor: &Actor, id: WebhookEndpointId, change: EndpointChange) -> Result<Endpoint> {
    require_admin(actor)?;
    svix::refuse_if_elsewhere(deps)?;
    let change = &change;
    deps.mutate(actor, "updateWebhookEndpoint", |tx| async move {
        line::wake(deps, &tx, [(&actor.project_id, id)]).await?;
        let row = changed(deps, changeable(&tx, actor, id).await?, change)?;
        write_change(deps, &tx, &row).await?;
        Endpoint::of(deps, row)
    })
    .await
}

/// The endpoint, locked, if it may be changed by a call.
pub(super) async fn changeable(tx: &Tx, actor: &Actor, id: WebhookEndpointId) -> Result<row::Model> {
    match store::endpoint_for_update(tx, &actor.project_id, id).await? {
        None => no_such_endpoint(),
        Some(row) if row.config_key.is_some() => {
            let text = "The webhook endpoint is one of the config file. Change it there.";
            refuse(Failure::new(Code::Conflict, text))
        }
        Some(row) => Ok(row),
    }
}

/// Writes a changed endpoint, and has its line look at it.
pub(super) async fn write_change(deps: &Deps, tx: &Tx, row: &row::Model) -> Result<()> {
    store::update_endpoint(tx, row.clone()).await?;
    events::record(deps, tx, event(EventKind::WebhookEndpointUpdated, row)).await?;
    line::wake(deps, tx, [(&row.project_id, row.id)]).await
}

pub(super) fn changed(deps: &Deps, mut row: row::Model, change: &EndpointChange) -> Result<row::Model> {
    let mut violations = Violations::default();
    if let Some(url) = &change.url
        && let Some(url) = violations.take("url", rules::url(url, &deps.settings))
    {
        if url != row.url {
            hope(&mut row);
        }
        row.url = url;
    }
    if let Some(description) = &change.description {
        violations.text("description", description, MAX_DESCRIPTION_CHARS);
        row.description.clone_from(description);
    }
    if let Some(filter) = change.filter_types.clone().mentioned()
        && let Some(filter) = violations.take("filterTypes", rules::filter_types(filter))
    {
        row.filter_types = filter.map(Value::from);
    }
    if let Some(channels) = change.channels.clone().mentioned()
        && let Some(channels) = violations.take("channels", rules::channels(channels))
    {
        row.channels = channels.map(Value::from);
    }
    if !change.headers.is_empty() || change.only_these_headers {
        let sealed = row.headers.as_deref().filter(|_| !change.only_these_headers);
        let stored = headers::open(&deps.keyring, &row.project_id, row.id, sealed)?;
        let headers = headers::patched(stored, &change.headers, &mut violations);
        row.headers = headers::seal(&deps.keyring, &row.project_id, row.id, &headers)?;
    }
    if let Some(rate) = change.rate_limit.mentioned() {
        violations.take("rateLimit", rules::rate_limit(rate));
        row.rate_limit = rate;
    }
    if let Some(selection) = change.selection.clone().mentioned() {
        row.selection = selection;
    }
    // Compared with what the endpoint gets from now on.
    let filter = texts(row.filter_types.clone())?;
    violations.take("selection", rules::selection(row.selection.as_deref(), filter.as_deref()));
    violations.finish()?;
    row.fifo = change.in_order.unwrap_or(row.fifo);
    if let Some(disabled) = change.disabled {
        if row.disabled && !disabled {
            hope(&mut row);
        }
        row.disabled = disabled;
    }
    row.updated_at = deps.now();
    Ok(row)
}

/// Forgets that nobody was there, and that it has failed: its owner has done something about it.
pub(super) fn hope(row: &mut row::Model) {
    (row.misses, row.pauses, row.paused_until, row.failing_since) = (0, 0, None, None);
}

/// Deletes an endpoint with its secrets and headers. Its messages and attempts stay readable; its waiting retries are
/// dropped.
///
/// # Errors
/// Not found, access; internal.
#[crate::boxed]
pub async fn delete(deps: &Deps, actor: &Actor, id: WebhookEndpointId) -> Result<()> {
    require_admin(actor)?;
    deps.mutate(actor, "deleteWebhookEndpoint", |tx| async move {
        line::wake(deps, &tx, [(&actor.project_id, id)]).await?;
        let row = changeable(&tx, actor, id).await?;
        remove(deps, &tx, row).await
    })
    .await
}

/// Marks an endpoint as deleted, with what must not outlive it.
pub(super) async fn remove(deps: &Deps, tx: &Tx, mut row: row::Model) -> Result<()> {
    row.headers = None;
    row.disabled = true;
    row.updated_at = deps.now();
    row.deleted_at = Some(row.updated_at);
    store::delete_all_secrets(tx, row.id).await?;
    store::update_endpoint(tx, row.clone()).await?;
    events::record(deps, tx, event(EventKind::WebhookEndpointDeleted, &row)).await?;
    line::wake(deps, tx, [(&row.project_id, row.id)]).await
}

/// One endpoint.
///
/// # Errors
/// Not found, access; internal.
#[crate::boxed]
pub async fn endpoint(deps: &Deps, actor: &Actor, id: WebhookEndpointId) -> Result<Endpoint> {
    require_admin(actor)?;
    match store::endpoint(deps.db.read(), &actor.project_id, id).await? {
        Some(row) => Endpoint::of(deps, row),
        None => no_such_endpoint(),
    }
}

/// The project's endpoints, oldest first.
///
/// # Errors
/// Access; internal.
#[crate::boxed]
pub async fn endpoints(deps: &Deps, actor: &Actor, page: PageRequest) -> Result<Page<Endpoint>> {
    require_admin(actor)?;
    let limit = page.limit.min(MAX_PAGE);
    let rows = store::endpoints(deps.db.read(), &actor.project_id, page.after, limit + 1).await?;
    let endpoints = rows.into_iter().map(|row| Endpoint::of(deps, row)).collect::<Result<Vec<_>>>()?;
    Ok(Page::of(endpoints, limit, |endpoint| endpoint))
}

/// How many endpoints the project has.
///
/// # Errors
/// Access; internal.
#[crate::boxed]
pub async fn count_endpoints(deps: &Deps, actor: &Actor) -> Result<u64> {
    require_admin(actor)?;
    store::count_endpoints(deps.db.read(), &actor.project_id).await
}

/// Those of `ids` that there are, deleted ones left out, in no order.
///
/// # Errors
/// Access; internal.
#[crate::boxed]
pub async fn endpoints_by_ids(deps: &Deps, actor: &Actor, ids: &[WebhookEndpointId]) -> Result<Vec<Endpoint>> {
    require_admin(actor)?;
    let rows = store::endpoints_by_ids(deps.db.read(), &actor.project_id, ids).await?;
    rows.into_iter().map(|row| Endpoint::of(deps, row)).collect()
}

/// What the log keeps of a change of an endpoint.
pub(super) fn event(kind: EventKind, endpoint: &row::Model) -> NewEvent {
    NewEvent {
        project_id: endpoint.project_id.clone(),
        kind,
        user_id: None,
        team_id: None,
        payload: json!({ "id": endpoint.id }),
    }
}

/// A stored array of texts.
pub(super) fn texts(stored: Option<Value>) -> Result<Option<Vec<String>>> {
    stored.map(serde_json::from_value).transpose().map_err(Error::internal)
}
