//! The client of an OAuth call: a project by its id, with its publishable key as the secret (wire/auth.md §11).

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::{
    Code, Deps, Level, ProjectId,
    actor::ActingUser,
    error::{Failure, Result, refuse},
    projects::{self, NO_PUBLISHABLE_CLIENT_KEY},
    sessions,
};

/// The project that `client_id` names, `<project>` or `<project>#<branch>`, for whoever gets tokens with its secret.
///
/// # Errors
/// `INVALID_OAUTH_CLIENT_ID_OR_SECRET`; `PUBLISHABLE_CLIENT_KEY_REQUIRED_FOR_PROJECT` when the project wants a real key.
#[crate::boxed]
pub async fn oauth_client(deps: &Deps, client_id: Option<&str>, client_secret: Option<&str>) -> Result<ProjectId> {
    let Some(id) = named(deps, client_id.unwrap_or_default()).await? else { return refuse(invalid(None)) };
    match client_secret {
        None => refuse(invalid(None)),
        Some(secret) if fits(deps, &id, secret).await? => Ok(id),
        Some(_) => refuse(invalid(None)),
    }
}

/// The same for whoever leaves for another site. What is wrong is told more plainly here (wire/auth §11).
///
/// # Errors
/// `INVALID_OAUTH_CLIENT_ID_OR_SECRET`; `INVALID_PUBLISHABLE_CLIENT_KEY`; `PUBLISHABLE_CLIENT_KEY_REQUIRED_FOR_PROJECT`.
#[crate::boxed]
pub async fn oauth_visitor(deps: &Deps, client_id: &str, client_secret: &str) -> Result<ProjectId> {
    let Some(id) = named(deps, client_id).await? else { return refuse(invalid(Some(super::echoed(client_id)))) };
    if fits(deps, &id, client_secret).await? {
        return Ok(id);
    }
    refuse(
        Failure::new(Code::InvalidPublishableClientKey, "The key is not valid for this project.")
            .with(json!({ "project_id": id })),
    )
}

async fn named(deps: &Deps, client_id: &str) -> Result<Option<ProjectId>> {
    let (id, branch) = client_id.split_once('#').unwrap_or((client_id, super::MAIN_BRANCH));
    let id = super::project_id(id);
    Ok((branch == super::MAIN_BRANCH && projects::lookup(deps, &id).await?.is_some()).then_some(id))
}

/// Whether the secret is a key of the project, or says that there is none where none is wanted.
async fn fits(deps: &Deps, id: &ProjectId, client_secret: &str) -> Result<bool> {
    if client_secret != NO_PUBLISHABLE_CLIENT_KEY {
        return projects::check_key(deps, id, Level::Client, client_secret).await;
    }
    if !projects::config(deps, id).await?.project.require_publishable_client_key {
        return Ok(true);
    }
    refuse(
        Failure::new(
            Code::PublishableClientKeyRequiredForProject,
            "This project wants its publishable client key as the client secret.",
        )
        .with(json!({ "project_id": id })),
    )
}

/// The user whom an access token in a URL speaks for, anonymous and restricted ones too; none when they are gone.
///
/// # Errors
/// `UNPARSABLE_ACCESS_TOKEN`; `ACCESS_TOKEN_EXPIRED`; `FORBIDDEN` for a token of another project.
#[crate::boxed]
pub(crate) async fn user_of_token(
    deps: &Deps,
    project_id: &ProjectId,
    token: &SecretString,
) -> Result<Option<ActingUser>> {
    let claims = super::claims_of(deps, token.expose_secret()).await?;
    if claims.project_id != *project_id {
        return refuse(Failure::forbidden("The access token belongs to another project."));
    }
    let exists = sessions::user_exists(deps, project_id, claims.sub).await?;
    Ok(exists.then(|| super::acting_user(&claims)))
}

fn invalid(client_id: Option<String>) -> Failure {
    Failure::new(Code::InvalidOauthClientIdOrSecret, "The OAuth client id or secret is wrong.")
        .with(json!({ "client_id": client_id }))
}
