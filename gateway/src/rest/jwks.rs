//! The public keys that verify a project's access tokens.

use axum::http::{HeaderName, header};
use postern_domain::{
    Failure, ProjectId, projects,
    sessions::{self, JwkSet, UserKind},
};

use super::{
    call::Call,
    input::{Ignored, input},
    reply::{Refusal, Reply},
    routes::{About, Routes},
};

/// Verifiers fetch the keys again after an hour, and at once when they meet a key id they do not know.
const CACHING: (HeaderName, &str) = (header::CACHE_CONTROL, "public, max-age=3600");

pub(super) fn routes() -> Routes {
    let about = About::new("Sessions", "The keys that verify access tokens", &[]);
    Routes::new().get(
        "/projects/{project_id}/.well-known/jwks.json",
        jwks,
        about.path::<ProjectPath>().query::<KindsQuery>(),
    )
}

input! {
    struct ProjectPath { project_id: String }
}

input! {
    struct KindsQuery { include_restricted: Option<bool>, include_anonymous: Option<bool> }
}

async fn jwks(mut call: Call) -> Result<([(HeaderName, &'static str); 1], Reply<JwkSet>), Refusal> {
    let (path, query, _) = call.read::<ProjectPath, KindsQuery, Ignored>()?;
    let project_id = ProjectId(path.project_id.to_lowercase());
    if projects::lookup(&call.deps, &project_id).await?.is_none() {
        return Err(Failure::not_found("There is no such project.").into());
    }
    let anonymous = query.include_anonymous.unwrap_or_default();
    let mut kinds = vec![UserKind::Regular];
    // Anonymous users are restricted ones, so whoever accepts them accepts both.
    if anonymous || query.include_restricted.unwrap_or_default() {
        kinds.push(UserKind::Restricted);
    }
    if anonymous {
        kinds.push(UserKind::Anonymous);
    }
    Ok(([CACHING], Reply::ok(sessions::jwks(&call.deps, &project_id, &kinds).await?)))
}
