//! Reads back through the doors what a drill has left, beside what arrived at the receiver and at the mail server.

use anyhow::{Context, Result, bail};
use axum::body::Bytes;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use super::scene::Scene;
use crate::stand::{Client, Hook};

pub(super) const USER_CREATED: &str = "user.created";
pub(super) const USER_UPDATED: &str = "user.updated";

/// Whether the endpoint of a drill gets events of this type.
pub(super) fn is_delivered(kind: &str) -> bool {
    [USER_CREATED, USER_UPDATED].contains(&kind)
}

/// The largest page of the GraphQL door.
const PAGE: usize = 200;
/// How long reading is tried again: a gateway may still be finding its database.
const PATIENCE: Duration = Duration::from_secs(30);

const USERS: &str = "query($first: Int, $after: String) {
    page: users(first: $first, after: $after, filter: {includeRestricted: true, includeAnonymous: true}) {
    pageInfo { hasNextPage endCursor } nodes { id displayName primaryEmail } } }";
const EVENTS: &str = "query($first: Int, $after: String) { page: events(first: $first, after: $after) {
    pageInfo { hasNextPage endCursor } nodes { cursor type userId payload } } }";
pub(super) const CURSORS: &str = "query($first: Int, $after: String) { page: events(first: $first, after: $after) {
    pageInfo { hasNextPage endCursor } nodes { cursor } } }";
const MESSAGES: &str = "query($first: Int, $after: String) { page: webhookMessages(first: $first, after: $after) {
    pageInfo { hasNextPage endCursor } nodes { id eventType payload deliveries(first: 5) { nodes { state } } } } }";

#[derive(Clone, Debug)]
pub(super) struct SeenUser {
    pub(super) id: String,
    pub(super) email: Option<String>,
    pub(super) display_name: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct SeenEvent {
    pub(super) position: i64,
    pub(super) kind: String,
    pub(super) user_id: String,
    /// Display name or address that the user had right after the change.
    pub(super) marker: String,
}

#[derive(Clone, Debug)]
pub(super) struct SeenMessage {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) marker: String,
    /// Of its deliveries.
    pub(super) states: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) struct SeenHook {
    pub(super) path: String,
    pub(super) id: String,
    pub(super) body: Bytes,
    /// What is wrong with its signature.
    pub(super) forged: Option<String>,
    pub(super) at: Instant,
}

#[derive(Clone, Debug)]
pub(super) struct SeenMail {
    pub(super) message_id: String,
    pub(super) to: Vec<String>,
    pub(super) at: Instant,
}

#[derive(Clone, Debug)]
pub(super) struct OutboxMail {
    pub(super) to: String,
    pub(super) status: String,
    /// It has not come to its end.
    pub(super) is_open: bool,
    /// What sort of failure each failed try was.
    pub(super) errors: Vec<String>,
}

/// What is there at the end of a drill.
#[derive(Clone, Debug, Default)]
pub(super) struct Observed {
    pub(super) users: Vec<SeenUser>,
    /// The whole log of the project.
    pub(super) events: Vec<SeenEvent>,
    /// The places that events of the project `internal` have: positions count the events of all projects, and its mails to
    /// owners are logged there.
    pub(super) elsewhere: Vec<i64>,
    /// Behind which position somebody followed the log of the project live, and what was seen, in that order.
    pub(super) followed: Option<(i64, Vec<i64>)>,
    pub(super) messages: Vec<SeenMessage>,
    /// In the order in which they arrived.
    pub(super) hooks: Vec<SeenHook>,
    /// Whether there is an endpoint that wants them in the order of the log.
    pub(super) has_ordered: bool,
    pub(super) mails: Vec<SeenMail>,
    pub(super) outbox: Vec<OutboxMail>,
}

impl SeenEvent {
    pub(super) fn key(&self) -> (String, String) {
        (self.kind.clone(), self.marker.clone())
    }
}

impl SeenMessage {
    pub(super) fn key(&self) -> (String, String) {
        (self.kind.clone(), self.marker.clone())
    }
}

impl Observed {
    /// Reads everything.
    pub(super) async fn read(scene: &Scene) -> Result<Self> {
        let client = scene.stand.client();
        let hooks = scene.receiver.received();
        Ok(Self {
            users: users(&client).await?,
            events: events(&client).await?,
            elsewhere: positions(&scene.stand.client_of(&scene.stand.internal)).await?,
            followed: None,
            messages: messages(&client).await?,
            hooks: hooks.iter().map(|hook| seen_hook(hook, &scene.secret)).collect(),
            has_ordered: scene.has_ordered,
            mails: scene
                .mails
                .delivered()
                .into_iter()
                .map(|mail| SeenMail { message_id: mail.message_id, to: mail.to, at: mail.at })
                .collect(),
            outbox: outbox(&client, "").await?,
        })
    }
}

fn seen_hook(hook: &Hook, secret: &str) -> SeenHook {
    // Other endpoints of a drill have other secrets.
    let forged = hook.verify(secret).err().map(|error| error.to_string());
    SeenHook { path: hook.path.clone(), id: hook.id.clone(), body: hook.body.clone(), forged, at: hook.at }
}

pub(super) async fn users(client: &Client) -> Result<Vec<SeenUser>> {
    let nodes = all(&client.server(), USERS, None).await?;
    let users = nodes.iter().map(|node| {
        Ok(SeenUser {
            id: text(node, "id")?,
            email: optional(node, "primaryEmail"),
            display_name: optional(node, "displayName"),
        })
    });
    users.collect()
}

pub(super) async fn events(client: &Client) -> Result<Vec<SeenEvent>> {
    all(&client.server(), EVENTS, None).await?.iter().map(seen_event).collect()
}

async fn positions(client: &Client) -> Result<Vec<i64>> {
    let nodes = all(&client.server(), CURSORS, None).await?;
    nodes.iter().map(|node| position(&text(node, "cursor")?)).collect()
}

fn seen_event(node: &Value) -> Result<SeenEvent> {
    let kind = text(node, "type")?;
    Ok(SeenEvent {
        position: position(&text(node, "cursor")?)?,
        user_id: optional(node, "userId").unwrap_or_default(),
        marker: if is_delivered(&kind) { marker(node.get("payload")) } else { String::new() },
        kind,
    })
}

/// The place in the log that a cursor stands for. To clients a cursor tells nothing; a drill may look into it.
pub(super) fn position(cursor: &str) -> Result<i64> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(cursor).with_context(|| cursor.to_owned())?;
    serde_json::from_slice(&json).with_context(|| cursor.to_owned())
}

pub(super) async fn messages(client: &Client) -> Result<Vec<SeenMessage>> {
    let nodes = all(&client.admin(), MESSAGES, None).await?;
    nodes.iter().map(seen_message).collect()
}

fn seen_message(node: &Value) -> Result<SeenMessage> {
    let payload: Value = serde_json::from_str(&text(node, "payload")?)?;
    let deliveries = node.pointer("/deliveries/nodes").and_then(Value::as_array).cloned().unwrap_or_default();
    Ok(SeenMessage {
        // As receivers see it.
        id: format!("msg_{}", text(node, "id")?.replace('-', "")),
        kind: text(node, "eventType")?,
        marker: marker(payload.get("data")),
        states: deliveries.iter().map(|delivery| text(delivery, "state")).collect::<Result<_>>()?,
    })
}

/// The mails of the outbox that fit `filter`, such as `&simple_status=in-progress`.
pub(super) async fn outbox(client: &Client, filter: &str) -> Result<Vec<OutboxMail>> {
    outbox_items(client, filter).await?.iter().map(outbox_mail).collect()
}

/// The same as the door answers them.
pub(super) async fn outbox_items(client: &Client, filter: &str) -> Result<Vec<Value>> {
    let client = client.server();
    let mut mails = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/emails/outbox?limit=100{filter}{cursor}");
        let page = patiently(async || client.get(&path).await?.json()).await?;
        mails.extend(page.get("items").and_then(Value::as_array).cloned().unwrap_or_default());
        match page.pointer("/pagination/next_cursor").and_then(Value::as_str) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(mails),
        }
    }
}

fn outbox_mail(item: &Value) -> Result<OutboxMail> {
    let tries = item.get("send_attempt_errors").and_then(Value::as_array).into_iter().flatten();
    let errors = tries.filter_map(|error| error.pointer("/external_details/errorType").and_then(Value::as_str));
    Ok(OutboxMail {
        to: item.pointer("/to/emails/0").and_then(Value::as_str).unwrap_or("nobody").to_owned(),
        status: text(item, "status")?,
        is_open: text(item, "simple_status")? == "in-progress",
        errors: errors.map(str::to_owned).collect(),
    })
}

/// What tells one user's state from all others: its display name, or its address when it has none.
fn marker(user: Option<&Value>) -> String {
    let user = user.unwrap_or(&Value::Null);
    optional(user, "display_name").or_else(|| optional(user, "primary_email")).unwrap_or_default()
}

/// All items of a list, from a cursor on.
pub(super) async fn all(client: &Client, query: &str, after: Option<String>) -> Result<Vec<Value>> {
    let mut nodes = Vec::new();
    let mut after = after;
    loop {
        let variables = json!({"first": PAGE, "after": after});
        let data = patiently(async || client.graphql(query, variables.clone()).await?.data()).await?;
        let page = data.get("page").context("a list without a page")?;
        nodes.extend(page.get("nodes").and_then(Value::as_array).cloned().unwrap_or_default());
        if page.pointer("/pageInfo/hasNextPage") != Some(&Value::Bool(true)) {
            return Ok(nodes);
        }
        let next = page.pointer("/pageInfo/endCursor").and_then(Value::as_str).map(str::to_owned);
        if next.is_none() || next == after {
            bail!("a list that does not go on after {after:?}");
        }
        after = next;
    }
}

/// Asks again for a while when it fails.
pub(super) async fn patiently<T>(ask: impl AsyncFn() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
    }
}

pub(super) fn text(value: &Value, name: &str) -> Result<String> {
    optional(value, name).with_context(|| format!("no {name} in {value}"))
}

fn optional(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).map(str::to_owned)
}
