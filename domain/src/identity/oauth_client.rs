//! The client of an OAuth call: a project by its id, with its publishable key as the secret (wire/auth.md §11).

use serde_json::json;

use crate::{
    Code, Deps, Level, ProjectId,
    error::{Failure, Result, refuse},
    projects::{self, NO_PUBLISHABLE_CLIENT_KEY},
};

/// Finds the project that `client_id` names, `<project>` or `<project>#<branch>`, and checks its secret.
///
/// # Errors
/// `INVALID_OAUTH_CLIENT_ID_OR_SECRET`; `PUBLISHABLE_CLIENT_KEY_REQUIRED_FOR_PROJECT` when the project wants a real key.
#[crate::boxed]
pub async fn oauth_client(deps: &Deps, client_id: Option<&str>, client_secret: Option<&str>) -> Result<ProjectId> {
    let (id, branch) = client_id.unwrap_or_default().split_once('#').unwrap_or((client_id.unwrap_or_default(), "main"));
    let id = super::project_id(id);
    if branch != super::MAIN_BRANCH || projects::lookup(deps, &id).await?.is_none() {
        return refuse(invalid());
    }
    match client_secret {
        None => refuse(invalid()),
        Some(NO_PUBLISHABLE_CLIENT_KEY) => {
            if projects::config(deps, &id).await?.project.require_publishable_client_key {
                return refuse(
                    Failure::new(
                        Code::PublishableClientKeyRequiredForProject,
                        "This project wants its publishable client key as the client secret.",
                    )
                    .with(json!({ "project_id": id })),
                );
            }
            Ok(id)
        }
        Some(secret) if projects::check_key(deps, &id, Level::Client, secret).await? => Ok(id),
        Some(_) => refuse(invalid()),
    }
}

fn invalid() -> Failure {
    Failure::new(Code::InvalidOauthClientIdOrSecret, "The OAuth client id or secret is wrong.")
        .with(json!({ "client_id": null }))
}
