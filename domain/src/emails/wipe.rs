//! The job `WipeExpiredEmailSecrets`. A mail that failed, or is held back, keeps its secrets, since an administrator may
//! correct it and have it sent after all; but no longer than they are of any use.

use postern_entity::{EmailId, email};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use super::send::wiped;
use crate::{deps::Deps, error::Result, queue::Ending};

/// Rows that one transaction changes.
const BATCH: u64 = 100;

/// Runs the job.
///
/// # Errors
/// Internal only; the queue tries again.
#[crate::boxed]
pub async fn wipe_expired_secrets(deps: &Deps) -> Result<Ending> {
    while wipe_some(deps).await? == BATCH {}
    Ok(Ending::done())
}

/// Answers how many rows were wiped.
async fn wipe_some(deps: &Deps) -> Result<u64> {
    let now = deps.now();
    deps.db
        .write(async |tx| {
            // Messages of the local mailbox stay readable until they are deleted there; they have no expiry any more.
            let expired: Vec<EmailId> = email::Entity::find()
                .select_only()
                .column(email::Column::Id)
                .filter(email::Column::SecretsExpireAt.lte(now))
                .limit(BATCH)
                .into_tuple()
                .all(&*tx)
                .await?;
            let wiped =
                email::Entity::update_many().set(wiped()).filter(email::Column::Id.is_in(expired)).exec(&*tx).await?;
            Ok(wiped.rows_affected)
        })
        .await
}
