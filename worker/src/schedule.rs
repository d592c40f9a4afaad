//! Jobs that come back: every worker enqueues each run once per stretch of time, and the key makes it one.

use std::{collections::HashMap, time::Duration};

use postern_domain::{
    Deps, Error, Result,
    queue::{self, Enqueue, Job},
};
use tokio_util::sync::CancellationToken;

use crate::pause::{Pause, with_patience};

/// The longest stretch: keys of finished jobs are kept for longer than this, shorter would run a job twice.
const MAX_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the scheduler sleeps at most, because the clock may be set.
const MAX_SLEEP: Duration = Duration::from_secs(30);

/// A job that is due once in every stretch of time.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    kind: &'static str,
    every_seconds: i64,
    job: Enqueue,
}

impl Schedule {
    pub(crate) fn new<J: Job>(every: Duration, job: &J) -> Result<Self> {
        let every_seconds = i64::try_from(every.as_secs()).map_err(Error::internal)?;
        if every_seconds == 0 || every > MAX_EVERY {
            return Err(Error::internal(format!("{}: a schedule comes back after one second to one day", J::KIND)));
        }
        Ok(Self { kind: J::KIND, every_seconds, job: Enqueue::new(job)? })
    }

    /// The stretch of time that `now` lies in, counted from the epoch.
    fn tick(&self, now_seconds: i64) -> i64 {
        now_seconds.div_euclid(self.every_seconds)
    }
}

/// Enqueues what has become due since the last call; `enqueued` remembers the newest run of each schedule. Runs that were
/// missed while no worker ran are not made up for.
async fn enqueue_due(deps: &Deps, schedules: &[Schedule], enqueued: &mut HashMap<&'static str, i64>) -> Result<()> {
    let now_seconds = deps.now().seconds();
    let due: Vec<_> = schedules
        .iter()
        .map(|schedule| (schedule, schedule.tick(now_seconds)))
        .filter(|(schedule, tick)| enqueued.get(schedule.kind) != Some(tick))
        .collect();
    if due.is_empty() {
        return Ok(());
    }
    deps.db
        .write(async |tx| {
            let jobs = due.iter().map(|(schedule, tick)| schedule.job.clone().key(format!("tick:{tick}")));
            queue::enqueue_all(deps, &tx, jobs.collect::<Vec<_>>()).await
        })
        .await?;
    enqueued.extend(due.iter().map(|(schedule, tick)| (schedule.kind, *tick)));
    Ok(())
}

/// Runs the schedules until `stop`.
pub(crate) async fn run(deps: Deps, schedules: Vec<Schedule>, stop: CancellationToken) {
    let mut enqueued = HashMap::new();
    let mut pause = Pause::new();
    while !stop.is_cancelled() && !schedules.is_empty() {
        let wait = match with_patience(enqueue_due(&deps, &schedules, &mut enqueued)).await {
            Ok(()) => {
                pause.reset();
                until_next(&schedules, deps.now().millis())
            }
            Err(error) => {
                tracing::warn!(%error, "scheduled jobs cannot be enqueued; trying again");
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = pause.wait() => {}
                }
                continue;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// How long until the next stretch of any schedule begins.
fn until_next(schedules: &[Schedule], now_millis: i64) -> Duration {
    let next = schedules.iter().map(|schedule| {
        let every_millis = schedule.every_seconds * 1000;
        every_millis - now_millis.rem_euclid(every_millis)
    });
    let millis = next.min().and_then(|millis| u64::try_from(millis).ok()).unwrap_or(u64::MAX);
    Duration::from_millis(millis).min(MAX_SLEEP)
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Tidy;

    impl Job for Tidy {
        const KIND: &'static str = "tidy";
    }

    #[test]
    fn a_stretch_has_one_number_and_the_next_begins_at_its_end() {
        let schedule = Schedule::new(Duration::from_secs(60), &Tidy).unwrap();
        assert_eq!(schedule.tick(119), schedule.tick(60));
        assert_ne!(schedule.tick(120), schedule.tick(119));
        assert_eq!(until_next(&[schedule], 119_250), Duration::from_millis(750));
    }

    #[test]
    fn stretches_longer_than_keys_are_kept_are_refused() {
        assert!(Schedule::new(Duration::from_secs(25 * 60 * 60), &Tidy).is_err());
        assert!(Schedule::new(Duration::ZERO, &Tidy).is_err());
    }
}
