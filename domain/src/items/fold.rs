//! What the worker does: writing down what became of balances by the passing of time, and telling of it. Nothing depends on
//! it being done in time; reading works the same out.

use std::time::{Duration, Instant};

use super::{
    balance::{self, MAX_REMOVED},
    store,
};
use crate::{Deps, db::NewRows, error::Result};

/// How many balances one transaction looks at.
const BATCH: u64 = 50;
/// How many rows one transaction touches before it stops.
const MAX_ROWS: usize = 100;
/// How long one transaction may take before it stops.
const MAX_TIME: Duration = Duration::from_millis(50);

/// Folds some balances that are due. Answers whether more may be. Several workers fold side by side: on PostgreSQL each
/// leaves alone what another one holds; SQLite has one writer at a time.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn fold_step(deps: &Deps) -> Result<bool> {
    deps.db
        .write(|tx| async move {
            let (started, now) = (Instant::now(), deps.now());
            let due = store::lock_due(&tx, now, BATCH).await?;
            let mut is_more = u64::try_from(due.len()).is_ok_and(|count| count == BATCH);
            let mut touched = 0;
            for mut balance in store::with_open(&*tx, due).await? {
                if touched >= MAX_ROWS || started.elapsed() >= MAX_TIME {
                    is_more = true;
                    break;
                }
                balance.advance(now);
                let mut told = NewRows::default();
                if balance.has_changed() {
                    balance.add_event(deps, &mut told);
                }
                is_more |= balance.over() > MAX_REMOVED;
                touched += balance::save(&tx, [balance], told).await?;
            }
            Ok(is_more)
        })
        .await
}
