//! Passwords of users: what is accepted as one, signing in with one, setting and changing it (wire/auth §5).

use std::{
    future::Future,
    sync::atomic::{AtomicBool, Ordering},
};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    activity::ClientInfo,
    begin::{self, Begun, SignedIn},
    refuse_unless_repeated, second_factor, session,
    way::{Method, Way},
};
use crate::{
    Actor, Code, Deps, UserId,
    db::Tx,
    email_address::EmailAddress,
    error::{Error, Failure, Result, refuse},
    events::{self, FactorChange},
    identity::require_user_in_schema,
    limits::{self, Account},
    passwords::Checked,
    projects::{self, ProjectConfig},
    users::{self, Credentials, MAX_PASSWORD_CHARS, User, channels},
};

/// The shortest password that users may choose, in characters.
pub const MIN_PASSWORD_CHARS: usize = 8;
/// The operation that sets a first password, to the idempotency of requests.
const SET: &str = "sessions.set_password";
/// How often a password is checked again when the stored one changes meanwhile.
const MAX_CHECKS: usize = 3;

/// What a way to sign in ends with.
#[derive(Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// In.
    SignedIn(Begun),
    /// Not yet: this code stands for the attempt.
    SecondFactor(String),
}

impl Outcome {
    /// The tokens of the session.
    pub(crate) async fn finish(self, deps: &Deps, actor: &Actor, client: &ClientInfo) -> Result<SignedIn> {
        match self {
            Self::SignedIn(begun) => begin::finish(deps, &actor.project_id, begun, client).await,
            Self::SecondFactor(attempt_code) => refuse(second_factor::required(&attempt_code)),
        }
    }
}

/// Users sign in by password in this project.
pub(super) fn require_enabled(config: &ProjectConfig) -> Result<()> {
    if config.auth.password.allow_sign_in {
        return Ok(());
    }
    refuse(Failure::new(Code::PasswordAuthenticationNotEnabled, "This project does not let users sign in by password."))
}

/// Whether users sign in by password in this project.
pub(crate) fn offers_passwords(config: &ProjectConfig) -> bool {
    require_enabled(config).is_ok()
}

/// A new password is long enough, and not too long.
pub(super) fn require_acceptable(password: &SecretString) -> Result<()> {
    let chars = password.expose_secret().chars().count();
    if chars < MIN_PASSWORD_CHARS {
        return refuse(
            Failure::new(
                Code::PasswordTooShort,
                format!("The password must have at least {MIN_PASSWORD_CHARS} characters."),
            )
            .with(json!({ "min_length": MIN_PASSWORD_CHARS })),
        );
    }
    if chars > MAX_PASSWORD_CHARS {
        return refuse(
            Failure::new(
                Code::PasswordTooLong,
                format!("The password must have at most {MAX_PASSWORD_CHARS} characters."),
            )
            .with(json!({ "maxLength": MAX_PASSWORD_CHARS })),
        );
    }
    Ok(())
}

/// Text that could be somebody's password: anything longer is not worth hashing.
fn require_possible(field: &str, password: &SecretString) -> Result<()> {
    if password.expose_secret().chars().count() <= MAX_PASSWORD_CHARS {
        return Ok(());
    }
    refuse(Failure::schema(format!("{field} must be at most {MAX_PASSWORD_CHARS} characters")))
}

fn email_password_mismatch() -> Failure {
    Failure::new(Code::EmailPasswordMismatch, "The e-mail address or the password is wrong.")
}

/// Signs somebody in. A stranger learns nothing from the answer nor from the time it takes.
///
/// # Errors
/// In this order: `SCHEMA_ERROR`, `PASSWORD_AUTHENTICATION_NOT_ENABLED`, `RATE_LIMITED`, `EMAIL_PASSWORD_MISMATCH`,
/// `MULTI_FACTOR_AUTHENTICATION_REQUIRED`.
#[crate::boxed]
pub async fn sign_in_with_password(
    deps: &Deps,
    actor: &Actor,
    email: &str,
    password: &SecretString,
    client: &ClientInfo,
) -> Result<SignedIn> {
    let email = match EmailAddress::loose(email) {
        Ok(email) => email,
        Err(rule) => return refuse(Failure::schema(format!("email {rule}"))),
    };
    require_possible("password", password)?;
    let proof = Proof { deps, actor, operation: "sessions.sign_in", email: &email, password };
    let way = &Way::new(actor, Method::Password, client);
    let outcome: Outcome =
        proof.run(client, |tx, user| async move { second_factor::pass_in(deps, &tx, &user, false, way).await }).await?;
    outcome.finish(deps, actor, client).await
}

/// Somebody who signs in with the address and knows its password, without signing in: for what a page of ours does at once.
///
/// # Errors
/// Those of [`sign_in_with_password`]; `BAD_REQUEST` in place of `MULTI_FACTOR_AUTHENTICATION_REQUIRED`.
pub(crate) async fn prove_password(
    deps: &Deps,
    actor: &Actor,
    email: &EmailAddress,
    password: &SecretString,
    client: &ClientInfo,
) -> Result<UserId> {
    require_possible("password", password)?;
    let proof = Proof { deps, actor, operation: "sessions.prove_password", email, password };
    let proven = |_tx, user: User| async move {
        if user.requires_totp_mfa {
            return refuse(Failure::bad_request("This account needs its second factor, too."));
        }
        Ok(user.id)
    };
    proof.run(client, proven).await
}

/// Somebody who says to be the one who signs in with an address.
struct Proof<'a> {
    deps: &'a Deps,
    actor: &'a Actor,
    operation: &'static str,
    email: &'a EmailAddress,
    password: &'a SecretString,
}

impl Proof<'_> {
    /// Checks the password as often as is allowed, then runs `effect` in a transaction that holds the user.
    async fn run<T, F, Fut>(&self, client: &ClientInfo, effect: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned + Send,
        F: Fn(Tx, User) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        let Self { deps, actor, operation, email, password } = *self;
        let project_id = &actor.project_id;
        require_enabled(&*projects::config(deps, project_id).await?)?;
        limits::password_tried(deps, actor, client, Account::Address(email)).await?;
        let find = || users::credentials_by_email(deps, project_id, email);
        let (subject, effect) =
            (Check { deps, actor, operation, password, mismatch: email_password_mismatch }, &effect);
        let outcome = subject
            .run(find, |tx, checked| async move {
                let user = checked.credentials.user;
                if let (Some(stored), Some(hash)) = (&checked.credentials.password_hash, &checked.rehashed) {
                    users::replace_outdated_hash_in(&tx, project_id, user.id, stored, hash).await?;
                }
                effect(tx, user).await
            })
            .await;
        if let Err(error) = &outcome
            && error.is(Code::EmailPasswordMismatch)
        {
            let holder = channels::find_for_auth(deps, project_id, email).await?.map(|channel| channel.user_id);
            Way::new(actor, Method::Password, client).failed(deps, holder, Code::EmailPasswordMismatch).await?;
        }
        outcome
    }
}

/// Gives the user the caller speaks for a first password.
///
/// # Errors
/// In this order: `SCHEMA_ERROR` without a user; `PASSWORD_AUTHENTICATION_NOT_ENABLED`; `PASSWORD_TOO_SHORT`, `_TOO_LONG`;
/// `BAD_REQUEST` when there is a password already.
#[crate::boxed]
pub async fn set_password(deps: &Deps, actor: &Actor, password: &SecretString) -> Result<()> {
    let user_id = require_user_in_schema(actor)?.id;
    let (project_id, config) = (&actor.project_id, &*projects::config(deps, &actor.project_id).await?);
    require_enabled(config)?;
    require_acceptable(password)?;
    let exists = || Failure::bad_request("The user has a password already: change it instead.");
    match users::find(deps, project_id, user_id).await? {
        Some(user) if user.has_password => return refuse_unless_repeated(deps, actor, SET, exists()).await,
        Some(_) => {}
        None => return refuse(users::not_found()),
    }
    let hash = &SecretString::from(deps.passwords.hash(password.expose_secret()).await?);
    deps.mutate(actor, SET, |tx| async move {
        users::lock_in(&tx, project_id, user_id).await?;
        match users::credentials_in(&tx, config, project_id, user_id).await? {
            Some(Credentials { password_hash: None, .. }) => {}
            Some(_) => return refuse(exists()),
            None => return refuse(users::not_found()),
        }
        users::set_password_in(deps, &tx, project_id, user_id, hash).await?;
        let change = FactorChange { factor: "password", change: "set" };
        events::record(deps, &tx, change.event(actor, user_id, None)).await
    })
    .await
}

/// Changes the password of the user the caller speaks for. All sessions end but the one of `refresh_token`.
///
/// # Errors
/// In this order: `SCHEMA_ERROR`, also without a user; `PASSWORD_AUTHENTICATION_NOT_ENABLED`; `PASSWORD_TOO_SHORT`,
/// `_TOO_LONG`; `RATE_LIMITED`; `USER_DOES_NOT_HAVE_PASSWORD`; `PASSWORD_CONFIRMATION_MISMATCH`.
#[crate::boxed]
pub async fn update_password(
    deps: &Deps,
    actor: &Actor,
    old_password: &SecretString,
    new_password: &SecretString,
    refresh_token: Option<&SecretString>,
    client: &ClientInfo,
) -> Result<()> {
    let user_id = require_user_in_schema(actor)?.id;
    require_possible("old_password", old_password)?;
    let (project_id, config) = (&actor.project_id, &*projects::config(deps, &actor.project_id).await?);
    require_enabled(config)?;
    require_acceptable(new_password)?;
    let mismatch = || Failure::new(Code::PasswordConfirmationMismatch, "The old password is wrong.");
    let none = || Failure::new(Code::UserDoesNotHavePassword, "The user has no password: set one instead.");
    let find = || async {
        match users::credentials_of(deps, project_id, user_id).await? {
            Some(Credentials { password_hash: None, .. }) => refuse(none()),
            found => Ok(found),
        }
    };
    limits::password_tried(deps, actor, client, Account::User(user_id)).await?;
    let hash = &SecretString::from(deps.passwords.hash(new_password.expose_secret()).await?);
    let subject = Check { deps, actor, operation: "sessions.update_password", password: old_password, mismatch };
    subject
        .run(find, |tx, _| async move {
            users::set_password_in(deps, &tx, project_id, user_id, hash).await?;
            let change = FactorChange { factor: "password", change: "set" };
            events::record(deps, &tx, change.event(actor, user_id, Some(client))).await?;
            let kept = match refresh_token {
                Some(token) => session::of_token_in(&tx, project_id, user_id, token).await?,
                None => None,
            };
            session::end_all_in(deps, &tx, project_id, user_id, kept).await.map(drop)
        })
        .await
}

/// A password about to be checked for an operation.
struct Check<'a, M> {
    deps: &'a Deps,
    actor: &'a Actor,
    operation: &'static str,
    password: &'a SecretString,
    mismatch: M,
}

/// Somebody whose password was right, held by the transaction.
struct CheckedUser {
    credentials: Credentials,
    /// The password in today's form, when it is stored in an older one.
    rehashed: Option<SecretString>,
}

impl<M: Fn() -> Failure + Sync> Check<'_, M> {
    /// Checks the password of whoever `find` finds, then runs `effect` in a transaction that holds the user, with the
    /// password still being the one that was checked. Hashing takes long, so it happens before.
    async fn run<T, Find, Found, F, Fut>(&self, find: Find, effect: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned + Send,
        Find: Fn() -> Found,
        Found: Future<Output = Result<Option<Credentials>>>,
        F: Fn(Tx, CheckedUser) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        for _ in 0..MAX_CHECKS {
            let found = find().await?;
            let (checked, rehashed) = self.check(found.as_ref()).await?;
            let Some(found) = found.filter(|_| checked) else {
                return refuse_unless_repeated(self.deps, self.actor, self.operation, (self.mismatch)()).await;
            };
            let changed_meanwhile = AtomicBool::new(false);
            let outcome = self.write(&found, rehashed.as_ref(), &changed_meanwhile, &effect).await;
            if outcome.is_ok() || !changed_meanwhile.load(Ordering::Relaxed) {
                return outcome;
            }
        }
        refuse((self.mismatch)())
    }

    async fn check(&self, found: Option<&Credentials>) -> Result<(bool, Option<SecretString>)> {
        let (passwords, password) = (&self.deps.passwords, self.password.expose_secret());
        let stored = found.and_then(|found| found.password_hash.as_ref()).map(|hash| hash.expose_secret());
        Ok(match passwords.check(password, stored).await? {
            Checked::Wrong => (false, None),
            Checked::Right => (true, None),
            Checked::RightButOutdated => (true, Some(passwords.hash(password).await?.into())),
        })
    }

    async fn write<T, F, Fut>(
        &self,
        found: &Credentials,
        rehashed: Option<&SecretString>,
        changed_meanwhile: &AtomicBool,
        effect: &F,
    ) -> Result<T>
    where
        T: Serialize + DeserializeOwned + Send,
        F: Fn(Tx, CheckedUser) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        let (project_id, user_id): (_, UserId) = (&self.actor.project_id, found.user.id);
        let config = &*projects::config(self.deps, project_id).await?;
        let mismatch = &self.mismatch;
        self.deps
            .mutate(self.actor, self.operation, |tx| async move {
                changed_meanwhile.store(false, Ordering::Relaxed);
                users::lock_in(&tx, project_id, user_id).await?;
                let Some(now) = users::credentials_in(&tx, config, project_id, user_id).await? else {
                    return refuse(mismatch());
                };
                let same = match (&now.password_hash, &found.password_hash) {
                    (Some(now), Some(checked)) => now.expose_secret() == checked.expose_secret(),
                    _ => false,
                };
                if !same {
                    changed_meanwhile.store(true, Ordering::Relaxed);
                    return Err(Error::from(mismatch()));
                }
                effect(tx, CheckedUser { credentials: now, rehashed: rehashed.cloned() }).await
            })
            .await
    }
}

#[cfg(test)]
mod tests;
