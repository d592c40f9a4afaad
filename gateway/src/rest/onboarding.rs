//! `/internal/onboarding`: what a change of the config would do to users.

use postern_domain::{
    UserId,
    users::{self, RestrictedReason, User},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    call::{ADMIN, Call},
    input::{Ignored, Positive, input},
    reply::{Answer, Reply},
    routes::{About, Routes},
};

/// How many users are named when nobody says how many.
const DEFAULT_LIMIT: u64 = 10;

pub(super) fn routes() -> Routes {
    Routes::new().post(
        "/internal/onboarding/preview-affected-users",
        preview,
        About::new("Config", "Whom other onboarding settings would restrict", ADMIN)
            .query::<PreviewQuery>()
            .body::<PreviewBody>(),
    )
}

input! {
    struct PreviewQuery { limit: Option<Positive> }
}

input! {
    struct PreviewBody { onboarding: OnboardingInput }
}

input! {
    struct OnboardingInput { require_email_verification: Option<bool> }
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AffectedUsers")]
struct Preview {
    affected_users: Vec<AffectedUser>,
    total_affected_count: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct AffectedUser {
    id: UserId,
    display_name: Option<String>,
    primary_email: Option<String>,
    restricted_reason: Option<RestrictedReason>,
}

impl From<User> for AffectedUser {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            primary_email: user.primary_address().map(str::to_owned),
            display_name: user.display_name,
            restricted_reason: user.restricted_reason,
        }
    }
}

async fn preview(mut call: Call) -> Answer<Preview> {
    let actor = call.actor(ADMIN)?;
    let (_, query, body) = call.read::<Ignored, PreviewQuery, PreviewBody>()?;
    let limit = query.limit.map_or(DEFAULT_LIMIT, |limit| limit.0);
    let required = body.onboarding.require_email_verification;
    let affected = users::affected_by_verification(&call.deps, &actor, required, limit).await?;
    Ok(Reply::ok(Preview {
        affected_users: affected.users.into_iter().map(Into::into).collect(),
        total_affected_count: affected.total,
    }))
}
