//! What is remembered of a visit, sealed in its row.

use postern_entity::oauth_visit::{Column, Entity, Model};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, sea_query::Expr};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{departure::Purpose, kind::ProviderKind};
use crate::{
    Actor, Deps, Level, OAuthVisitId, ProjectId, SessionId, UserId,
    actor::ActingUser,
    db::{self, Tx},
    error::{Error, Result},
    linked_accounts::GivenTokens,
    ports::oauth::{Account, Departure},
    random::{hash_token, is_token},
    rotation::Rotation,
    secrets::Place,
};

/// How long somebody may be away.
pub(super) const AWAY_SECONDS: i64 = 10 * 60;
/// For how long more it is known that somebody was away for too long.
const LATE_SECONDS: i64 = 60 * 60;
/// How long a code waits for its use.
const CODE_SECONDS: i64 = 5 * 60;

/// The user for whom somebody left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Traveller {
    pub(super) user_id: UserId,
    pub(super) session_id: SessionId,
    pub(super) is_anonymous: bool,
    pub(super) is_restricted: bool,
}

impl Traveller {
    pub(super) fn of(user: &ActingUser) -> Self {
        let ActingUser { id: user_id, session_id, is_anonymous, is_restricted } = *user;
        Self { user_id, session_id, is_anonymous, is_restricted }
    }

    pub(super) fn acting(self) -> ActingUser {
        let Self { user_id: id, session_id, is_anonymous, is_restricted } = self;
        ActingUser { id, session_id, is_anonymous, is_restricted }
    }
}

impl Errand {
    /// Who asks, at the return and when the code is used: a browser, for the user for whom it left.
    pub(super) fn actor(&self, project_id: &ProjectId) -> Actor {
        Actor::new(project_id.clone(), Level::Client, self.traveller.map(Traveller::acting))
    }
}

/// What the application wants of a visit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Errand {
    pub(super) provider_config_id: String,
    pub(super) purpose: Purpose,
    pub(super) traveller: Option<Traveller>,
    pub(super) redirect_uri: String,
    pub(super) code_challenge: String,
    pub(super) after_callback_redirect_url: Option<String>,
}

/// Of somebody who is away.
#[derive(Serialize, Deserialize)]
pub(super) struct Away {
    pub(super) errand: Errand,
    /// The application's own.
    pub(super) state: String,
    pub(super) error_redirect_url: Option<String>,
    /// Whether the browser was given a cookie.
    pub(super) has_cookie: bool,
    nonce: String,
    verifier: String,
    pub(super) extra_scopes: Vec<String>,
}

impl Away {
    pub(super) fn new(
        errand: Errand,
        state: String,
        error_redirect_url: Option<String>,
        has_cookie: bool,
        departure: &Departure,
    ) -> Self {
        Self {
            errand,
            state,
            error_redirect_url,
            has_cookie,
            nonce: departure.nonce.expose_secret().to_owned(),
            verifier: departure.verifier.expose_secret().to_owned(),
            extra_scopes: departure.extra_scopes.clone(),
        }
    }

    /// As they left, with the state that they bring back.
    pub(super) fn departure(&self, state: SecretString) -> Departure {
        Departure {
            state,
            nonce: self.nonce.clone().into(),
            verifier: self.verifier.clone().into(),
            extra_scopes: self.extra_scopes.clone(),
        }
    }
}

/// Of somebody who came back, and is let in by a code.
#[derive(Serialize, Deserialize)]
pub(super) struct Back {
    pub(super) errand: Errand,
    /// Type of the provider that they were at.
    pub(super) kind: ProviderKind,
    pub(super) account: Account,
    /// None of who came without a browser.
    pub(super) tokens: Option<GivenTokens>,
    /// From where.
    pub(super) country: Option<String>,
}

/// Remembers somebody who leaves.
pub(super) async fn remember(deps: &Deps, project_id: &ProjectId, state: &str, away: &Away) -> Result<()> {
    let (id, now) = (OAuthVisitId::random(), deps.now());
    let row = &Model {
        id,
        project_id: project_id.clone(),
        state_hash: hash_token(state),
        code_hash: None,
        memory: Some(seal(deps, project_id, id, away)?),
        created_at: now,
        returned_at: None,
        used_at: None,
        kept_until: now.plus_seconds(AWAY_SECONDS + LATE_SECONDS),
    };
    deps.db
        .write(|tx| async move {
            Entity::insert(row.clone().into_active_model()).exec_without_returning(&*tx).await?;
            Ok(())
        })
        .await
}

/// Who left with a state. The state is all that a browser brings back, and says of which project they are.
pub(super) async fn away_with(deps: &Deps, state: &str) -> Result<Option<(Model, Away)>> {
    if !is_token(state) {
        return Ok(None);
    }
    let row = Entity::find().filter(Column::StateHash.eq(hash_token(state))).one(deps.db.read()).await?;
    let Some(row) = row.filter(|row| row.returned_at.is_none() && deps.now() < row.kept_until) else {
        return Ok(None);
    };
    let away = open(deps, &row)?;
    Ok(away.map(|away| (row, away)))
}

/// Takes somebody back, once. Answers whether it is the first time.
pub(super) async fn take_back(deps: &Deps, row: &Model) -> Result<bool> {
    let taken = deps.db.write(|tx| async move {
        let taken = Entity::update_many()
            .col_expr(Column::ReturnedAt, Expr::value(deps.now()))
            .col_expr(Column::Memory, Expr::value(None::<Vec<u8>>))
            .filter(Column::ProjectId.eq(row.project_id.clone()))
            .filter(Column::Id.eq(row.id))
            .filter(Column::ReturnedAt.is_null())
            .exec(&*tx)
            .await?;
        Ok(taken.rows_affected == 1)
    });
    taken.await
}

/// Remembers who came back, until the code is used.
pub(super) async fn await_code(deps: &Deps, tx: &Tx, row: &Model, code: &str, back: &Back) -> Result<()> {
    let (visit, mut row) = (row, row.clone().into_active_model());
    row.code_hash = Set(Some(hash_token(code)));
    row.memory = Set(Some(seal(deps, &visit.project_id, visit.id, back)?));
    row.returned_at = Set(Some(deps.now()));
    row.kept_until = Set(deps.now().plus_seconds(CODE_SECONDS));
    Entity::update(row).exec_without_returning(&**tx).await?;
    Ok(())
}

/// Who is let in by a code.
pub(super) async fn back_with(deps: &Deps, project_id: &ProjectId, code: &str) -> Result<Option<(Model, Back)>> {
    if !is_token(code) {
        return Ok(None);
    }
    let find =
        Entity::find().filter(Column::ProjectId.eq(project_id.clone())).filter(Column::CodeHash.eq(hash_token(code)));
    let row = find.one(deps.db.read()).await?;
    let Some(row) = row.filter(|row| row.used_at.is_none() && deps.now() < row.kept_until) else { return Ok(None) };
    let back = open(deps, &row)?;
    Ok(back.map(|back| (row, back)))
}

/// Uses the code up, and forgets what was remembered. Answers whether it was still good.
pub(super) async fn use_up(deps: &Deps, tx: &Tx, row: &Model) -> Result<bool> {
    let used = Entity::update_many()
        .col_expr(Column::UsedAt, Expr::value(deps.now()))
        .col_expr(Column::Memory, Expr::value(None::<Vec<u8>>))
        .filter(Column::ProjectId.eq(row.project_id.clone()))
        .filter(Column::Id.eq(row.id))
        .filter(Column::UsedAt.is_null())
        .filter(Column::KeptUntil.gt(deps.now()))
        .exec(&**tx)
        .await?;
    Ok(used.rows_affected == 1)
}

fn seal(deps: &Deps, project_id: &ProjectId, id: OAuthVisitId, memory: &impl Serialize) -> Result<Vec<u8>> {
    let plain = serde_json::to_vec(memory).map_err(Error::internal)?;
    deps.keyring.seal(&place(project_id, &id.to_string()), &plain)
}

fn open<T: DeserializeOwned>(deps: &Deps, row: &Model) -> Result<Option<T>> {
    let Some(sealed) = &row.memory else { return Ok(None) };
    let plain = deps.keyring.open(&place(&row.project_id, &row.id.to_string()), sealed)?;
    serde_json::from_slice(&plain).map(Some).map_err(Error::internal)
}

fn place<'a>(project_id: &'a ProjectId, row: &'a str) -> Place<'a> {
    Place { project: project_id.as_str(), table: "oauth_visit", row, column: "memory" }
}

/// Seals again what is remembered.
pub(crate) async fn reseal(rotation: &mut Rotation<'_>) -> Result<()> {
    rotation
        .column::<Entity>("visits to other sites", Column::Memory, |keyring, row, sealed| {
            keyring.reseal(&place(&row.project_id, &row.id.to_string()), sealed)
        })
        .await
}

/// Forgets some visits that are over, of all projects. Answers whether more may be left.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub(crate) async fn prune_step(deps: &Deps) -> Result<bool> {
    db::prune::<Entity>(&deps.db, Column::Id, Column::KeptUntil, deps.now()).await
}
