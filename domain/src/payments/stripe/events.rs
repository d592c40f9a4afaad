//! What Stripe posts (wire: payments §9), in two steps. [`receive`] checks the signature of the raw bytes and keeps the event
//! by its id, with its job, in one transaction; [`work`], in the worker, does what follows. What was not posted, because
//! nobody was there, is asked for by [`fetch`].

use std::time::Duration;

use postern_entity::{
    ProjectId,
    stripe_event::{self, Column, StripeEventState},
};
use sea_orm::{
    ActiveValue::{Set, Unchanged},
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    sea_query::OnConflict,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::{
    Connected,
    account::{self, Unknown},
    connected, invoice, payment, sync,
};
use crate::{
    Deps, Failure, Timestamp,
    db::{Tx, statement},
    error::{Error, Result, refuse},
    payments::jobs::WorkStripeEvent,
    ports::stripe::StripeError,
    queue::{self, Ending, Enqueue},
};

mod fetch;
mod signature;

pub use self::{
    fetch::{Fetched, fetch, fetch_all},
    signature::TOLERANCE_SECONDS,
};

/// The longest id or type of an event, in bytes.
const MAX_NAME_BYTES: usize = 255;
/// Days for which an event is kept that was worked off; Stripe itself keeps them for 30.
const KEPT_DAYS: i64 = 35;
const PRUNE_BATCH: u64 = 50;
/// How long an event waits for a Stripe that is away: a quarter of its age, within these.
const SHORTEST_WAIT_SECONDS: i64 = 2;
const LONGEST_WAIT_SECONDS: i64 = 60 * 60;
/// How many events one page of [`open`] has.
const PAGE: u64 = 100;

/// What an event is about, by its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// A payment intent, which may have bought something once.
    Payment,
    /// An invoice.
    Invoice,
    /// A customer whose subscriptions may have changed.
    Customer,
    /// Something that an operator should look at.
    Dispute,
    /// Nothing that anything follows from.
    Nothing,
}

fn about(kind: &str) -> About {
    match kind {
        "payment_intent.succeeded" | "payment_intent.payment_failed" | "payment_intent.canceled" => About::Payment,
        "charge.dispute.created" => About::Dispute,
        "checkout.session.completed" => About::Customer,
        "customer.subscription.created"
        | "customer.subscription.updated"
        | "customer.subscription.deleted"
        | "customer.subscription.paused"
        | "customer.subscription.resumed"
        | "customer.subscription.pending_update_applied"
        | "customer.subscription.pending_update_expired"
        | "customer.subscription.trial_will_end" => About::Customer,
        "invoice.created"
        | "invoice.finalized"
        | "invoice.updated"
        | "invoice.voided"
        | "invoice.paid"
        | "invoice.payment_failed"
        | "invoice.payment_action_required"
        | "invoice.upcoming"
        | "invoice.marked_uncollectible"
        | "invoice.payment_succeeded" => About::Invoice,
        _ => About::Nothing,
    }
}

/// Takes an event as it was posted: `body` is what was signed, `signatures` the header `stripe-signature`. An event that was
/// kept before is well. Of what nothing follows is kept too.
///
/// # Errors
/// `SCHEMA_ERROR` without a signature; `BAD_REQUEST` for one that does not fit, is too old, or for a body that is no event; `BAD_REQUEST` when
/// the installation takes none.
#[crate::boxed]
pub async fn receive(deps: &Deps, signatures: Option<&str>, body: &[u8]) -> Result<()> {
    let secrets = &deps.settings.stripe_webhook_secrets;
    if secrets.is_empty() {
        return refuse(Failure::bad_request("This installation takes no events of Stripe."));
    }
    let Some(signatures) = signatures else {
        return refuse(Failure::schema("headers.stripe-signature must be defined"));
    };
    signature::verify(signatures, body, secrets.iter().map(SecretString::expose_secret), deps.now())?;
    let Ok(event) = serde_json::from_slice::<Value>(body) else {
        return refuse(Failure::bad_request("The body is no JSON."));
    };
    let row = &row(deps, &event)?;
    deps.db.write(|tx| async move { keep(deps, &tx, [row.clone()]).await.map(drop) }).await
}

fn row(deps: &Deps, event: &Value) -> Result<stripe_event::Model> {
    let text = |key: &str| event.get(key).and_then(Value::as_str);
    let name =
        |key: &str| text(key).filter(|text| !text.is_empty() && text.len() <= MAX_NAME_BYTES && !text.contains('\0'));
    let (Some("event"), Some(id), Some(kind)) = (text("object"), name("id"), name("type")) else {
        return refuse(Failure::bad_request("The body is no event of Stripe."));
    };
    if crate::validation::holds_nul(event) {
        return refuse(Failure::bad_request("The event holds a character that no database keeps (U+0000)."));
    }
    let state = if about(kind) == About::Nothing { StripeEventState::Ignored } else { StripeEventState::Waiting };
    Ok(stripe_event::Model {
        id: id.to_owned(),
        project_id: None,
        account_id: name("account").map(str::to_owned),
        kind: kind.to_owned(),
        payload: event.clone(),
        state,
        error: None,
        received_at: deps.now(),
        done_at: (state == StripeEventState::Ignored).then(|| deps.now()),
    })
}

/// Keeps events that are new, with a job for each of which something follows. Answers how many were new.
async fn keep(deps: &Deps, tx: &Tx, rows: impl IntoIterator<Item = stripe_event::Model>) -> Result<usize> {
    let (mut new, mut jobs) = (0, Vec::new());
    for row in rows {
        let (id, waits) = (row.id.clone(), row.state == StripeEventState::Waiting);
        let inserted = stripe_event::Entity::insert(row.into_active_model())
            .on_conflict(OnConflict::column(Column::Id).do_nothing().to_owned())
            .exec_without_returning(&**tx)
            .await?;
        if inserted > 0 {
            new += 1;
            if waits {
                jobs.push(Enqueue::new(&WorkStripeEvent { event_id: id })?);
            }
        }
    }
    queue::enqueue_all(deps, tx, jobs).await?;
    Ok(new)
}

/// What came of an event.
enum Worked {
    Done,
    /// Nothing follows from it, and why.
    Nothing(&'static str),
    Again(StripeError),
}

impl From<StripeError> for Worked {
    fn from(error: StripeError) -> Self {
        Self::Again(error)
    }
}

/// Runs the job [`WorkStripeEvent`].
///
/// # Errors
/// Those of the database; the queue tries again.
#[crate::boxed]
pub async fn work(deps: &Deps, job: &WorkStripeEvent) -> Result<Ending> {
    let Some(event) = stripe_event::Entity::find_by_id(job.event_id.clone()).one(deps.db.read()).await? else {
        return Ok(Ending::done());
    };
    if matches!(event.state, StripeEventState::Done | StripeEventState::Ignored) {
        return Ok(Ending::done());
    }
    let (project_id, worked) = match follow(deps, &event).await {
        Ok(worked) => worked,
        Err(error @ Error::Database(_)) => return Err(error),
        // Whatever it is, it is written down where operators look for it.
        Err(error) => {
            note(deps, &event.id, None, StripeEventState::Failed, Some(error.to_string())).await?;
            return Err(error);
        }
    };
    Ok(match worked {
        Worked::Done => {
            note(deps, &event.id, project_id, StripeEventState::Done, None).await?;
            Ending::done()
        }
        Worked::Nothing(why) => {
            note(deps, &event.id, project_id, StripeEventState::Ignored, Some(why.to_owned())).await?;
            Ending::done()
        }
        Worked::Again(error) => {
            note(deps, &event.id, project_id, StripeEventState::Failed, Some(error.to_string())).await?;
            // However long Stripe is away: what was paid is not forgotten.
            let age = deps.now().seconds() - event.received_at.seconds();
            let wait = (age / 4).clamp(SHORTEST_WAIT_SECONDS, LONGEST_WAIT_SECONDS);
            Ending::snooze(Duration::from_secs(wait.unsigned_abs()))
        }
    })
}

async fn follow(deps: &Deps, event: &stripe_event::Model) -> Result<(Option<ProjectId>, Worked)> {
    let Some(account_id) = event.account_id.clone() else {
        return Ok((None, Worked::Nothing("it is of no connected account")));
    };
    let Some(api) = deps.stripe.clone() else {
        let error = StripeError::Unauthorized("the installation has no key".to_owned());
        return Ok((None, Worked::Again(error)));
    };
    let project_id = match account::project_of(deps, &*api, &account_id).await {
        Ok(Some(project_id)) => project_id,
        Ok(None) => return Ok((None, Worked::Nothing("no project sells through its account"))),
        Err(Unknown::Stripe(error)) => return Ok((None, Worked::Again(error))),
        Err(Unknown::Ours(error)) => return Err(error),
    };
    let Some(connected) = connected(deps, &project_id).await? else {
        return Ok((Some(project_id), Worked::Nothing("the project sells no longer")));
    };
    let object = event.payload.pointer("/data/object");
    let text = |key: &str| object.and_then(|object| object.get(key)).and_then(Value::as_str);
    // Nothing of the event is believed but whom and what it is about.
    let worked = match about(&event.kind) {
        About::Payment => match text("id") {
            Some(id) => match payment::note(deps, &connected, &project_id, id, event).await? {
                Ok(payment::Noted::Sync) => customer(deps, &connected, &project_id, text("customer")).await?,
                Ok(payment::Noted::Done) => Worked::Done,
                Ok(payment::Noted::Foreign) => Worked::Nothing("it is about nothing that was sold here"),
                Err(error) => error.into(),
            },
            None => Worked::Nothing("it names no payment"),
        },
        About::Invoice => match text("id") {
            Some(id) => match invoice::note(deps, &connected, &project_id, id).await? {
                Ok(invoice::Noted::Done) => Worked::Done,
                Ok(invoice::Noted::Foreign) => Worked::Nothing("it is about nothing that was sold here"),
                Err(error) => error.into(),
            },
            // An invoice that is yet to be made has no id.
            None => customer(deps, &connected, &project_id, text("customer")).await?,
        },
        About::Customer => customer(deps, &connected, &project_id, text("customer")).await?,
        About::Dispute => {
            tracing::warn!(project = %project_id, event = event.id, charge = text("charge"), "a customer disputes a charge: look at it in Stripe's dashboard");
            Worked::Done
        }
        About::Nothing => Worked::Nothing("nothing follows from its type"),
    };
    Ok((Some(project_id), worked))
}

async fn customer(deps: &Deps, connected: &Connected, project_id: &ProjectId, id: Option<&str>) -> Result<Worked> {
    let Some(id) = id else { return Ok(Worked::Nothing("it names no customer")) };
    Ok(match sync::customer(deps, connected, project_id, id).await? {
        Ok(sync::Synced::Done) => Worked::Done,
        Ok(sync::Synced::Unknown) => Worked::Nothing("its customer is nobody's here"),
        Err(error) => error.into(),
    })
}

async fn note(
    deps: &Deps,
    id: &str,
    project_id: Option<ProjectId>,
    state: StripeEventState,
    error: Option<String>,
) -> Result<()> {
    let is_over = state != StripeEventState::Failed;
    let changed = stripe_event::ActiveModel {
        id: Unchanged(id.to_owned()),
        state: Set(state),
        error: Set(error),
        done_at: Set(is_over.then(|| deps.now())),
        ..Default::default()
    };
    let changed = match project_id {
        Some(project_id) => stripe_event::ActiveModel { project_id: Set(Some(project_id)), ..changed },
        None => changed,
    };
    let changed = &changed;
    deps.db
        .write(|tx| async move {
            stripe_event::Entity::update(changed.clone()).exec_without_returning(&*tx).await?;
            Ok(())
        })
        .await
}

/// Events that wait or failed, the oldest first, at most a hundred after the given one.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn open(deps: &Deps, after: Option<(Timestamp, String)>) -> Result<Vec<stripe_event::Model>> {
    let mut select = stripe_event::Entity::find()
        .filter(sea_orm::sea_query::Expr::cust("state IN ('waiting', 'failed')"))
        .order_by_asc(Column::ReceivedAt)
        .order_by_asc(Column::Id);
    if let Some((at, id)) = after {
        let later = sea_orm::Condition::any()
            .add(Column::ReceivedAt.gt(at))
            .add(sea_orm::Condition::all().add(Column::ReceivedAt.eq(at)).add(Column::Id.gt(id)));
        select = select.filter(later);
    }
    Ok(select.limit(PAGE).all(deps.db.read()).await?)
}

/// Lets an event be worked off again, whatever came of it before. Answers whether there is such an event.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn replay(deps: &Deps, id: &str) -> Result<bool> {
    deps.db
        .write(|tx| async move {
            let changed = stripe_event::Entity::update_many()
                .col_expr(Column::State, sea_orm::sea_query::Expr::value(StripeEventState::Waiting))
                .filter(Column::Id.eq(id))
                .exec(&*tx)
                .await?;
            if changed.rows_affected == 0 {
                return Ok(false);
            }
            queue::enqueue(deps, &tx, Enqueue::new(&WorkStripeEvent { event_id: id.to_owned() })?).await?;
            Ok(true)
        })
        .await
}

/// Removes some events that were worked off long ago. Answers whether more may have to go.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn prune_step(deps: &Deps) -> Result<bool> {
    let before = deps.now().plus_seconds(-KEPT_DAYS * 24 * 60 * 60);
    let sql = format!(
        "DELETE FROM stripe_event WHERE id IN (SELECT id FROM stripe_event WHERE received_at < $1 \
         AND state IN ('done', 'ignored') ORDER BY received_at, id LIMIT {PRUNE_BATCH})"
    );
    let removed = deps
        .db
        .write(|tx| {
            let sql = sql.clone();
            async move {
                let delete = statement(&*tx, &sql, [before.millis().into()]);
                Ok(tx.execute_raw(delete).await?.rows_affected())
            }
        })
        .await?;
    Ok(removed == PRUNE_BATCH)
}
