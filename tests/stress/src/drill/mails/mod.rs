//! Drills of mails. Projects with mail servers of their own, at which things go wrong; people sign up meanwhile, and each
//! of them is owed one mail.

mod check;
mod down;
mod steps;

use std::{collections::BTreeSet, sync::Mutex, time::Duration};

use anyhow::Result;
use futures::future::join_all;
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until};

use self::check::{Asked, Case, Tally};
pub(super) use self::{down::run as down, steps::run as steps};
use super::{check::Findings, history::judge, readback};
use crate::stand::{Client, MailListener, Stand};

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A project with a mail server of its own.
struct Tenant {
    name: &'static str,
    client: Client,
    server: MailListener,
    asked: Mutex<Vec<Asked>>,
}

impl Tenant {
    async fn start(stand: &Stand, name: &'static str) -> Result<Self> {
        let (keys, server) = (stand.make_project().await?, MailListener::start().await?);
        stand.use_mail_server(&keys, &server).await?;
        Ok(Self { name, client: stand.client_of(&keys), server, asked: Mutex::default() })
    }

    /// So many people sign up, one after the other has begun.
    async fn sign_ups(&self, count: u32, every: Duration) {
        let begun = Instant::now();
        let first = self.asked().len();
        join_all((0..count).map(async |number| {
            sleep_until(begun + every * number).await;
            self.sign_up(&format!("{}-{first}-{number}@drill.example", self.name)).await;
        }))
        .await;
    }

    /// Somebody signs up, and is sent a link.
    async fn sign_up(&self, address: &str) {
        let callback = "http://localhost:9/verified";
        let body = json!({"email": address, "password": "correct horse", "verification_callback_url": callback});
        let sent = Instant::now();
        let outcome = judge(self.client.client().post("/auth/password/sign-up", &body).await).0;
        let asked = Asked { address: address.to_owned(), outcome, sent, answered: Instant::now() };
        self.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(asked);
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Whether every mail of the outbox has come to its end.
    async fn is_done(&self) -> Result<bool> {
        Ok(readback::outbox(&self.client, "&simple_status=in-progress").await?.is_empty())
    }

    /// Holds what was asked for against what is there. These mails may be there twice.
    async fn tally(&self, may_repeat: &BTreeSet<String>) -> Result<Tally> {
        Ok(check::check(&Case {
            asked: &self.asked(),
            outbox: &readback::outbox(&self.client, "").await?,
            arrived: &self.server.delivered(),
            may_repeat,
        }))
    }
}

/// Waits until the mails of all have come to their ends, or patience has. Answers when those of each had.
async fn settle(tenants: &[&Tenant], patience: Duration) -> Result<Vec<Option<Instant>>> {
    let deadline = Instant::now() + patience;
    let mut done = vec![None; tenants.len()];
    while done.iter().any(Option::is_none) && Instant::now() < deadline {
        for (tenant, done) in tenants.iter().zip(&mut done) {
            if done.is_none() && tenant.is_done().await? {
                *done = Some(Instant::now());
            }
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(done)
}

/// Adds what one project's mails came to.
fn add(findings: &mut Findings, name: &str, tally: Tally) {
    let named = |texts: Vec<String>| texts.into_iter().map(move |text| format!("{name}: {text}"));
    findings.tried += tally.tried;
    findings.acknowledged += tally.acknowledged;
    findings.unknown += tally.unknown;
    findings.repeated_mails += tally.doubled;
    findings.lost.extend(named(tally.lost));
    findings.wrong.extend(named(tally.stuck).map(|text| format!("stuck: {text}")));
    findings.wrong.extend(named(tally.wrong));
}
