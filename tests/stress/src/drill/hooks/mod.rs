//! Drills of webhooks. People's names change; each change is owed to every endpoint of the project once, whatever happens to
//! the workers, to what they need, and to the receivers.

mod check;
mod down;
mod hang;
mod kill;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, future::join_all, stream::FuturesUnordered};
use serde_json::{Value, json};
use tokio::time::{Instant, interval, sleep, sleep_until};

use self::check::{Arrival, Change};
pub(super) use self::{down::run as down, hang::run as hang, kill::run as kill};
use super::{
    history::{Outcome, judge},
    readback::{self, text},
};
use crate::stand::{Client, Hook, Receiver};

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a change is repeated without success.
const REPEAT_WITHIN: Duration = Duration::from_secs(180);
const BEFORE_REPEAT: Duration = Duration::from_millis(100);

const MAKE: &str = "mutation($input: CreateWebhookEndpointInput!) { createWebhookEndpoint(input: $input) {
    secret webhookEndpoint { id } } }";
const END: &str =
    "mutation($input: DeleteWebhookEndpointInput!) { deleteWebhookEndpoint(input: $input) { __typename } }";

/// An endpoint under observation.
#[derive(Clone, Debug)]
struct Endpoint {
    id: String,
    /// Where the receiver sees it.
    path: String,
    secret: String,
    in_order: bool,
    /// The most it gets a second.
    rate: Option<u32>,
}

impl Endpoint {
    /// Registers one. It is told of changes alone, not of people that were made.
    async fn make(client: &Client, receiver: &Receiver, path: &str, in_order: bool, rate: Option<u32>) -> Result<Self> {
        let input = json!({"input": {
            "url": receiver.url(path), "filterTypes": [readback::USER_UPDATED], "inOrder": in_order, "rateLimit": rate,
        }});
        let made = client.admin().graphql(MAKE, input).await?.data()?;
        let made = made.get("createWebhookEndpoint").context("no endpoint was made")?;
        let id = text(made.get("webhookEndpoint").context("no endpoint was made")?, "id")?;
        Ok(Self { id, path: path.to_owned(), secret: text(made, "secret")?, in_order, rate })
    }

    /// Removes it, with what waits for it.
    async fn delete(self, client: &Client) -> Result<()> {
        let input = json!({"input": {"id": self.id}});
        client.admin().graphql(END, input).await?.data().map(drop)
    }
}

/// So many endpoints without order or rate, at `/{name}-1` and so on.
async fn make_endpoints(client: &Client, receiver: &Receiver, name: &str, count: usize) -> Result<Vec<Endpoint>> {
    let mut made = Vec::with_capacity(count);
    for number in 1..=count {
        made.push(Endpoint::make(client, receiver, &format!("/{name}-{number}"), false, None).await?);
    }
    Ok(made)
}

/// People whose names change, and what was answered.
#[derive(Debug)]
struct Crowd {
    client: Client,
    people: Vec<String>,
    made: AtomicUsize,
    changes: Mutex<Vec<Change>>,
}

impl Crowd {
    /// Makes them.
    async fn start(client: &Client, count: usize) -> Result<Self> {
        let mut people = Vec::with_capacity(count);
        for number in 0..count {
            let body = json!({"display_name": format!("Person {number}")});
            people.push(text(&client.server().post("/users", &body).await?.json()?, "id")?);
        }
        Ok(Self { client: client.clone(), people, made: AtomicUsize::new(0), changes: Mutex::default() })
    }

    /// So many changes, each begun after the one before it by this time.
    async fn changes(&self, count: u32, every: Duration) -> Result<()> {
        let begun = Instant::now();
        let changes = join_all((0..count).map(async |number| {
            sleep_until(begun + every * number).await;
            self.change().await
        }));
        changes.await.into_iter().collect()
    }

    /// Changes, each begun after the one before it by this time, until it is over.
    async fn changes_until(&self, is_over: &AtomicBool, every: Duration) -> Result<()> {
        let (mut ticks, mut under_way) = (interval(every), FuturesUnordered::new());
        while !is_over.load(Ordering::SeqCst) {
            tokio::select! {
                _ = ticks.tick() => under_way.push(self.change()),
                Some(made) = under_way.next() => made?,
            }
        }
        while let Some(made) = under_way.next().await {
            made?;
        }
        Ok(())
    }

    /// One change, asked for again with its key until it is answered for good.
    async fn change(&self) -> Result<()> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let person = self.people.get(number % self.people.len().max(1)).context("nobody to change")?;
        let marker = format!("change-{number}");
        let (path, body) = (format!("/users/{person}"), json!({"display_name": marker}));
        let client = self.client.server().with("idempotency-key", &marker);
        let sent = Instant::now();
        let outcome = loop {
            let outcome = judge(client.patch(&path, &body).await).0;
            // The first request is still running, or its answer could not be told.
            let is_running = matches!(&outcome, Outcome::Refused(why) if why.starts_with("409"));
            if !is_running && !matches!(outcome, Outcome::Unknown | Outcome::NotSent) {
                break outcome;
            }
            ensure!(sent.elapsed() < REPEAT_WITHIN, "{marker} was not answered: {outcome:?}");
            sleep(BEFORE_REPEAT).await;
        };
        let change = Change { marker, outcome, answered: Instant::now() };
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push(change);
        Ok(())
    }

    /// What was asked for so far, in the order of the answers.
    fn asked(&self) -> Vec<Change> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The place in the log of every change.
    async fn log(&self) -> Result<BTreeMap<String, Vec<i64>>> {
        let mut places: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for event in readback::events(&self.client).await? {
            if event.kind == readback::USER_UPDATED {
                places.entry(event.marker).or_default().push(event.position);
            }
        }
        Ok(places)
    }
}

/// What a body says it is about.
fn marker(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body.pointer("/data/display_name").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// An arrival as it is judged, with what is wrong with its signature.
fn arrival(hook: &Hook, endpoints: &[Endpoint]) -> Arrival {
    let endpoint = endpoints.iter().find(|endpoint| endpoint.path == hook.path);
    let forged = endpoint.and_then(|endpoint| hook.verify(&endpoint.secret).err());
    Arrival {
        path: hook.path.clone(),
        id: hook.id.clone(),
        marker: marker(&hook.body),
        body: hook.body.clone(),
        at: hook.at,
        forged: forged.map(|error| error.to_string()),
    }
}

/// Waits until so many changes have arrived at each of these endpoints. Answers when the last of them arrived; `None` when
/// patience has ended before, and the check finds what is missing.
async fn settle(receiver: &Receiver, endpoints: &[Endpoint], changes: usize, patience: Duration) -> Option<Instant> {
    let deadline = Instant::now() + patience;
    let mut missing: BTreeMap<_, BTreeSet<String>> =
        endpoints.iter().map(|endpoint| (endpoint.path.as_str(), BTreeSet::new())).collect();
    let (mut seen, mut last) = (0, None);
    loop {
        let hooks = receiver.received_since(seen);
        seen += hooks.len();
        for hook in hooks {
            // A change is one message.
            if let Some(arrived) = missing.get_mut(hook.path.as_str())
                && arrived.insert(hook.id)
            {
                last = Some(hook.at);
                if arrived.len() >= changes {
                    missing.remove(hook.path.as_str());
                }
            }
        }
        if missing.is_empty() {
            return last;
        }
        if Instant::now() > deadline {
            return None;
        }
        sleep(LOOK_EVERY).await;
    }
}
