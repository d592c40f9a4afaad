//! The network part of a mail's way: one try to hand it to its server, and writing down what came of it.

use postern_entity::{Timestamp, email};
use sea_orm::ActiveValue::Set;
use tokio::sync::oneshot;

use super::{Try, count, sent, snooze_until, tell};
use crate::{
    db::Tx,
    deps::Deps,
    emails::{
        capacity,
        failure::{self, Failed},
        outgoing::outgoing,
        route::Route,
        store,
    },
    error::{Error, Result},
    events::EventKind,
    ports::mail::{Accepted, OutgoingMail},
    queue::{Ending, Lease, LeaseLost},
    trace,
};

/// Makes the try. No transaction is open meanwhile. It has a task of its own: what the server says counts though the job is
/// lost by then, because this process stood still. Whether the try is still this one's is told by its claim, not by the lease.
pub(super) async fn hand_over(deps: &Deps, lease: &Lease, this: Try, route: &Route) -> Result<Ending> {
    let mail = outgoing(deps, &this.email, &this.to, route)?;
    if lease.is_over() {
        // It stood still before it began, and may not be done by the time at which others take it for cut off.
        return Err(Error::internal(LeaseLost));
    }
    let (deps, lease, (answer, answered)) = (deps.clone(), lease.clone(), oneshot::channel());
    let trying = async move {
        let (ending, said) = try_once(&deps, this, &mail).await;
        let ended = if lease.is_over() || answer.is_closed() {
            deps.db.write(async |tx| said.save(&tx, &deps).await).await.map(|()| ending)
        } else {
            // Together with the end of the job, which others share.
            Ok(ending.with(move |tx| {
                let (deps, said) = (deps.clone(), said.clone());
                Box::pin(async move { said.save(tx, &deps).await })
            }))
        };
        if let Err(Err(error)) = answer.send(ended) {
            tracing::error!(%error, "what a mail server said could not be written down");
        }
    };
    tokio::spawn(trace::carry_on().run(trying));
    answered.await.map_err(Error::internal)?
}

async fn try_once(deps: &Deps, this: Try, mail: &OutgoingMail) -> (Ending, Said) {
    let outcome = deps.mailer.send(&this.server, mail).await;
    let now = deps.now();
    let email_id = this.email.id;
    let (ending, changes, heard) = match outcome {
        Ok(accepted) => {
            count("sent");
            tracing::info!(email.id = %email_id, refused = accepted.refused.len(), "a mail server took a mail");
            (Ending::done(), taken(accepted, now), Heard::Taken)
        }
        Err(error) => {
            tracing::warn!(email.id = %email_id, kind = error.kind.as_str(), "a mail server did not take a mail");
            let Failed { changes, retry_at } = failure::failed(&this.email, &error, now);
            count(if retry_at.is_some() { "deferred" } else { "failed" });
            let heard = if error.is_silence() { Heard::Nothing } else { Heard::Refusal };
            (retry_at.map_or_else(Ending::done, |due| snooze_until(deps, due)), changes, heard)
        }
    };
    (ending, Said { this, heard, now, changes })
}

/// What came of a try.
#[derive(Clone)]
struct Said {
    this: Try,
    heard: Heard,
    now: Timestamp,
    changes: email::ActiveModel,
}

/// What came back from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Taken,
    Refusal,
    Nothing,
}

/// The row of a mail that the server has taken, perhaps not for all of its recipients.
fn taken(accepted: Accepted, now: Timestamp) -> email::ActiveModel {
    let refused = accepted.refused.iter().map(|(address, error)| {
        serde_json::json!({ "email": address, "error_type": error.kind.as_str(), "message": failure::kept(&error.text) })
    });
    let refused: Vec<_> = refused.collect();
    email::ActiveModel {
        provider_message_id: Set(accepted.message_id),
        refused_recipients: Set(if refused.is_empty() { None } else { Some(refused.into()) }),
        ..sent(now)
    }
}

impl Said {
    /// Writes it down, unless the mail was taken over by another try meanwhile.
    async fn save(&self, tx: &Tx, deps: &Deps) -> Result<()> {
        let Self { this, heard, now, changes } = self;
        let is_over = matches!(changes.finished_sending_at, Set(Some(_)));
        if !store::update_claimed(tx, &this.email, this.claim_id, *now, changes.clone()).await? {
            tracing::warn!(email.id = %this.email.id, "a try to send a mail ended after it was given up");
            return Ok(());
        }
        if *heard == Heard::Taken {
            tell(tx, deps, &this.email, EventKind::EmailSent).await?;
        } else if is_over {
            tell(tx, deps, &this.email, EventKind::EmailFailed).await?;
        }
        let project_id = &this.email.project_id;
        match heard {
            Heard::Nothing => capacity::note_silence(tx, project_id, *now).await,
            Heard::Taken | Heard::Refusal => {
                capacity::note_answer(tx, project_id).await?;
                // By the time of this transaction, which may have waited for the database.
                capacity::pass_on(tx, deps, project_id, deps.now()).await
            }
        }
    }
}
