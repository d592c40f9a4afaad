//! The job `WipeExpiredEmailSecrets`. A mail that failed, or is held back, keeps its secrets, since an administrator may
//! correct it and have it sent after all; but no longer than they are of any use.

use postern_entity::{EmailId, email};
use sea_orm::{ActiveValue::NotSet, ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect};

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
            // Messages of the local mailbox stay readable until they are deleted there; they have no expiry any more. The
            // expiry stays: by it the mail is not sent without its secrets.
            let sealed = Condition::any()
                .add(email::Column::SealedVariables.is_not_null())
                .add(email::Column::SealedContent.is_not_null());
            let expired: Vec<EmailId> = email::Entity::find()
                .select_only()
                .column(email::Column::Id)
                .filter(email::Column::SecretsExpireAt.lte(now))
                .filter(sealed)
                .limit(BATCH)
                .into_tuple()
                .all(&*tx)
                .await?;
            let changes = email::ActiveModel { secrets_expire_at: NotSet, ..wiped() };
            let wiped =
                email::Entity::update_many().set(changes).filter(email::Column::Id.is_in(expired)).exec(&*tx).await?;
            Ok(wiped.rows_affected)
        })
        .await
}
