//! Logins of programs without a browser (wire/auth §10): the program begins one and shows a link; somebody who is signed in
//! there completes it, and the program takes that very session. A program that has an anonymous session of its own may hand
//! it over, for whoever signs in by it to become a regular user.
//!
//! Both codes have 224 random bits, so there is nothing to guess; what is handed over is sealed, and wiped when it is taken.

use postern_entity::cli_login;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, ExprTrait, Query},
};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    Actor, CliLoginId, Code, Deps, ProjectId, Timestamp, api_keys,
    db::{self, Tx},
    error::{Error, Failure, Result, refuse},
    events, limits,
    random::{hash_token, is_token, random_token},
    rotation::Rotation,
    secrets::Place,
    sessions::{self, ClientInfo, SignedIn},
    users,
};

/// How long a login waits for its completion unless told otherwise.
const DEFAULT_MILLIS: i64 = 2 * 60 * 60 * 1000;
/// The longest that it may wait.
pub const MAX_LOGIN_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// How long one that is over stays known.
const KEPT_SECONDS: i64 = 24 * 60 * 60;

/// A login that a program began.
#[derive(Clone, Debug)]
pub struct Started {
    /// By which the program asks how far it is.
    pub polling_code: SecretString,
    /// For the link that the program shows.
    pub login_code: SecretString,
    /// From then on it is refused.
    pub expires_at: Timestamp,
}

/// How far a login is.
#[derive(Clone, Debug)]
pub enum Progress {
    /// Nobody has completed it.
    Waiting,
    /// Nobody has in time.
    Expired,
    /// Somebody has; told once. The refresh token.
    Success(SecretString),
    /// It was told before.
    Used,
}

/// What a login has to hand to the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CliSession {
    /// An anonymous session, which can be claimed.
    Anonymous,
    /// Nothing.
    None,
}

/// Begins a login of a program. `anonymous` is the refresh token of an anonymous session that it has.
///
/// # Errors
/// `SCHEMA_ERROR`; `RATE_LIMITED`; `BAD_REQUEST` for a token that is none of an anonymous user of the project.
#[crate::boxed]
pub async fn start(
    deps: &Deps,
    actor: &Actor,
    expires_in_millis: Option<i64>,
    anonymous: Option<&SecretString>,
    client: &ClientInfo,
) -> Result<Started> {
    let millis = expires_in_millis.unwrap_or(DEFAULT_MILLIS);
    if !(1..=MAX_LOGIN_MILLIS).contains(&millis) {
        return refuse(Failure::schema(format!("expires_in_millis must be between 1 and {MAX_LOGIN_MILLIS}")));
    }
    limits::cli_login_touched(deps, actor, client).await?;
    let project_id = &actor.project_id;
    if let Some(token) = anonymous {
        require_anonymous(deps, project_id, token).await?;
    }
    let (polling_code, login_code, id) = (random_token()?, random_token()?, CliLoginId::random());
    let (now, expires_at) = (deps.now(), deps.now().plus_millis(millis));
    let sealed = anonymous.map(|token| seal(deps, project_id, id, "anonymous_token", token)).transpose()?;
    let row = &cli_login::ActiveModel {
        id: Set(id),
        project_id: Set(project_id.clone()),
        polling_hash: Set(hash_token(&polling_code)),
        login_hash: Set(hash_token(&login_code)),
        anonymous_token: Set(sealed),
        refresh_token: Set(None),
        created_at: Set(now),
        expires_at: Set(expires_at),
        claimed_at: Set(None),
        completed_at: Set(None),
        used_at: Set(None),
    };
    let codes = &(polling_code, login_code, expires_at);
    // What a repeated request is answered is what the first was: codes that were made for nothing are forgotten.
    let (polling_code, login_code, expires_at): (String, String, Timestamp) = deps
        .mutate(actor, "cli_logins.start", |tx| async move {
            cli_login::Entity::insert(row.clone()).exec_without_returning(&*tx).await?;
            Ok(codes.clone())
        })
        .await?;
    Ok(Started { polling_code: polling_code.into(), login_code: login_code.into(), expires_at })
}

async fn require_anonymous(deps: &Deps, project_id: &ProjectId, token: &SecretString) -> Result<()> {
    let user = match sessions::of_token(deps, project_id, token).await? {
        Some(session) => users::find(deps, project_id, session.user_id).await?,
        None => None,
    };
    if user.is_some_and(|user| user.is_anonymous) {
        return Ok(());
    }
    refuse(Failure::bad_request("anon_refresh_token is none of an anonymous user of this project."))
}

/// How far a login is. The token is told once.
///
/// # Errors
/// `RATE_LIMITED`; `INVALID_POLLING_CODE`.
#[crate::boxed]
pub async fn poll(deps: &Deps, actor: &Actor, polling_code: &str, client: &ClientInfo) -> Result<Progress> {
    api_keys::require_no_key(actor)?;
    limits::cli_login_touched(deps, actor, client).await?;
    let project_id = &actor.project_id;
    let unknown = || Failure::new(Code::InvalidPollingCode, "There is no login with this polling code.");
    if !is_token(polling_code) {
        return refuse(unknown());
    }
    let find = cli_login::Entity::find()
        .filter(cli_login::Column::ProjectId.eq(project_id.clone()))
        .filter(cli_login::Column::PollingHash.eq(hash_token(polling_code)));
    let Some(row) = find.one(deps.db.read()).await? else { return refuse(unknown()) };
    if row.expires_at <= deps.now() {
        return Ok(Progress::Expired);
    }
    let Some(sealed) = row.refresh_token.as_ref().filter(|_| row.used_at.is_none()) else {
        return Ok(if row.used_at.is_some() { Progress::Used } else { Progress::Waiting });
    };
    let token = open(deps, project_id, row.id, "refresh_token", sealed)?;
    let taken = deps
        .db
        .write(|tx| async move {
            let taken = cli_login::Entity::update_many()
                .col_expr(cli_login::Column::UsedAt, Expr::value(deps.now()))
                .col_expr(cli_login::Column::RefreshToken, Expr::value(None::<Vec<u8>>))
                .col_expr(cli_login::Column::AnonymousToken, Expr::value(None::<Vec<u8>>))
                .filter(cli_login::Column::Id.eq(row.id))
                .filter(cli_login::Column::UsedAt.is_null())
                .exec(&*tx)
                .await?;
            Ok(taken.rows_affected > 0)
        })
        .await?;
    Ok(if taken { Progress::Success(token) } else { Progress::Used })
}

/// What a login that waits has to hand to the browser.
///
/// # Errors
/// `BAD_REQUEST` for one that is unknown, over or completed.
#[crate::boxed]
pub async fn inspect(deps: &Deps, actor: &Actor, login_code: &str) -> Result<CliSession> {
    let row = waiting(deps.db.read(), deps, &actor.project_id, login_code).await?;
    Ok(if row.anonymous_token.is_some() { CliSession::Anonymous } else { CliSession::None })
}

/// Hands the anonymous session of the program to the browser, once.
///
/// # Errors
/// `BAD_REQUEST` for a login that is unknown, over or completed, or has nothing to hand over any more, as when its user is no
/// longer anonymous.
#[crate::boxed]
pub async fn claim(deps: &Deps, actor: &Actor, login_code: &str, client: &ClientInfo) -> Result<SignedIn> {
    let project_id = &actor.project_id;
    let token: String = deps
        .mutate(actor, "cli_logins.claim", |tx| async move {
            let row = waiting(&*tx, deps, project_id, login_code).await?;
            let Some(sealed) = &row.anonymous_token else { return refuse(nothing_to_claim()) };
            let token = open(deps, project_id, row.id, "anonymous_token", sealed)?;
            require_anonymous(deps, project_id, &token).await.map_err(|_| Error::from(nothing_to_claim()))?;
            let claimed = cli_login::Entity::update_many()
                .col_expr(cli_login::Column::ClaimedAt, Expr::value(deps.now()))
                .col_expr(cli_login::Column::AnonymousToken, Expr::value(None::<Vec<u8>>))
                .filter(cli_login::Column::Id.eq(row.id))
                .filter(cli_login::Column::ClaimedAt.is_null())
                .filter(cli_login::Column::CompletedAt.is_null())
                .exec(&*tx)
                .await?;
            // Somebody else was first.
            if claimed.rows_affected == 0 { refuse(nothing_to_claim()) } else { Ok(token.expose_secret().to_owned()) }
        })
        .await?;
    sessions::take_over(deps, project_id, token.into(), client).await
}

fn nothing_to_claim() -> Failure {
    Failure::bad_request("There is no anonymous session to claim.")
}

/// Hands the browser's session to the program: its very refresh token. The program's anonymous user is left alone.
///
/// # Errors
/// `BAD_REQUEST` for a login that is unknown, over or completed, and for a token of no session.
#[crate::boxed]
pub async fn complete(
    deps: &Deps,
    actor: &Actor,
    login_code: &str,
    refresh_token: Option<&SecretString>,
    client: &ClientInfo,
) -> Result<()> {
    let project_id = &actor.project_id;
    deps.mutate(actor, "cli_logins.complete", |tx| async move {
        let row = waiting(&*tx, deps, project_id, login_code).await?;
        let Some(token) = refresh_token else { return refuse(Failure::bad_request("refresh_token is missing.")) };
        let Some(session) = sessions::of_token(deps, project_id, token).await? else {
            return refuse(Failure::bad_request("refresh_token is of no session of this project."));
        };
        let sealed = seal(deps, project_id, row.id, "refresh_token", token)?;
        if !complete_in(deps, &tx, row.id, &sealed).await? {
            return refuse(not_waiting());
        }
        events::record(deps, &tx, sessions::handed_over(actor, client, session, "cli")).await
    })
    .await
}

async fn complete_in(deps: &Deps, tx: &Tx, id: CliLoginId, sealed: &[u8]) -> Result<bool> {
    let completed = cli_login::Entity::update_many()
        .col_expr(cli_login::Column::CompletedAt, Expr::value(deps.now()))
        .col_expr(cli_login::Column::RefreshToken, Expr::value(sealed.to_vec()))
        .filter(cli_login::Column::Id.eq(id))
        .filter(cli_login::Column::CompletedAt.is_null())
        .filter(cli_login::Column::ExpiresAt.gt(deps.now()))
        .exec(&**tx)
        .await?;
    Ok(completed.rows_affected > 0)
}

async fn waiting(
    connection: &impl ConnectionTrait,
    deps: &Deps,
    project_id: &ProjectId,
    login_code: &str,
) -> Result<cli_login::Model> {
    if !is_token(login_code) {
        return refuse(not_waiting());
    }
    let find = cli_login::Entity::find()
        .filter(cli_login::Column::ProjectId.eq(project_id.clone()))
        .filter(cli_login::Column::LoginHash.eq(hash_token(login_code)));
    let row = find.one(connection).await?;
    match row.filter(|row| row.completed_at.is_none() && deps.now() < row.expires_at) {
        Some(row) => Ok(row),
        None => refuse(not_waiting()),
    }
}

fn not_waiting() -> Failure {
    Failure::bad_request("There is no login with this code that waits: it is unknown, completed, or its time is over.")
}

fn seal(
    deps: &Deps,
    project_id: &ProjectId,
    id: CliLoginId,
    column: &'static str,
    token: &SecretString,
) -> Result<Vec<u8>> {
    deps.keyring.seal(&place(project_id, &id.to_string(), column), token.expose_secret().as_bytes())
}

fn open(
    deps: &Deps,
    project_id: &ProjectId,
    id: CliLoginId,
    column: &'static str,
    sealed: &[u8],
) -> Result<SecretString> {
    let token = deps.keyring.open(&place(project_id, &id.to_string(), column), sealed)?;
    Ok(String::from_utf8(token).map_err(Error::internal)?.into())
}

fn place<'a>(project_id: &'a ProjectId, row: &'a str, column: &'a str) -> Place<'a> {
    Place { project: project_id.as_str(), table: "cli_login", row, column }
}

/// Seals the tokens again that wait to be handed over.
pub(crate) async fn reseal(rotation: &mut Rotation<'_>) -> Result<()> {
    for (what, column, name) in [
        ("anonymous sessions of programs that log in", cli_login::Column::AnonymousToken, "anonymous_token"),
        ("sessions on their way to programs", cli_login::Column::RefreshToken, "refresh_token"),
    ] {
        rotation
            .column::<cli_login::Entity>(what, column, |keyring, row, sealed| {
                keyring.reseal(&place(&row.project_id, &row.id.to_string(), name), sealed)
            })
            .await?;
    }
    Ok(())
}

/// Removes some logins whose time is long over, of all projects. Answers whether more may be left.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn prune_step(deps: &Deps) -> Result<bool> {
    let now = deps.now();
    // What was not taken in time is of no use to anybody.
    let holds = cli_login::Column::AnonymousToken.is_not_null().or(cli_login::Column::RefreshToken.is_not_null());
    let over = &Query::select()
        .column(cli_login::Column::Id)
        .from(cli_login::Entity)
        .and_where(cli_login::Column::ExpiresAt.lte(now))
        .and_where(holds)
        .limit(db::PRUNE_BATCH)
        .to_owned();
    let wiped = deps
        .db
        .write(|tx| async move {
            let wiped = cli_login::Entity::update_many()
                .col_expr(cli_login::Column::AnonymousToken, Expr::value(None::<Vec<u8>>))
                .col_expr(cli_login::Column::RefreshToken, Expr::value(None::<Vec<u8>>))
                .filter(cli_login::Column::Id.in_subquery(over.clone()))
                .exec(&*tx)
                .await?;
            Ok(wiped.rows_affected)
        })
        .await?;
    let before = now.plus_seconds(-KEPT_SECONDS);
    let more = db::prune::<cli_login::Entity>(&deps.db, cli_login::Column::Id, cli_login::Column::ExpiresAt, before);
    Ok(more.await? || wiped == db::PRUNE_BATCH)
}

#[cfg(test)]
mod tests;
