//! What the feature promises, on each database, against hosts that only take notes.

use std::time::Duration;

use postern_entity::{
    ProjectId, WebhookEndpointId, webhook_attempt, webhook_delivery, webhook_endpoint, webhook_message,
};
use sea_orm::{EntityTrait, QueryOrder};
use serde_json::json;

use super::*;
use crate::{
    Deps,
    events::{self, EventKind, NewEvent},
    ports::http::OutgoingRequest,
    queue::{self, Claimed, Ending, Job, Lane, MAX_BATCH},
    testing::{TestBench, on_each_database},
};

mod away;
mod delivery;
mod endpoints;
mod late;
mod lines;
mod owner;
mod portal;
mod schedule;
mod shaping;
mod svix;

const LEASE: Duration = Duration::from_secs(60);

fn admin(project_id: &ProjectId) -> Actor {
    Actor::new(project_id.clone(), Level::Admin, None)
}

fn to(url: &str) -> NewEndpoint {
    NewEndpoint { url: url.to_owned(), ..NewEndpoint::default() }
}

const FIRST_PAGE: PageRequest = PageRequest { limit: 50, after: None };

/// A project with one endpoint, and what runs its deliveries.
struct Hooks<'a> {
    bench: &'a TestBench,
    deliverer: Deliverer,
    lines: Lines,
    actor: Actor,
    endpoint: Endpoint,
}

impl<'a> Hooks<'a> {
    async fn on(bench: &'a TestBench) -> Self {
        let project_id = bench.insert_project().await;
        let actor = admin(&project_id);
        let endpoint = create(&bench.deps, &actor, to("https://one.example/hook")).await.unwrap();
        // What the log says about the endpoint itself is no part of the tests.
        let hooks = Self {
            bench,
            deliverer: Deliverer::start(bench.deps.clone()),
            lines: Lines::start(bench.deps.clone()),
            actor,
            endpoint,
        };
        hooks.fan_out().await;
        hooks
    }

    fn deps(&self) -> &Deps {
        &self.bench.deps
    }

    async fn event(&self, kind: EventKind) {
        let event = NewEvent {
            project_id: self.actor.project_id.clone(),
            kind,
            user_id: None,
            team_id: None,
            payload: json!({ "id": "u", "name": "Ü" }),
        };
        self.deps().db.write(async |tx| events::record(self.deps(), &tx, event.clone()).await).await.unwrap();
    }

    async fn fan_out(&self) {
        while events::sequence(self.deps()).await.unwrap() {}
        while fan_out(self.deps()).await.unwrap() {}
    }

    /// An event of the webhook contract, fanned out.
    async fn message(&self) {
        self.event(EventKind::UserUpdated).await;
        self.fan_out().await;
    }

    async fn claim(&self) -> Vec<Claimed> {
        queue::claim(self.deps(), Lane::Webhooks, "test", MAX_BATCH, LEASE, queue::Suspects::Any).await.unwrap()
    }

    async fn deliver(&self, claimed: &Claimed) -> Ending {
        let payload = claimed.payload.clone();
        if claimed.kind == DeliverLine::KIND {
            let job = serde_json::from_value(payload).unwrap();
            return deliver_line(&self.lines, &claimed.lease, &job).await.unwrap_or_else(Ending::from);
        }
        deliver(&self.deliverer, &serde_json::from_value(payload).unwrap()).await.unwrap()
    }

    /// Runs every line and every delivery by hand that is due, once; answers how many attempts were made.
    async fn run_due(&self) -> usize {
        let before = self.attempts().await.len();
        let claimed = self.claim().await;
        let run = async |claimed: &Claimed| (claimed.lease.clone(), self.deliver(claimed).await);
        let endings = futures::future::join_all(claimed.iter().map(run)).await;
        assert_eq!(queue::end_all(self.deps(), &endings).await.unwrap(), []);
        self.attempts().await.len() - before
    }

    /// Runs until nothing is due any more.
    async fn run_all(&self) -> usize {
        let mut made = 0;
        loop {
            match self.run_due().await {
                0 => return made,
                count => made += count,
            }
        }
    }

    /// Moves the clock past the longest wait and runs what is due then.
    async fn run_next(&self) -> usize {
        self.bench.clock.advance_seconds(13 * 3600);
        self.run_due().await
    }

    async fn deliveries(&self) -> Vec<webhook_delivery::Model> {
        use webhook_delivery::Column;
        let find = webhook_delivery::Entity::find().order_by_asc(Column::CreatedAt).order_by_asc(Column::Id);
        find.all(self.deps().db.read()).await.unwrap()
    }

    async fn delivery(&self) -> webhook_delivery::Model {
        let deliveries = self.deliveries().await;
        assert_eq!(deliveries.len(), 1);
        deliveries[0].clone()
    }

    async fn messages(&self) -> Vec<webhook_message::Model> {
        use webhook_message::Column;
        let find = webhook_message::Entity::find().order_by_asc(Column::EventPosition);
        find.all(self.deps().db.read()).await.unwrap()
    }

    async fn attempts(&self) -> Vec<webhook_attempt::Model> {
        use webhook_attempt::Column;
        let find = webhook_attempt::Entity::find().order_by_asc(Column::AttemptedAt).order_by_asc(Column::Id);
        find.all(self.deps().db.read()).await.unwrap()
    }

    async fn endpoint_row(&self, id: WebhookEndpointId) -> webhook_endpoint::Model {
        webhook_endpoint::Entity::find_by_id(id).one(self.deps().db.read()).await.unwrap().unwrap()
    }

    fn requests(&self) -> Vec<OutgoingRequest> {
        self.bench.http.requests()
    }

    async fn change(&self, change: EndpointChange) {
        update(self.deps(), &self.actor, self.endpoint.id, change).await.unwrap();
    }

    async fn disable(&self) {
        self.change(EndpointChange { disabled: Some(true), ..EndpointChange::default() }).await;
    }
}

fn header<'a>(request: &'a OutgoingRequest, name: &str) -> &'a str {
    let found: Vec<_> = request.headers.iter().filter(|(found, _)| found == name).collect();
    assert_eq!(found.len(), 1, "{name}");
    &found[0].1
}
