//! How many jobs a worker gets through: claims, runs and acknowledgements, with next to no work in between.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::{Instant, sleep};

use super::{compare::Spread, report::Row, scene::Scene};

const JOBS: i64 = 10_000;
const PATIENCE: Duration = Duration::from_secs(120);
const NOTES: &str = "10,000 jobs `deliver_webhook` (attempts by hand) whose delivery is gone, so that each run is one lookup shared with others; \
    written while no worker ran, from the first end to the last; 128 slots";

/// Jobs per second, out of a backlog.
pub(crate) async fn measure(scene: &mut Scene, rounds: usize) -> Result<Row> {
    let database = scene.database().await?;
    let project = scene.stand.project.project_id.clone();
    let (id, delivery) = if database.is_sqlite() {
        ("randomblob(16)", "'00000000-0000-4000-8000-' || printf('%012d', n)")
    } else {
        ("gen_random_uuid()", "gen_random_uuid()")
    };
    let payload = format!(r#"'{{"project_id":"{project}","delivery_id":"' || {delivery} || '"}}'"#);
    let payload = if database.is_sqlite() { payload } else { format!("({payload})::json") };
    let mut rates = Vec::new();
    for round in 0..rounds {
        scene.worker_mut()?.stop().await?;
        // The instant tells the rounds apart; all are long due.
        let made = format!(
            "INSERT INTO job (id, lane, kind, payload, state, priority, due_at, attempts, max_attempts, fence, takeovers, created_at) \
             WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {JOBS}) \
             SELECT {id}, 'webhooks', 'deliver_webhook', {payload}, 'pending', 1, n, 0, 5, 0, 0, {round} FROM numbers"
        );
        database.run(&made).await?;
        scene.worker_mut()?.start().await?;
        let of_round = format!("FROM job WHERE kind = 'deliver_webhook' AND created_at = {round}");
        let began = Instant::now();
        while database.number(&format!("SELECT count(*) {of_round} AND finished_at IS NULL")).await? > 0 {
            ensure!(began.elapsed() < PATIENCE, "the jobs do not come to an end");
            sleep(Duration::from_millis(100)).await;
        }
        let done = database.number(&format!("SELECT count(*) {of_round} AND state = 'done'")).await?;
        ensure!(done == JOBS, "{done} of {JOBS} jobs ended well");
        let took = database.number(&format!("SELECT max(finished_at) - min(finished_at) {of_round}")).await?;
        rates.push(JOBS as f64 * 1000.0 / took.max(1) as f64);
    }
    Ok(Row::plain("jobs out of a backlog", Spread::of(rates).context("no round")?, "/s", NOTES))
}
