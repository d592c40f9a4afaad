//! What operations demand of an actor, each demand with the failure the contract has for it.

use serde_json::json;
use uuid::Uuid;

use super::Identified;
use crate::{
    Actor, Code, Deps, Level, ProjectId, UserId,
    actor::ActingUser,
    error::{Failure, Result, refuse},
    sessions,
};

/// The caller must have proven what it is.
///
/// # Errors
/// `ACCESS_TYPE_REQUIRED`.
pub fn require_auth(identified: Option<Identified>) -> Result<Identified> {
    match identified {
        Some(identified) => Ok(identified),
        None => refuse(Failure::new(
            Code::AccessTypeRequired,
            "The request needs an access type: client, server or admin, with what proves it.",
        )),
    }
}

/// The access type must be one of `allowed`.
///
/// # Errors
/// `INSUFFICIENT_ACCESS_TYPE`.
pub fn require_level(actor: &Actor, allowed: &[Level]) -> Result<()> {
    if allowed.contains(&actor.level) {
        return Ok(());
    }
    let allowed: Vec<_> = allowed.iter().map(|level| level.as_str()).collect();
    let (actual, listed) = (actor.level.as_str(), allowed.join(", "));
    refuse(
        Failure::new(
            Code::InsufficientAccessType,
            format!("Access type {actual} may not do this; it takes one of: {listed}."),
        )
        .with(json!({ "actual_access_type": actual, "allowed_access_types": allowed })),
    )
}

/// Somebody must be signed in.
///
/// # Errors
/// `USER_AUTHENTICATION_REQUIRED`.
pub fn require_user(actor: &Actor) -> Result<&ActingUser> {
    match &actor.user {
        Some(user) => Ok(user),
        None => refuse(Failure::new(Code::UserAuthenticationRequired, "Sign in to do this.")),
    }
}

/// Somebody must be signed in for `me` to mean anything. An API key is nobody who signed in: what it may do for its user asks
/// [`own_user_id`].
///
/// # Errors
/// `CANNOT_GET_OWN_USER_WITHOUT_USER`.
pub fn require_own_user(actor: &Actor) -> Result<&ActingUser> {
    match &actor.user {
        Some(user) => Ok(user),
        None => refuse(no_own_user()),
    }
}

/// The user for whom the caller speaks, by an access token or by an API key.
///
/// # Errors
/// `CANNOT_GET_OWN_USER_WITHOUT_USER`.
pub fn own_user_id(actor: &Actor) -> Result<UserId> {
    match actor.user_id() {
        Some(id) => Ok(id),
        None => refuse(no_own_user()),
    }
}

fn no_own_user() -> Failure {
    Failure::new(Code::CannotGetOwnUserWithoutUser, "Nobody is signed in, so there is no own user.")
}

/// Somebody must be signed in, for the calls whose input the contract counts the user to.
///
/// # Errors
/// `SCHEMA_ERROR`.
pub fn require_user_in_schema(actor: &Actor) -> Result<&ActingUser> {
    match &actor.user {
        Some(user) => Ok(user),
        None => refuse(Failure::schema("the request must carry the access token of a user")),
    }
}

/// The call belongs to project `internal`.
///
/// # Errors
/// `EXPECTED_INTERNAL_PROJECT`.
pub fn require_internal_project(actor: &Actor) -> Result<()> {
    if actor.project_id.is_internal() {
        Ok(())
    } else {
        refuse(Failure::new(Code::ExpectedInternalProject, "This call is for users of project \"internal\" only."))
    }
}

/// The sessions behind the caller's tokens must live. For GraphQL and live connections; REST takes a token until it expires.
///
/// # Errors
/// `ACCESS_TOKEN_EXPIRED`, `ADMIN_ACCESS_TOKEN_EXPIRED`.
#[crate::boxed]
pub async fn require_live_sessions(deps: &Deps, identified: &Identified) -> Result<()> {
    if let Some(claims) = &identified.claims
        && !sessions::is_alive(deps, &claims.project_id, claims.refresh_token_id).await?
    {
        return refuse(sessions::access_token_expired(Some(claims)));
    }
    if let Some(owner) = &identified.owner
        && !sessions::is_alive(deps, &ProjectId::internal(), owner.session_id).await?
    {
        return refuse(
            Failure::new(Code::AdminAccessTokenExpired, "The session of the admin access token has ended.")
                .with(json!({ "expired_at_millis": null })),
        );
    }
    Ok(())
}

/// A user as callers name one: by id, or as `me`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserRef {
    /// Whoever is signed in.
    Me,
    /// This one.
    Id(UserId),
}

impl UserRef {
    /// `me`, or a UUID in any case.
    ///
    /// # Errors
    /// `SCHEMA_ERROR` that begins with the name of the field.
    pub fn parse(field: &str, text: &str) -> Result<Self> {
        if text == "me" {
            return Ok(Self::Me);
        }
        match Uuid::parse_str(text) {
            Ok(id) if text.len() == uuid::fmt::Hyphenated::LENGTH => Ok(Self::Id(UserId(id))),
            _ => refuse(Failure::schema(format!("{field} must be a UUID or \"me\""))),
        }
    }

    /// The id it stands for.
    ///
    /// # Errors
    /// `CANNOT_GET_OWN_USER_WITHOUT_USER`.
    pub fn resolve(self, actor: &Actor) -> Result<UserId> {
        match self {
            Self::Me => Ok(require_own_user(actor)?.id),
            Self::Id(id) => Ok(id),
        }
    }
}
