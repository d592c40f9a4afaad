//! Authorization codes (RFC 6749 §4.1) with proof keys (RFC 7636): how a session gets to an application on another origin. The
//! browser that has the session asks for a code, which is sent to the application by its URL; whoever began it there proves
//! it by the verifier and gets the session's own refresh token (wire/auth §11).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use postern_entity::authorization_code;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Expr, LockType},
};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use url::Url;

use crate::{
    Actor, AuthorizationCodeId, Code, Deps, ProjectId,
    db::{self, Backend, Tx},
    error::{Error, Failure, Result, refuse},
    events,
    identity::require_user,
    oauth, projects,
    random::{equal_secrets, hash_token, is_token, random_token},
    rotation::Rotation,
    secrets::Place,
    sessions::{self, ClientInfo, SignedIn},
    validation::Violations,
};

/// How long a code waits for its use.
const CODE_SECONDS: i64 = 5 * 60;
/// The longest state that an application may hand along, in characters.
const MAX_STATE_CHARS: usize = 512;
/// The only way to make a challenge of a verifier: the other one proves nothing to whoever sees the request.
const S256: &str = "S256";
/// Lengths of challenges and verifiers (RFC 7636 §4.1).
const PROOF_CHARS: std::ops::RangeInclusive<usize> = 43..=128;

/// An application on another origin that is to get the caller's session.
#[derive(Clone, Debug)]
pub struct HandOver {
    /// Where the browser goes next, with code and state. Must be trusted.
    pub redirect_uri: String,
    /// By which the application knows its own request again, 1 to 512 characters.
    pub state: String,
    /// SHA-256 of the verifier, as base64url.
    pub code_challenge: String,
    /// Only `S256`, which it is when not given.
    pub code_challenge_method: Option<String>,
    /// Where the application goes on. Must be trusted.
    pub after_callback_redirect_url: Option<String>,
}

/// A code that somebody uses.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The code.
    pub code: String,
    /// Where it was sent.
    pub redirect_uri: Option<String>,
    /// What the challenge was made of.
    pub code_verifier: Option<SecretString>,
}

/// What a code was good for.
#[derive(Clone, Debug)]
pub struct Exchanged {
    /// The session.
    pub signed_in: SignedIn,
    /// Where the application goes on.
    pub after_callback_redirect_url: Option<String>,
}

/// Notes a challenge, or a way to make it of a verifier, that is none.
pub(crate) fn check_proof(violations: &mut Violations, code_challenge: &str, method: Option<&str>) {
    violations.require(is_proof(code_challenge), "code_challenge", "must be 43 to 128 of A-Z a-z 0-9 . _ ~ -");
    violations.require(method.unwrap_or(S256) == S256, "code_challenge_method", "must be S256");
}

/// Makes a code for the caller's own session and answers where the browser goes with it. `refresh_token` is that session's.
///
/// # Errors
/// In this order: `SCHEMA_ERROR`; `USER_AUTHENTICATION_REQUIRED`; `BAD_REQUEST` without a refresh token; `UNAUTHENTICATED` when
/// it is not that of the caller's session; `REDIRECT_URL_NOT_WHITELISTED`.
#[crate::boxed]
pub async fn hand_over(
    deps: &Deps,
    actor: &Actor,
    refresh_token: Option<&SecretString>,
    input: HandOver,
    client: &ClientInfo,
) -> Result<Url> {
    let mut violations = Violations::default();
    violations.require(!input.state.is_empty(), "state", "must not be empty");
    violations.text("state", &input.state, MAX_STATE_CHARS);
    check_proof(&mut violations, &input.code_challenge, input.code_challenge_method.as_deref());
    violations.finish()?;
    let user = require_user(actor)?;
    let Some(refresh_token) = refresh_token else {
        return refuse(Failure::bad_request("The request needs the refresh token of the session besides."));
    };
    let project_id = &actor.project_id;
    let session = sessions::of_token(deps, project_id, refresh_token).await?;
    let Some(session) = session.filter(|session| session.id == user.session_id && session.user_id == user.id) else {
        return refuse(Failure::new(
            Code::Unauthenticated,
            "The refresh token is not that of the access token's session.",
        ));
    };
    let config = projects::config(deps, project_id).await?;
    let mut url = projects::trusted_url(&config, &input.redirect_uri)?;
    let after = input.after_callback_redirect_url.as_deref();
    let after = after.map(|url| projects::trusted_url(&config, url)).transpose()?.map(String::from);
    let code = random_token()?;
    let id = AuthorizationCodeId::random();
    let sealed = deps.keyring.seal(&place(project_id, &id.to_string()), refresh_token.expose_secret().as_bytes())?;
    let now = deps.now();
    let row = &authorization_code::ActiveModel {
        id: Set(id),
        project_id: Set(project_id.clone()),
        code_hash: Set(hash_token(&code)),
        user_id: Set(user.id),
        session_id: Set(session.id),
        refresh_token: Set(Some(sealed)),
        // As it was told: what is told again is compared with it.
        redirect_uri: Set(input.redirect_uri),
        code_challenge: Set(input.code_challenge),
        code_challenge_method: Set(S256.to_owned()),
        after_callback_redirect_url: Set(after),
        created_at: Set(now),
        expires_at: Set(now.plus_seconds(CODE_SECONDS)),
        used_at: Set(None),
    };
    let code = &deps
        .mutate(actor, "authorization_codes.hand_over", |tx| {
            let code = code.clone();
            async move {
                authorization_code::Entity::insert(row.clone()).exec_without_returning(&*tx).await?;
                events::record(deps, &tx, sessions::handed_over(actor, client, session, "origin")).await?;
                Ok(code)
            }
        })
        .await?;
    url.set_fragment(None);
    url.query_pairs_mut().append_pair("code", code).append_pair("state", &input.state);
    Ok(url)
}

/// A code that was taken, in the transaction that uses it up.
struct Taken {
    refresh_token: SecretString,
    after_callback_redirect_url: Option<String>,
    /// It was sent elsewhere than the caller says: used up for nothing.
    is_misdirected: bool,
}

/// Uses a code up for its session, or lets in whoever came back from another site with it. A wrong verifier leaves it good:
/// whoever has only the code cannot spoil it.
///
/// # Errors
/// `INVALID_AUTHORIZATION_CODE` for a code that is unknown, used, over or another project's, a wrong or missing verifier, and
/// a session that has ended; `BAD_REQUEST` for another redirect URI, which uses the code up. Of a code of [`crate::oauth`] also
/// those of letting in, which use it up as well.
#[crate::boxed]
pub async fn exchange(deps: &Deps, project_id: &ProjectId, input: Exchange, client: &ClientInfo) -> Result<Exchanged> {
    let input = &input;
    if !is_known(deps, project_id, &input.code).await? {
        return oauth::exchange(deps, project_id, input, client).await;
    }
    let taken = deps.db.write(|tx| async move { take_in(deps, &tx, project_id, input).await }).await?;
    if taken.is_misdirected {
        return refuse(misdirected());
    }
    let signed_in = match sessions::take_over(deps, project_id, taken.refresh_token, client).await {
        Err(error) if error.is(Code::RefreshTokenNotFoundOrExpired) => return refuse(invalid()),
        taken_over => taken_over?,
    };
    Ok(Exchanged { signed_in, after_callback_redirect_url: taken.after_callback_redirect_url })
}

/// Whether there is such a code. Guesses must not cost a transaction.
async fn is_known(deps: &Deps, project_id: &ProjectId, code: &str) -> Result<bool> {
    if !is_token(code) {
        return Ok(false);
    }
    let found = authorization_code::Entity::find()
        .select_only()
        .column(authorization_code::Column::Id)
        .filter(authorization_code::Column::ProjectId.eq(project_id.clone()))
        .filter(authorization_code::Column::CodeHash.eq(hash_token(code)))
        .into_tuple::<AuthorizationCodeId>();
    Ok(found.one(deps.db.read()).await?.is_some())
}

async fn take_in(deps: &Deps, tx: &Tx, project_id: &ProjectId, input: &Exchange) -> Result<Taken> {
    let mut select = authorization_code::Entity::find()
        .filter(authorization_code::Column::ProjectId.eq(project_id.clone()))
        .filter(authorization_code::Column::CodeHash.eq(hash_token(&input.code)));
    if tx.backend() == Backend::Postgres {
        QueryTrait::query(&mut select).lock(LockType::NoKeyUpdate);
    }
    let row = select.one(&**tx).await?.filter(|row| row.used_at.is_none() && deps.now() < row.expires_at);
    let Some(row) = row else { return refuse(invalid()) };
    if row.code_challenge_method != S256 || !input.proves(&row.code_challenge) {
        return refuse(invalid());
    }
    let Some(sealed) = &row.refresh_token else {
        return Err(Error::internal("an authorization code without a session"));
    };
    let token = deps.keyring.open(&place(project_id, &row.id.to_string()), sealed)?;
    authorization_code::Entity::update_many()
        .col_expr(authorization_code::Column::UsedAt, Expr::value(deps.now()))
        .col_expr(authorization_code::Column::RefreshToken, Expr::value(None::<Vec<u8>>))
        .filter(authorization_code::Column::Id.eq(row.id))
        .exec(&**tx)
        .await?;
    Ok(Taken {
        refresh_token: String::from_utf8(token).map_err(Error::internal)?.into(),
        is_misdirected: input.redirect_uri.as_deref() != Some(row.redirect_uri.as_str()),
        after_callback_redirect_url: row.after_callback_redirect_url,
    })
}

impl Exchange {
    /// RFC 7636 §4.6.
    pub(crate) fn proves(&self, challenge: &str) -> bool {
        let verifier = self.code_verifier.as_ref().map(|verifier| verifier.expose_secret()).unwrap_or_default();
        let hashed = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        is_proof(verifier) && equal_secrets(hashed.as_bytes(), challenge.as_bytes())
    }
}

fn is_proof(text: &str) -> bool {
    PROOF_CHARS.contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte))
}

pub(crate) fn misdirected() -> Failure {
    Failure::bad_request("The redirect_uri is not the one that the code was made for.")
}

pub(crate) fn invalid() -> Failure {
    Failure::new(Code::InvalidAuthorizationCode, "The authorization code is not good, or was used before.")
}

fn place<'a>(project_id: &'a ProjectId, row: &'a str) -> Place<'a> {
    Place { project: project_id.as_str(), table: "authorization_code", row, column: "refresh_token" }
}

/// Seals the tokens again that wait to be handed over.
pub(crate) async fn reseal(rotation: &mut Rotation<'_>) -> Result<()> {
    rotation
        .column::<authorization_code::Entity>(
            "sessions on their way to another origin",
            authorization_code::Column::RefreshToken,
            |keyring, row, sealed| keyring.reseal(&place(&row.project_id, &row.id.to_string()), sealed),
        )
        .await
}

/// Removes some codes whose time is over, of all projects. Answers whether more may be left.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn prune_step(deps: &Deps) -> Result<bool> {
    // One that is over is answered like one that never was, and may hold a token.
    let before = deps.now();
    db::prune::<authorization_code::Entity>(
        &deps.db,
        authorization_code::Column::Id,
        authorization_code::Column::ExpiresAt,
        before,
    )
    .await
}

#[cfg(test)]
mod tests;
