//! One-time codes: 45 random characters that let somebody in once (wire/auth §4). The database holds a hash of the code, and
//! one of its last 39 characters, by which attempts are counted: a sign-in code is typed as six characters in front of a
//! tail that the caller knows, so right and wrong guesses share the tail.
//!
//! A code is looked at, counted and used up in the transaction of its effect, with its row held, so of any number of
//! callers exactly one succeeds. An effect that is refused uses the code up all the same.

mod kind;
mod text;

use std::{
    future::Future,
    sync::atomic::{AtomicBool, Ordering},
};

use postern_entity::verification_code;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait},
};
use secrecy::SecretString;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

pub(super) use self::text::head_and_tail;
use self::text::tail;
pub use self::{kind::CodeKind, text::OneTimeCode};
use crate::{
    Actor, Code, Deps, ProjectId, Timestamp, UserId, VerificationCodeId,
    db::{self, Tx},
    error::{Error, Failure, Result, refuse},
    random::{hash_token, random_token},
};

/// Uses and checks of one tail that are counted before every further one is refused.
const MAX_ATTEMPTS: i32 = 20;
/// How long an expired code is still known, so that it is called expired and not unknown.
const KEPT_SECONDS: i64 = 30 * 24 * 60 * 60;

/// A code to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewCode {
    pub(crate) project_id: ProjectId,
    pub(crate) kind: CodeKind,
    /// Whom it concerns; it goes when the user is deleted.
    pub(crate) user_id: Option<UserId>,
    /// What it is bound to.
    pub(crate) data: Value,
    pub(crate) ttl_seconds: i64,
}

/// A code at the only moment it is known.
#[derive(Debug)]
pub(crate) struct IssuedCode {
    pub(crate) id: VerificationCodeId,
    pub(crate) code: SecretString,
    pub(crate) expires_at: Timestamp,
}

/// What a code was bound to.
#[derive(Clone, Debug)]
pub(crate) struct UsedCode {
    pub(crate) id: VerificationCodeId,
    pub(crate) user_id: Option<UserId>,
    pub(crate) data: Value,
}

/// A code, whatever its state.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) project_id: ProjectId,
    pub(crate) data: Value,
    pub(crate) is_used: bool,
    pub(crate) is_expired: bool,
}

/// Makes a code. Older ones of the same kind stay good.
pub(crate) async fn issue(deps: &Deps, tx: &Tx, new: NewCode) -> Result<IssuedCode> {
    let code = random_token()?;
    let (created_at, expires_at) = (deps.now(), deps.now().plus_seconds(new.ttl_seconds));
    let id = VerificationCodeId::random();
    let row = verification_code::Model {
        id,
        project_id: new.project_id,
        kind: new.kind.as_str().to_owned(),
        code_hash: hash_token(&code),
        tail_hash: hash_token(tail(&code)),
        user_id: new.user_id,
        data: new.data,
        attempts: 0,
        created_at,
        expires_at,
        used_at: None,
    };
    verification_code::Entity::insert(row.into_active_model()).exec_without_returning(&**tx).await?;
    Ok(IssuedCode { id, code: code.into(), expires_at })
}

/// Whether a code could be used now. Counts as an attempt.
///
/// # Errors
/// `VERIFICATION_CODE_NOT_FOUND`, `_EXPIRED`, `_ALREADY_USED`, `_MAX_ATTEMPTS_REACHED`.
#[crate::boxed]
pub async fn check_code(deps: &Deps, project_id: &ProjectId, kind: CodeKind, code: &OneTimeCode) -> Result<()> {
    look_at(deps, project_id, kind, code).await.map(drop)
}

/// Whether a code could be used now, for a page that a link led to. What opens links by itself, as programs do that check mails
/// for harm, must not use up the attempts of a code that is good: only those at others count.
///
/// # Errors
/// Those of [`check_code`].
#[crate::boxed]
pub async fn look_at_link(deps: &Deps, project_id: &ProjectId, kind: CodeKind, code: &OneTimeCode) -> Result<()> {
    match usable(deps, project_id, kind, code).await? {
        Some(_) => Ok(()),
        None => check_code(deps, project_id, kind, code).await,
    }
}

/// What a code is bound to, if it could be used now. Counts as an attempt.
///
/// # Errors
/// Those of [`check_code`].
pub(crate) async fn look_at(
    deps: &Deps,
    project_id: &ProjectId,
    kind: CodeKind,
    code: &OneTimeCode,
) -> Result<UsedCode> {
    if !is_known(deps, project_id, code).await? {
        return refuse(not_found());
    }
    // The refusal is the outcome of a transaction that commits: the attempt counts.
    let outcome = deps.db.write(|tx| async move { attempt(deps, &tx, project_id, kind, code).await }).await?;
    outcome.map(|row| UsedCode { id: row.id, user_id: row.user_id, data: row.data }).map_err(Error::from)
}

/// A code that somebody uses, and what becomes of it when the effect is refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket<'a> {
    pub(crate) kind: CodeKind,
    pub(crate) code: &'a OneTimeCode,
    /// Whether it is used up even then, by the code of the refusal. The contract wants it of most codes it knows.
    pub(crate) burns_when_refused: fn(Code) -> bool,
}

/// Uses a code up and runs `effect` in the same transaction, repeatable as [`Deps::mutate`] says. When the effect is
/// refused, nothing of it stays; the attempt counts, and the code is used up if the ticket says so.
///
/// # Errors
/// Those of [`check_code`] and of the effect.
pub(crate) async fn redeem<T, F, Fut>(
    deps: &Deps,
    actor: &Actor,
    operation: &'static str,
    ticket: Ticket<'_>,
    effect: F,
) -> Result<T>
where
    T: Serialize + DeserializeOwned + Send,
    F: Fn(Tx, UsedCode) -> Fut + Send + Sync,
    Fut: Future<Output = Result<T>> + Send,
{
    let (project_id, Ticket { kind, code, burns_when_refused }) = (&actor.project_id, ticket);
    if !is_known(deps, project_id, code).await? {
        return refuse(not_found());
    }
    let (effect, looked_at) = (&effect, &AtomicBool::new(false));
    let outcome = deps
        .mutate(actor, operation, |tx| async move {
            looked_at.store(true, Ordering::Relaxed);
            let used = use_up(deps, &tx, project_id, kind, code).await?.map_err(Error::from)?;
            effect(tx, used).await
        })
        .await;
    if let Err(Error::Refused(failure)) = &outcome
        && looked_at.load(Ordering::Relaxed)
    {
        let burns = burns_when_refused(failure.code);
        // The attempt was rolled back with everything else. Whether somebody else was first by now changes nothing for
        // this caller, so what this transaction finds is not looked at.
        deps.db
            .write(|tx| async move {
                if burns {
                    use_up(deps, &tx, project_id, kind, code).await.map(drop)
                } else {
                    attempt(deps, &tx, project_id, kind, code).await.map(drop)
                }
            })
            .await?;
    }
    outcome
}

/// Uses a code up that is not at hand, because what it is good for was done or taken back. Answers whether it was unused.
pub(crate) async fn withdraw(deps: &Deps, tx: &Tx, project_id: &ProjectId, id: VerificationCodeId) -> Result<bool> {
    let withdrawn = verification_code::Entity::update_many()
        .col_expr(verification_code::Column::UsedAt, Expr::value(deps.now()))
        .filter(verification_code::Column::ProjectId.eq(project_id.clone()))
        .filter(verification_code::Column::Id.eq(id))
        .filter(verification_code::Column::UsedAt.is_null())
        .exec(&**tx)
        .await?;
    Ok(withdrawn.rows_affected > 0)
}

/// Uses up all codes of a kind that a user has, because what they are good for was done.
pub(crate) async fn withdraw_all_of(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    kind: CodeKind,
    user_id: UserId,
) -> Result<()> {
    verification_code::Entity::update_many()
        .col_expr(verification_code::Column::UsedAt, Expr::value(deps.now()))
        .filter(verification_code::Column::ProjectId.eq(project_id.clone()))
        .filter(verification_code::Column::UserId.eq(user_id))
        .filter(verification_code::Column::Kind.eq(kind.as_str()))
        .filter(verification_code::Column::UsedAt.is_null())
        .exec(&**tx)
        .await?;
    Ok(())
}

/// The code, of whichever project: for links that say nothing else. Counts no attempt: only the whole code is asked for, so
/// there is nothing to guess.
pub(crate) async fn find_anywhere(deps: &Deps, kind: CodeKind, code: &OneTimeCode) -> Result<Option<Found>> {
    let row = verification_code::Entity::find()
        .filter(verification_code::Column::CodeHash.eq(code.hash()))
        .filter(verification_code::Column::Kind.eq(kind.as_str()))
        .one(deps.db.read())
        .await?;
    Ok(row.map(|row| Found {
        project_id: row.project_id,
        data: row.data,
        is_used: row.used_at.is_some(),
        is_expired: row.expires_at <= deps.now(),
    }))
}

/// The time of the code is over.
pub(crate) fn expired() -> Failure {
    Failure::new(Code::VerificationCodeExpired, "This code has expired.")
}

/// The code was used, or taken back.
pub(crate) fn already_used() -> Failure {
    Failure::new(Code::VerificationCodeAlreadyUsed, "This code was used before.")
}

/// There is no such code, or what it was for is gone.
pub(crate) fn not_found() -> Failure {
    Failure::new(Code::VerificationCodeNotFound, "There is no such code.")
}

/// What a code is bound to, if it could be used now, without counting an attempt: for what must be known before it is used.
pub(super) async fn usable(
    deps: &Deps,
    project_id: &ProjectId,
    kind: CodeKind,
    code: &OneTimeCode,
) -> Result<Option<UsedCode>> {
    let usable = verification_code::Entity::find()
        .filter(verification_code::Column::ProjectId.eq(project_id.clone()))
        .filter(verification_code::Column::CodeHash.eq(code.hash()))
        .filter(verification_code::Column::Kind.eq(kind.as_str()))
        .filter(verification_code::Column::UsedAt.is_null())
        .filter(verification_code::Column::ExpiresAt.gt(deps.now()))
        .filter(verification_code::Column::Attempts.lt(MAX_ATTEMPTS));
    let row = usable.one(deps.db.read()).await?;
    Ok(row.map(|row| UsedCode { id: row.id, user_id: row.user_id, data: row.data }))
}

/// Whom a code concerns that shares its tail with this one, which may be a wrong guess at it. `None` where no code of the kind
/// does, so that nothing was guessed at, and after too many attempts, which change nothing any more.
pub(super) async fn guessed_at(
    deps: &Deps,
    project_id: &ProjectId,
    kind: CodeKind,
    code: &OneTimeCode,
) -> Result<Option<Option<UserId>>> {
    let sharing = verification_code::Entity::find()
        .filter(verification_code::Column::ProjectId.eq(project_id.clone()))
        .filter(verification_code::Column::TailHash.eq(code.tail_hash()))
        .filter(verification_code::Column::Kind.eq(kind.as_str()))
        .filter(verification_code::Column::Attempts.lte(MAX_ATTEMPTS));
    Ok(sharing.one(deps.db.read()).await?.map(|row| row.user_id))
}

/// Counts an attempt and marks the code as used.
async fn use_up(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    kind: CodeKind,
    code: &OneTimeCode,
) -> Result<std::result::Result<UsedCode, Failure>> {
    let row = match attempt(deps, tx, project_id, kind, code).await? {
        Ok(row) => row,
        Err(refused) => return Ok(Err(refused)),
    };
    let mut used = verification_code::ActiveModel { id: Set(row.id), ..Default::default() };
    used.used_at = Set(Some(deps.now()));
    verification_code::Entity::update(used).exec(&**tx).await?;
    Ok(Ok(UsedCode { id: row.id, user_id: row.user_id, data: row.data }))
}

/// Whether any code of the project shares the tail. Guesses into the blue must not cost a transaction.
async fn is_known(deps: &Deps, project_id: &ProjectId, code: &OneTimeCode) -> Result<bool> {
    let sharing = verification_code::Entity::find()
        .filter(verification_code::Column::ProjectId.eq(project_id.clone()))
        .filter(verification_code::Column::TailHash.eq(code.tail_hash()))
        .limit(1);
    Ok(sharing.count(deps.db.read()).await? > 0)
}

/// Counts an attempt and answers the row if the code can be used. The rows that share the tail are held from here on.
async fn attempt(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    kind: CodeKind,
    code: &OneTimeCode,
) -> Result<std::result::Result<verification_code::Model, Failure>> {
    verification_code::Entity::update_many()
        .col_expr(verification_code::Column::Attempts, Expr::col(verification_code::Column::Attempts).add(1))
        .filter(verification_code::Column::ProjectId.eq(project_id.clone()))
        .filter(verification_code::Column::TailHash.eq(code.tail_hash()))
        // One more than is allowed says enough.
        .filter(verification_code::Column::Attempts.lte(MAX_ATTEMPTS))
        .exec(&**tx)
        .await?;
    let row = verification_code::Entity::find()
        .filter(verification_code::Column::ProjectId.eq(project_id.clone()))
        .filter(verification_code::Column::CodeHash.eq(code.hash()))
        .filter(verification_code::Column::Kind.eq(kind.as_str()))
        .one(&**tx)
        .await?;
    let Some(row) = row else { return Ok(Err(not_found())) };
    let refused = if row.expires_at <= deps.now() {
        expired()
    } else if row.used_at.is_some() {
        already_used()
    } else if row.attempts > MAX_ATTEMPTS {
        Failure::new(Code::VerificationCodeMaxAttemptsReached, "This code was tried too often. Ask for a new one.")
    } else {
        return Ok(Ok(row));
    };
    Ok(Err(refused))
}

/// Removes some codes that expired long ago, used or not. Answers whether more may be left.
pub(super) async fn prune(deps: &Deps) -> Result<bool> {
    let (id, expires_at) = (verification_code::Column::Id, verification_code::Column::ExpiresAt);
    let before = deps.now().plus_seconds(-KEPT_SECONDS);
    db::prune::<verification_code::Entity>(&deps.db, id, expires_at, before).await
}

#[cfg(test)]
mod tests;
