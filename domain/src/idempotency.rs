//! Mutations that may be repeated: a caller that sends a key gets the first outcome again instead of a second effect.
//!
//! The row that claims the key is written first in the mutation's own transaction, and the outcome is kept in it, sealed,
//! before the commit. So the effect and the key are durable together or not at all, failures are not kept, and a second
//! request with the same key waits for the first by waiting for its row.

pub mod jobs;

use std::future::Future;

use postern_entity::{ProjectId, idempotency, time::Timestamp};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, sea_query::OnConflict};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    actor::{Actor, IdempotencyKey},
    api_keys,
    codes::Code,
    db::{AsText, Held, NewRows, Operation, Outcome, Tx},
    deps::Deps,
    error::{Error, Failure, Result, refuse},
    random::equal_secrets,
    rotation::Rotation,
    secrets::Place,
};

/// How long an outcome is kept.
const KEPT_SECONDS: i64 = 24 * 60 * 60;
/// The longest key, in characters.
pub const MAX_KEY_CHARS: usize = 255;
/// How many expired rows one pruning removes.
const PRUNE_BATCH: u64 = 100;

impl Deps {
    /// Runs a mutation in one transaction, as [`crate::db::Db::write`] does; when the actor sent an idempotency key, the
    /// outcome of the first run is answered for a day. `operation` names the mutation and is part of the key's scope.
    ///
    /// # Errors
    /// `FORBIDDEN` when the actor is an API key and the mutation is none of those that API keys may do; those of the
    /// mutation; `IDEMPOTENCY_KEY_REUSED` when the key was used for another request; `CONFLICT` when the
    /// first request is still running after 5 s.
    pub async fn mutate<T, F, Fut>(&self, actor: &Actor, operation: &'static str, mut mutation: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned + Send,
        F: FnMut(Tx) -> Fut + Send,
        Fut: Future<Output = Result<T>> + Send,
    {
        let outcome = Outcome::none();
        self.mutate_once(actor, operation, &outcome, &mut |tx| outcome.of(mutation(tx))).await?;
        outcome.take()
    }

    /// [`Deps::mutate`] of what leaves its outcome elsewhere.
    #[crate::boxed]
    async fn mutate_once<'a>(
        &self,
        actor: &Actor,
        operation: &'static str,
        outcome: &'a dyn AsText,
        mutation: &mut Operation<'a>,
    ) -> Result<()> {
        api_keys::may(actor, operation)?;
        let Some(key) = &actor.idempotency else { return self.db.run(mutation).await };
        if key.key.is_empty() || key.key.chars().count() > MAX_KEY_CHARS {
            return refuse(Failure::bad_request(format!(
                "The idempotency key must have 1 to {MAX_KEY_CHARS} characters."
            )));
        }
        let claim = &Claim { deps: self, actor, key, operation };
        let once = self.db.write(|tx| {
            // Made here, run only if the key is free: an async block borrowing the mutation itself would have to
            // give it back before the next try of `write`.
            let running = mutation(tx.share());
            async move {
                if let Some(kept) = claim.take(&tx).await? {
                    return outcome.put_text(&kept);
                }
                running.await?;
                claim.keep(&tx, &outcome.text()?).await
            }
        });
        match once.await {
            Err(error) if Held::is(&error) => {
                refuse(Failure::new(Code::Conflict, "A request with the same idempotency key is still running."))
            }
            other => other,
        }
    }
}

impl Deps {
    /// [`Deps::mutate`] for a mutation that only adds rows, and whose outcome is known before. It may share its statement
    /// with others.
    ///
    /// # Errors
    /// Those of [`Deps::mutate`].
    pub(crate) async fn add<T>(&self, actor: &Actor, operation: &'static str, rows: NewRows, outcome: T) -> Result<T>
    where
        T: Clone + Serialize + DeserializeOwned + Send + Sync,
    {
        if may_share(actor, operation)? {
            self.db.add(rows).await?;
            return Ok(outcome);
        }
        let (rows, outcome) = (&rows, &outcome);
        self.mutate(actor, operation, |tx| async move {
            rows.clone().write(&tx).await?;
            Ok(outcome.clone())
        })
        .await
    }
}

/// Whether a mutation that the actor asks for may share statements and transactions with those of others: it comes without a
/// key, whose row must become durable with it and nothing else.
///
/// # Errors
/// `FORBIDDEN` as of [`Deps::mutate`].
pub(crate) fn may_share(actor: &Actor, operation: &'static str) -> Result<bool> {
    api_keys::may(actor, operation)?;
    Ok(actor.idempotency.is_none())
}

/// One use of a key.
struct Claim<'a> {
    deps: &'a Deps,
    actor: &'a Actor,
    key: &'a IdempotencyKey,
    operation: &'static str,
}

impl Claim<'_> {
    /// Claims the key, or answers the outcome that was kept under it.
    ///
    /// PostgreSQL waits for another transaction that holds the key, five seconds as for every lock; SQLite has one writer at a
    /// time anyway.
    async fn take(&self, tx: &Tx) -> Result<Option<Vec<u8>>> {
        let now = self.deps.now();
        idempotency::Entity::delete_many()
            .filter(self.this_row())
            .filter(idempotency::Column::ExpiresAt.lte(now))
            .exec(&**tx)
            .await
            .map_err(Held::or)?;
        let row = idempotency::ActiveModel {
            project_id: Set(self.actor.project_id.clone()),
            caller: Set(self.caller()),
            operation: Set(self.operation.to_owned()),
            key: Set(self.key.key.clone()),
            request_hash: Set(self.key.request_hash.clone()),
            outcome: Set(Vec::new()),
            expires_at: Set(now.plus_seconds(KEPT_SECONDS)),
        };
        let claimed = idempotency::Entity::insert(row)
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(&**tx)
            .await
            .map_err(Held::or)?;
        if claimed > 0 { Ok(None) } else { self.kept(tx).await.map(Some) }
    }

    async fn kept(&self, tx: &Tx) -> Result<Vec<u8>> {
        let row = idempotency::Entity::find()
            .filter(self.this_row())
            .one(&**tx)
            .await?
            .ok_or_else(|| Error::internal("an idempotency row vanished while it was held"))?;
        if !equal_secrets(&row.request_hash, &self.key.request_hash) {
            return refuse(Failure::new(
                Code::IdempotencyKeyReused,
                "This idempotency key was used for another request within the last 24 hours.",
            ));
        }
        self.deps.keyring.open(&self.place(), &row.outcome)
    }

    async fn keep(&self, tx: &Tx, outcome: &[u8]) -> Result<()> {
        let sealed = self.deps.keyring.seal(&self.place(), outcome)?;
        idempotency::Entity::update_many()
            .col_expr(idempotency::Column::Outcome, sealed.into())
            .filter(self.this_row())
            .exec(&**tx)
            .await?;
        Ok(())
    }

    fn this_row(&self) -> sea_orm::Condition {
        sea_orm::Condition::all()
            .add(idempotency::Column::ProjectId.eq(self.actor.project_id.clone()))
            .add(idempotency::Column::Caller.eq(self.caller()))
            .add(idempotency::Column::Operation.eq(self.operation))
            .add(idempotency::Column::Key.eq(&self.key.key))
    }

    /// A user's keys are its own, and so are those of an API key; servers and administrators of a project share theirs by
    /// level.
    fn caller(&self) -> String {
        if let Some(key) = &self.actor.key {
            return format!("key:{}", key.id);
        }
        match (self.actor.level, self.actor.user_id()) {
            (crate::Level::Client, Some(user)) => format!("user:{user}"),
            (level, _) => level.as_str().to_owned(),
        }
    }

    fn place(&self) -> Place<'_> {
        place(&self.actor.project_id, self.operation, &self.key.key)
    }
}

fn place<'a>(project_id: &'a ProjectId, operation: &'a str, key: &'a str) -> Place<'a> {
    Place { project: project_id.as_str(), table: "idempotency", row: key, column: operation }
}

/// Seals all kept outcomes again under the newest server secret.
pub(crate) async fn reseal(rotation: &mut Rotation<'_>) -> Result<()> {
    rotation
        .column::<idempotency::Entity>(
            "kept answers of repeatable mutations",
            idempotency::Column::Outcome,
            |keyring, row, sealed| keyring.reseal(&place(&row.project_id, &row.operation, &row.key), sealed),
        )
        .await
}

/// Removes at most a hundred outcomes whose time is over. Answers whether more may have to go.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn prune_step(deps: &Deps) -> Result<bool> {
    let now: Timestamp = deps.now();
    let statement = "DELETE FROM idempotency WHERE (project_id, caller, operation, key) IN \
                     (SELECT project_id, caller, operation, key FROM idempotency WHERE expires_at <= $1 LIMIT $2)";
    let limit = i64::try_from(PRUNE_BATCH).map_err(Error::internal)?;
    deps.db
        .write(|tx| async move {
            let statement = crate::db::statement(&*tx, statement, [now.millis().into(), limit.into()]);
            Ok(tx.execute_raw(statement).await?.rows_affected() == PRUNE_BATCH)
        })
        .await
}

#[cfg(test)]
mod tests;
