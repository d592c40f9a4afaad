//! Who asks: from the credentials of a request to an [`Actor`], in the order of the contract (wire/requests-and-errors §3).
//! Both doors fill [`Credentials`] from their headers and call [`identify`] once; what an operation then demands of the
//! actor is in `require.rs`.

use std::{fmt, sync::Arc};

use serde_json::json;
use uuid::Uuid;

mod api_key;
mod oauth_client;
mod require;

pub(crate) use oauth_client::user_of_token;
pub use oauth_client::{oauth_client, oauth_visitor};
pub use require::{
    UserRef, own_user_id, require_auth, require_internal_project, require_level, require_live_sessions,
    require_own_user, require_user, require_user_in_schema,
};

use crate::{
    Actor, Code, Deps, Level, ProjectId, UserId,
    actor::ActingUser,
    error::{Failure, Result, refuse},
    projects::{self, NO_PUBLISHABLE_CLIENT_KEY, Project},
    sessions::{self, Claims, TokenError},
    teams,
    users::RestrictedReason,
};

/// The only branch.
const MAIN_BRANCH: &str = "main";
/// Longer ids are cut when they are told back.
const MAX_ECHOED_CHARS: usize = 100;

/// What a request brought to prove who asks: the values of the headers named in wire/requests-and-errors §2, of either
/// family. Empty values count as absent.
#[derive(Clone, Default)]
pub struct Credentials {
    /// `access-type`
    pub access_type: Option<String>,
    /// `project-id`
    pub project_id: Option<String>,
    /// `branch-id`
    pub branch_id: Option<String>,
    /// `publishable-client-key`
    pub publishable_client_key: Option<String>,
    /// `secret-server-key`
    pub secret_server_key: Option<String>,
    /// `super-secret-admin-key`
    pub super_secret_admin_key: Option<String>,
    /// `admin-access-token`
    pub admin_access_token: Option<String>,
    /// `access-token`
    pub access_token: Option<String>,
    /// The token of `Authorization: Bearer`, which GraphQL takes in place of `access-token`; it implies the access type
    /// `client`. REST leaves it out.
    pub bearer_token: Option<String>,
    /// `api-key`, which GraphQL takes in the place of an access token; it implies the access type `client`. REST leaves it
    /// out.
    pub api_key: Option<String>,
    /// `development-override-key`
    pub development_override_key: Option<String>,
    /// `allow-anonymous-user: true`
    pub allow_anonymous_user: bool,
    /// `allow-restricted-user: true`
    pub allow_restricted_user: bool,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Everything else is a secret.
        f.debug_struct("Credentials")
            .field("access_type", &self.access_type)
            .field("project_id", &self.project_id)
            .field("branch_id", &self.branch_id)
            .finish_non_exhaustive()
    }
}

/// A caller whose credentials hold.
#[derive(Clone, Debug)]
pub struct Identified {
    /// The caller, as operations want it.
    pub actor: Actor,
    /// The project it speaks to.
    pub project: Arc<Project>,
    /// What the user's token says; of a user that exists.
    pub claims: Option<Arc<Claims>>,
    /// The user of project `internal` whose admin access token replaced the key.
    pub owner: Option<ActingUser>,
}

/// Finds out who asks. `None`: the request carries no access type, and so nothing of it counts.
///
/// # Errors
/// The first failing step of wire/requests-and-errors §3.
#[crate::boxed]
pub async fn identify(deps: &Deps, credentials: &Credentials) -> Result<Option<Identified>> {
    let Some((level, given_project)) = target(credentials)? else { return Ok(None) };
    let api_key = api_key::alone(credentials, level)?;
    let project_id = project_id(given_project);
    let claims = user_token(deps, credentials, &project_id).await?;
    let Some(project) = projects::lookup(deps, &project_id).await? else {
        return refuse(
            Failure::new(Code::CurrentProjectNotFound, "There is no such project.")
                .with(json!({ "project_id": echoed(given_project) })),
        );
    };
    let branch_known = given(&credentials.branch_id).is_none_or(|branch| branch == MAIN_BRANCH);
    let owner = match (development_override(deps, credentials).await?, given(&credentials.admin_access_token)) {
        (true, _) => None,
        (false, Some(token)) => Some(owner(deps, &project, token).await?),
        (false, None) => {
            key(deps, credentials, level, &project_id, branch_known).await?;
            None
        }
    };
    let acting_key = match api_key {
        Some(text) => Some(api_key::acting_key(deps, credentials, &project_id, text).await?),
        None => None,
    };
    if !branch_known {
        let branch = given(&credentials.branch_id).map(echoed);
        return refuse(
            Failure::new(Code::BranchDoesNotExist, "There is no such branch.").with(json!({ "branch_id": branch })),
        );
    }
    let claims = match claims {
        Some(claims) if sessions::user_exists(deps, &project_id, claims.sub).await? => Some(claims),
        _ => None,
    };
    let actor = match acting_key {
        Some(key) => Actor::of_key(project_id, key),
        None => Actor::new(project_id, level, claims.as_deref().map(acting_user)),
    };
    let actor = Actor { owner: owner.as_ref().map(|owner| owner.id), ..actor };
    Ok(Some(Identified { actor, project, claims, owner }))
}

/// Steps 1 to 4: what the request claims to be, and where it wants to go.
fn target(credentials: &Credentials) -> Result<Option<(Level, &str)>> {
    let level = match given(&credentials.access_type) {
        Some("client") => Level::Client,
        Some("server") => Level::Server,
        Some("admin") => Level::Admin,
        Some(_) => {
            return refuse(Failure::new(
                Code::InvalidAccessType,
                "The access type must be \"client\", \"server\" or \"admin\".",
            ));
        }
        None => {
            let keys = [
                &credentials.publishable_client_key,
                &credentials.secret_server_key,
                &credentials.super_secret_admin_key,
                &credentials.admin_access_token,
            ];
            if keys.into_iter().any(|key| given(key).is_some()) {
                return refuse(Failure::new(
                    Code::ProjectKeyWithoutAccessType,
                    "A key or an admin access token needs an access type beside it.",
                ));
            }
            if given(&credentials.bearer_token).is_none() && given(&credentials.api_key).is_none() {
                return Ok(None);
            }
            Level::Client
        }
    };
    match given(&credentials.project_id) {
        Some(project_id) => Ok(Some((level, project_id))),
        None => refuse(
            Failure::new(Code::AccessTypeWithoutProjectId, "An access type needs a project id beside it.")
                .with(json!({ "request_type": level.as_str() })),
        ),
    }
}

/// Step 5: the acting user's token, judged by its claims alone.
async fn user_token(deps: &Deps, credentials: &Credentials, project_id: &ProjectId) -> Result<Option<Arc<Claims>>> {
    let token = match (given(&credentials.access_token), given(&credentials.bearer_token)) {
        (Some(token), Some(bearer)) if token != bearer => {
            return refuse(Failure::bad_request("The request carries two different access tokens."));
        }
        (Some(token), _) | (None, Some(token)) => token,
        (None, None) => return Ok(None),
    };
    let claims = claims_of(deps, token).await?;
    if claims.project_id != *project_id {
        return refuse(
            Failure::new(Code::InvalidProjectForAccessToken, "The access token belongs to another project.")
                .with(json!({ "expected_project_id": project_id, "actual_project_id": claims.project_id })),
        );
    }
    require_expected(credentials, claims.is_anonymous, claims.is_restricted, claims.restricted_reason)?;
    Ok(Some(claims))
}

/// What a user's access token says, of whatever project.
async fn claims_of(deps: &Deps, token: &str) -> Result<Arc<Claims>> {
    match sessions::verify(deps, token).await {
        Ok(claims) => Ok(claims),
        Err(TokenError::Unparsable) => {
            refuse(Failure::new(Code::UnparsableAccessToken, "This is not an access token of this server."))
        }
        Err(TokenError::Expired(claims)) => refuse(sessions::access_token_expired(Some(&claims))),
        Err(TokenError::Internal(error)) => Err(error),
    }
}

/// Steps 5d and 5e: an anonymous or restricted user is let in only where the request says so.
fn require_expected(
    credentials: &Credentials,
    is_anonymous: bool,
    is_restricted: bool,
    reason: Option<RestrictedReason>,
) -> Result<()> {
    if is_anonymous && !credentials.allow_anonymous_user {
        return refuse(Failure::new(
            Code::AnonymousAuthenticationNotAllowed,
            "The request does not say that it may come from an anonymous user.",
        ));
    }
    if is_restricted && !credentials.allow_anonymous_user && !credentials.allow_restricted_user {
        return refuse(
            Failure::new(
                Code::RestrictedUserNotAllowed,
                "The request does not say that it may come from a restricted user.",
            )
            .with(json!({ "restricted_reason": reason })),
        );
    }
    Ok(())
}

/// Step 7: an installation on the developer's own machine lets the admin key of `internal` into every project.
async fn development_override(deps: &Deps, credentials: &Credentials) -> Result<bool> {
    let Some(key) = given(&credentials.development_override_key) else { return Ok(false) };
    if deps.settings.local_mode && projects::check_key(deps, &ProjectId::internal(), Level::Admin, key).await? {
        return Ok(true);
    }
    refuse(Failure::new(Code::Unauthenticated, "The development override key is not accepted here."))
}

/// Step 8: a user of project `internal` whose teams include the one that owns the project.
async fn owner(deps: &Deps, project: &Project, token: &str) -> Result<ActingUser> {
    let claims = match sessions::verify(deps, token).await {
        Ok(claims) if !claims.is_anonymous && !claims.is_restricted => claims,
        Ok(_) | Err(TokenError::Unparsable) => {
            return refuse(Failure::new(
                Code::UnparsableAdminAccessToken,
                "This is not an admin access token of this server.",
            ));
        }
        Err(TokenError::Expired(claims)) => {
            return refuse(
                Failure::new(Code::AdminAccessTokenExpired, "The admin access token has expired.")
                    .with(json!({ "expired_at_millis": claims.exp.saturating_mul(1000) })),
            );
        }
        Err(TokenError::Internal(error)) => return Err(error),
    };
    let not_admin =
        || Failure::new(Code::AdminAccessTokenIsNotAdmin, "The admin access token does not administer this project.");
    let internal = ProjectId::internal();
    if claims.project_id != internal {
        return refuse(not_admin());
    }
    if !sessions::user_exists(deps, &internal, claims.sub).await? {
        return refuse(Failure::new(Code::Unauthenticated, "The user of the admin access token does not exist."));
    }
    if administers(deps, project, claims.sub).await? { Ok(acting_user(&claims)) } else { refuse(not_admin()) }
}

/// Whether a user of project `internal` is in the team that owns the project.
async fn administers(deps: &Deps, project: &Project, user_id: UserId) -> Result<bool> {
    let Some(team) = project.owner_team_id else { return Ok(false) };
    teams::is_member(deps, &ProjectId::internal(), team, user_id).await
}

/// Whether somebody whose admin access token was accepted still administers the project, however long ago that was.
///
/// # Errors
/// Internal only.
pub async fn still_administers(deps: &Deps, project_id: &ProjectId, owner: &ActingUser) -> Result<bool> {
    let Some(project) = projects::lookup(deps, project_id).await? else { return Ok(false) };
    administers(deps, &project, owner.id).await
}

/// Step 9: the key of exactly the stated level.
async fn key(
    deps: &Deps,
    credentials: &Credentials,
    level: Level,
    project_id: &ProjectId,
    branch_known: bool,
) -> Result<()> {
    let (key, invalid) = match level {
        Level::Client => (&credentials.publishable_client_key, Code::InvalidPublishableClientKey),
        Level::Server => (&credentials.secret_server_key, Code::InvalidSecretServerKey),
        Level::Admin => (&credentials.super_secret_admin_key, Code::InvalidSuperSecretAdminKey),
    };
    let key = given(key).filter(|key| level != Level::Client || *key != NO_PUBLISHABLE_CLIENT_KEY);
    let details = json!({ "project_id": project_id });
    if let Some(key) = key {
        return if projects::check_key(deps, project_id, level, key).await? {
            Ok(())
        } else {
            refuse(Failure::new(invalid, "The key is not valid for this project.").with(details))
        };
    }
    match level {
        Level::Client => {
            // An API key proves more than a publishable one. Without a key an unknown branch must not be told from a known one.
            let required = given(&credentials.api_key).is_none()
                && (!branch_known || projects::config(deps, project_id).await?.project.require_publishable_client_key);
            if !required {
                return Ok(());
            }
            refuse(
                Failure::new(
                    Code::PublishableClientKeyRequiredForProject,
                    "This project wants a publishable client key.",
                )
                .with(details),
            )
        }
        Level::Server => {
            refuse(Failure::new(Code::ServerAuthenticationRequired, "Access type server needs a secret server key."))
        }
        Level::Admin => refuse(Failure::new(
            Code::AdminAuthenticationRequired,
            "Access type admin needs a super secret admin key or an admin access token.",
        )),
    }
}

fn acting_user(claims: &Claims) -> ActingUser {
    ActingUser {
        id: claims.sub,
        session_id: claims.refresh_token_id,
        is_anonymous: claims.is_anonymous,
        is_restricted: claims.is_restricted,
    }
}

fn given(value: &Option<String>) -> Option<&str> {
    value.as_deref().filter(|value| !value.is_empty())
}

/// Ids are UUIDs in lower case; callers may write them otherwise.
fn project_id(text: &str) -> ProjectId {
    match Uuid::parse_str(text) {
        Ok(id) if text.len() == uuid::fmt::Hyphenated::LENGTH => ProjectId(id.to_string()),
        _ => ProjectId(text.to_owned()),
    }
}

fn echoed(text: &str) -> String {
    text.chars().take(MAX_ECHOED_CHARS).collect()
}

#[cfg(test)]
mod tests;
