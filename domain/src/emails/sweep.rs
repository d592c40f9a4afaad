//! The job `SweepEmails`: mails whose job was lost, or is dead, are taken up again. A net; each mail's own job does the work.

use postern_entity::{EmailId, ProjectId};
use sea_orm::ConnectionTrait;

use super::jobs::SendEmail;
use crate::{
    Deps,
    db::statement,
    error::Result,
    queue::{self, Ending, Enqueue, Priority},
};

/// A mail that has not moved for this long past its time has lost its job. Longer than any wait between two steps.
const LOST_MILLIS: i64 = 15 * 60 * 1000;
/// One mail is taken up once in so long.
const AGAIN_MILLIS: i64 = 60 * 60 * 1000;
/// Mails that one run takes up.
const BATCH: u32 = 100;

/// Runs the job.
///
/// # Errors
/// Internal only; the queue tries again.
#[crate::boxed]
pub async fn sweep(deps: &Deps) -> Result<Ending> {
    let now = deps.now();
    // The condition of the index `email_unfinished`, word by word; then what each step waits for.
    let sql = format!(
        "SELECT project_id, id FROM email WHERE finished_sending_at IS NULL AND skipped_reason IS NULL \
         AND render_error IS NULL AND NOT is_paused AND updated_at < $1 AND scheduled_at < $1 \
         AND COALESCE(next_send_retry_at, 0) < $1 AND COALESCE(capacity_slot_at, 0) < $1 \
         ORDER BY updated_at LIMIT {BATCH}"
    );
    let long_ago = now.plus_millis(-LOST_MILLIS).millis();
    let connection = deps.db.read();
    let lost = connection.query_all_raw(statement(connection, &sql, [long_ago.into()])).await?;
    let hour = now.millis().div_euclid(AGAIN_MILLIS);
    let mut jobs = Vec::new();
    for row in &lost {
        let (project_id, email_id) = (ProjectId(row.try_get("", "project_id")?), EmailId(row.try_get("", "id")?));
        let job = Enqueue::new(&SendEmail { project_id: project_id.clone(), email_id })?.project(project_id);
        jobs.push(job.priority(Priority::Low).key(format!("sweep/{email_id}/{hour}")));
    }
    let taken = deps.db.write(async |tx| queue::enqueue_all(deps, &tx, jobs.clone()).await).await?;
    if !taken.is_empty() {
        tracing::warn!(mails = taken.len(), "mails whose job was lost are taken up again");
    }
    Ok(Ending::done())
}
