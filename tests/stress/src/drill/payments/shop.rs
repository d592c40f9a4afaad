//! The server as stories reach it, and as Stripe posts to it: asked again until it answers.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use postern_fake_stripe::{
    FakeStripe, sign,
    stories::{self, Call, Caller, Failure, Seller},
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{drill::readback::text, stand::Client};

/// By which events are signed.
pub(super) const SECRET: &str = "whsec_of-the-drill-alone";
/// How long anything may take, and some more for the retries that Stripe's faults cost.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(300);
const BEFORE_REPEAT: Duration = Duration::from_millis(100);
/// What follows from what Stripe tells.
const KIND: &str = "work_stripe_event";

/// A project that sells.
pub(super) struct Shop {
    pub(super) client: Client,
    pub(super) stripe: FakeStripe,
    /// Where one process tells its metrics.
    metrics: String,
    http: reqwest::Client,
    /// Events so far.
    pub(super) told: std::sync::Mutex<Vec<Value>>,
    /// Posts and calls that had to be repeated.
    pub(super) repeated: AtomicUsize,
}

impl Shop {
    pub(super) fn new(client: Client, stripe: &FakeStripe, admin_url: &str) -> Self {
        Self {
            client,
            stripe: stripe.clone(),
            metrics: format!("{admin_url}/metrics"),
            http: reqwest::Client::new(),
            told: std::sync::Mutex::default(),
            repeated: AtomicUsize::new(0),
        }
    }

    /// Sets the project up as its owner does; answers its account.
    pub(super) async fn open(&self) -> Result<String> {
        let body = json!({ "config_override_string": stories::catalogue().to_string() });
        let admin = self.client.admin();
        admin.patch("/internal/config/override/environment", &body).await?.json()?;
        admin.post("/internal/payments/setup", &json!({})).await?.json()?;
        let account = text(&admin.get("/internal/payments/stripe/account-info").await?.json()?, "account_id")?;
        self.stripe.enable_charges(&account)?;
        drop(self.stripe.take_events());
        Ok(account)
    }

    /// What Stripe has to tell since the last call.
    pub(super) fn take_events(&self) -> Vec<Value> {
        let fresh = self.stripe.take_events();
        self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(fresh.iter().cloned());
        fresh
    }

    /// All that Stripe had to tell so far.
    pub(super) fn all_events(&self) -> Vec<Value> {
        drop(self.take_events());
        self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Posts an event as Stripe does: until it is answered well.
    pub(super) async fn post(&self, event: &Value) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let signature = sign(event.to_string().as_bytes(), SECRET, chrono::Utc::now().timestamp());
            let client = self.client.with("stripe-signature", &signature);
            match client.post("/integrations/stripe/webhooks", event).await {
                Ok(answer) if answer.status.is_success() => return Ok(()),
                Ok(answer) if answer.status.is_client_error() => bail!("refused: {}", answer.text),
                _ => {}
            }
            ensure!(Instant::now() < deadline, "an event was never taken");
            self.repeat().await;
        }
    }

    /// Asks under a key until it is answered well: whoever gets no answer asks once more for the same.
    pub(super) async fn insist(&self, call: &Call, key: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.ask(call, Some(key)).await {
                Ok(answer) if answer.status.is_success() => return Ok(()),
                // Under way, or Stripe is away.
                Ok(answer) if answer.status.as_u16() == 409 || answer.status.is_server_error() => {}
                Ok(answer) => bail!("{} {}: {} {}", call.method, call.path, answer.status, answer.text),
                Err(_) => {}
            }
            ensure!(Instant::now() < deadline, "{} {} never succeeds", call.method, call.path);
            self.repeat().await;
        }
    }

    async fn repeat(&self) {
        self.repeated.fetch_add(1, Ordering::SeqCst);
        sleep(BEFORE_REPEAT).await;
    }

    async fn ask(&self, call: &Call, key: Option<&str>) -> Result<crate::stand::Answer> {
        let client = match call.by {
            Caller::Anybody => self.client.clone(),
            Caller::Server => self.client.server(),
            Caller::Admin => self.client.admin(),
        };
        let client = key.map_or_else(|| client.clone(), |key| client.with("idempotency-key", key));
        let method: Method = call.method.parse()?;
        let body = Some(&call.body).filter(|body| !body.is_null());
        Ok(client.send(method, &format!("/api/v1{}", call.path), body).await?)
    }

    /// Waits until everything that Stripe told is worked off. Answers how many jobs nobody tries any more.
    pub(super) async fn work_off(&self) -> Result<usize> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (open, dead) = self.jobs().await.unwrap_or((1, 0));
            if open == 0 || Instant::now() > deadline {
                return Ok(dead + open);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Jobs that are left to do, and those that are given up.
    async fn jobs(&self) -> Result<(usize, usize)> {
        let metrics = self.http.get(&self.metrics).send().await?.error_for_status()?.text().await?;
        ensure!(metrics.contains("postern_database_up 1"), "no database");
        let (mut open, mut dead) = (0, 0);
        for line in metrics.lines().filter(|line| line.starts_with("postern_queue_jobs{") && line.contains(KIND)) {
            let count: f64 = line.rsplit_once(' ').context("no number")?.1.parse()?;
            let count = format!("{count:.0}").parse::<usize>()?;
            *if line.contains("\"dead\"") { &mut dead } else { &mut open } += count;
        }
        Ok((open, dead))
    }
}

impl Seller for Shop {
    async fn call(&self, call: &Call) -> Result<Value, Failure> {
        Ok(self.ask(call, None).await?.json()?)
    }

    async fn catch_up(&self) -> Result<(), Failure> {
        for event in self.take_events() {
            self.post(&event).await?;
        }
        match self.work_off().await? {
            0 => Ok(()),
            left => Err(format!("{left} events are not worked off").into()),
        }
    }
}
