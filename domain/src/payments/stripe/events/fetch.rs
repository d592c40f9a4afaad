//! Asking Stripe for events that were not posted, because nobody was there to take them.

use std::time::{Duration, Instant};

use postern_entity::{
    Timestamp,
    stripe_account::{self, Column},
    stripe_event::Model as Event,
};
use sea_orm::{
    ActiveValue::{Set, Unchanged},
    EntityTrait, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait},
};

use super::{keep, row};
use crate::{
    Deps, Failure,
    error::{Result, refuse},
    ports::stripe::StripeError,
    queue::Ending,
};

/// Stripe keeps events for 30 days; what is asked for the first time goes as far back.
const FIRST_SECONDS: i64 = 30 * 24 * 60 * 60;
/// So much is asked for again: clocks differ, and Stripe lists an event a little after its time.
const OVERLAP_SECONDS: i64 = 60 * 60;
/// Accounts that are looked at in one go.
const MAX_ACCOUNTS: u64 = 10_000;
/// How long a job goes on to begin accounts: well within the time that it has.
const WITHIN: Duration = Duration::from_secs(90);
/// What is read in one go.
const WINDOW_SECONDS: i64 = 24 * 60 * 60;

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Accounts that were asked about.
    pub accounts: u64,
    /// Events that Stripe listed.
    pub listed: usize,
    /// Events that were not known.
    pub new: usize,
    /// Accounts that Stripe did not tell of.
    pub failed: u64,
}

/// Asks for the events of all accounts since they were last asked for, an hour overlapping, or since `since`. Whoever was asked
/// longest ago comes first; none are begun after `within`.
///
/// # Errors
/// `BAD_REQUEST` without access to Stripe; those of the database. An account that Stripe does not tell of is counted and asked for again the
/// next time.
#[crate::boxed]
pub async fn fetch_all(deps: &Deps, since: Option<Timestamp>, within: Option<Duration>) -> Result<Fetched> {
    if deps.stripe.is_none() {
        return refuse(Failure::bad_request(
            "This installation has no access to Stripe: set POSTERN_STRIPE_SECRET_KEY.",
        ));
    }
    let accounts = stripe_account::Entity::find()
        .order_by_asc(Expr::col(Column::SyncedAt).if_null(0))
        .limit(MAX_ACCOUNTS)
        .all(deps.db.read())
        .await?;
    let (mut fetched, begun) = (Fetched::default(), Instant::now());
    for account in accounts {
        if within.is_some_and(|within| begun.elapsed() > within) {
            break;
        }
        fetched.accounts += 1;
        match of_account(deps, &account, since).await? {
            Ok((listed, new)) => (fetched.listed, fetched.new) = (fetched.listed + listed, fetched.new + new),
            Err(error) => {
                tracing::warn!(account = account.account_id, %error, "Stripe does not list the events of an account");
                fetched.failed += 1;
            }
        }
    }
    Ok(fetched)
}

/// Runs the job [`crate::payments::jobs::FetchStripeEvents`].
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn fetch(deps: &Deps) -> Result<Ending> {
    if deps.stripe.is_some() {
        fetch_all(deps, None, Some(WITHIN)).await?;
    }
    // What failed, or had no turn, is asked for by the next one.
    Ok(Ending::done())
}

/// Day by day, so that what is done stays done when it takes longer than a job may.
async fn of_account(
    deps: &Deps,
    account: &stripe_account::Model,
    since: Option<Timestamp>,
) -> Result<Result<(usize, usize), StripeError>> {
    let now = deps.now();
    let known = account.synced_at.map(|at| at.plus_seconds(-OVERLAP_SECONDS));
    let mut begin = since.or(known).unwrap_or_else(|| now.plus_seconds(-FIRST_SECONDS));
    let (mut listed, mut new) = (0, 0);
    while begin < now {
        // The last window is open: clocks differ.
        let end = Some(begin.plus_seconds(WINDOW_SECONDS)).filter(|end| *end < now);
        match window(deps, &account.account_id, begin, end).await? {
            Ok((count, fresh)) => (listed, new) = (listed + count, new + fresh),
            Err(error) => return Ok(Err(error)),
        }
        begin = end.unwrap_or(now);
        let synced = &stripe_account::ActiveModel {
            project_id: Unchanged(account.project_id.clone()),
            synced_at: Set(Some(begin)),
            ..Default::default()
        };
        deps.db
            .write(|tx| async move {
                stripe_account::Entity::update(synced.clone()).exec_without_returning(&*tx).await?;
                Ok(())
            })
            .await?;
    }
    Ok(Ok((listed, new)))
}

async fn window(
    deps: &Deps,
    account_id: &str,
    begin: Timestamp,
    end: Option<Timestamp>,
) -> Result<Result<(usize, usize), StripeError>> {
    let Some(api) = &deps.stripe else { return Ok(Ok((0, 0))) };
    let (mut listed, mut new, mut after) = (0, 0, None::<String>);
    loop {
        let page = match api.events(account_id, begin, end, after.as_deref()).await {
            Ok(page) => page,
            Err(error) => return Ok(Err(error)),
        };
        listed += page.items.len();
        after = page.items.last().and_then(|event| event.get("id")?.as_str().map(str::to_owned));
        // Oldest first, as they would have been posted; one that is no event is Stripe's fault and left out.
        let events = page.items.iter().rev().filter_map(|event| row(deps, event).ok());
        // What an account lists is of it, whether or not it says so.
        let events = events.map(|event| Event { account_id: Some(account_id.to_owned()), ..event });
        let events = &events.collect::<Vec<_>>();
        new += deps.db.write(|tx| async move { keep(deps, &tx, events.iter().cloned()).await }).await?;
        if !page.has_more || after.is_none() {
            return Ok(Ok((listed, new)));
        }
    }
}
