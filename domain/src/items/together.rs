//! Changes of many balances that share a transaction: what is asked while one is under way is the next one. A busy gateway
//! changes many balances with a few round trips and one commit, and nobody waits for others when it is not.
//!
//! A change that cannot be made so is left to a transaction of its own: the first one of a customer, and those of a
//! transaction that was refused because somebody else held one of the balances for too long.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use super::{
    balance::{self, Balance},
    change::Asked,
    store::{self, Key},
};
use crate::{
    Deps,
    batch::Batcher,
    db::{NewRows, PATIENCE, Tx, is_refused, patiently},
    error::Result,
};

/// How many changes may share a transaction.
const MAX_SHARED: usize = 64;
/// How long they wait for each of their balances that somebody else holds. Longer than that takes unless a process stands still.
const MAX_HELD: Duration = Duration::from_millis(250);

/// What becomes of a change: the quantity after it, or nothing if it must be made by itself.
type Outcome = Option<Result<i64>>;
type Gathered = Batcher<(Deps, Arc<Asked>), Outcome>;

/// Items that are being changed, for several requests at once. One per process; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ItemChanges(Arc<OnceLock<Gathered>>);

impl ItemChanges {
    /// Makes the change together with others, unless it must be made by itself.
    ///
    /// # Errors
    /// Those of [`Asked::make`], and those of the database.
    pub(super) async fn make(&self, deps: &Deps, asked: Arc<Asked>) -> Result<Outcome> {
        let batcher = self.0.get_or_init(|| {
            Batcher::start(MAX_SHARED, |gathered: Vec<(Deps, Arc<Asked>)>| async move {
                let (deps, asked): (Vec<_>, Vec<_>) = gathered.into_iter().unzip();
                let Some(deps) = deps.first() else { return Ok(Vec::new()) };
                let asked = asked.as_slice();
                let made = deps.db.write(|tx| async move { make_all(deps, &tx, asked).await });
                match patiently(PATIENCE, made).await {
                    // Nothing was done. Whose fault it was, a row that nobody can read or a key, comes out one by one.
                    Err(error) if is_refused(&error) => {
                        tracing::debug!(%error, "changes of items are made one by one");
                        Ok(asked.iter().map(|_| None).collect())
                    }
                    outcome => outcome,
                }
            })
        });
        patiently(PATIENCE, batcher.get((deps.clone(), asked))).await
    }
}

async fn make_all(deps: &Deps, tx: &Tx, asked: &[Arc<Asked>]) -> Result<Vec<Outcome>> {
    let mut wanted: Vec<&Key> = Vec::new();
    for change in asked {
        // Few enough to look through.
        if !wanted.contains(&change.key()) {
            wanted.push(change.key());
        }
    }
    let held = store::lock_each(tx, &wanted, MAX_HELD).await?;
    let mut balances: HashMap<Key, (Balance, bool)> = HashMap::new();
    for balance in store::with_open(&**tx, held).await? {
        balances.insert(balance.key(), (balance, false));
    }
    // One instant for all: what ends between two changes would be written with the first and told by none.
    let now = deps.now();
    let mut told = NewRows::default();
    let mut outcomes = Vec::with_capacity(asked.len());
    for change in asked {
        outcomes.push(balances.get_mut(change.key()).map(|(balance, is_changed)| {
            let quantity = change.make(deps, now, balance, &mut told)?;
            *is_changed = true;
            Ok(quantity)
        }));
    }
    // What has only ended meanwhile is told by the worker, when it writes that down.
    let changed = balances.into_values().filter_map(|(balance, is_changed)| is_changed.then_some(balance));
    balance::save(tx, changed, told).await?;
    Ok(outcomes)
}
