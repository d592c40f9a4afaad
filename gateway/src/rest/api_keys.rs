//! `/user-api-keys`, `/team-api-keys`, and the door by which scanners of public code report a key.

use postern_domain::{
    ApiKeyId, TeamId, Timestamp, UserId,
    api_keys::{self, ApiKey, ApiKeyChange, ApiKeyType, CreatedApiKey, KeyOwner, NewApiKey},
    identity::UserRef,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::{RefOr, Schema};

use super::{
    call::{Call, OPEN, SERVER},
    input::{Empty, Field, Ignored, Nullable, Violations, input},
    reply::{Answer, List, Reply, Success, success},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary, allowed| About::new("API keys", summary, allowed);
    let (of_user, of_team) = ("/user-api-keys/{api_key_id}", "/team-api-keys/{api_key_id}");
    Routes::new()
        .post("/user-api-keys", create_of_user, about("Makes an API key of a user", OPEN).body::<NewOfUser>())
        .get("/user-api-keys", list_of_user, about("Lists API keys of a user", OPEN).query::<OfUser>())
        .post(
            "/user-api-keys/check",
            |call: Call| check(call, ApiKeyType::User),
            about("Says whose an API key of a user is", SERVER).body::<ShownKey>(),
        )
        .get(of_user, get_of_user, about("Reads an API key of a user", OPEN).path::<KeyPath>().query::<MaybeOfUser>())
        .patch(
            of_user,
            update_of_user,
            about("Changes or revokes an API key of a user", OPEN)
                .path::<KeyPath>()
                .query::<MaybeOfUser>()
                .body::<KeyPatch>(),
        )
        .post("/team-api-keys", create_of_team, about("Makes an API key of a team", OPEN).body::<NewOfTeam>())
        .get("/team-api-keys", list_of_team, about("Lists API keys of a team", OPEN).query::<OfTeam>())
        .post(
            "/team-api-keys/check",
            |call: Call| check(call, ApiKeyType::Team),
            about("Says whose an API key of a team is", SERVER).body::<ShownKey>(),
        )
        .get(of_team, get_of_team, about("Reads an API key of a team", OPEN).path::<KeyPath>().query::<OfTeam>())
        .patch(
            of_team,
            update_of_team,
            about("Changes or revokes an API key of a team", OPEN)
                .path::<KeyPath>()
                .query::<OfTeam>()
                .body::<KeyPatch>(),
        )
        .post(
            "/integrations/credential-scanning/revoke",
            report_leaked,
            about("Revokes an API key that was found in public", &[]).body::<ShownKey>(),
        )
}

/// Only `true`: what was revoked stays so.
struct True;

impl Field for True {
    fn schema() -> RefOr<Schema> {
        bool::schema()
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        if bool::read(value, at, violations)? {
            return Some(Self);
        }
        violations.note(at, "can only be true");
        None
    }
}

input! {
    struct KeyPath { api_key_id: ApiKeyId }
}

input! {
    struct OfUser { user_id: UserRef }
}

input! {
    #[expect(dead_code, reason = "clients send it; the contract does not compare it with the key")]
    struct MaybeOfUser { user_id: Option<UserRef> }
}

input! {
    struct OfTeam { team_id: TeamId }
}

input! {
    struct NewOfUser {
        user_id: UserRef,
        description: String,
        expires_at_millis: Nullable<i64>,
        is_public: Option<bool>,
    }
}

input! {
    struct NewOfTeam {
        team_id: TeamId,
        description: String,
        expires_at_millis: Nullable<i64>,
        is_public: Option<bool>,
    }
}

input! {
    struct KeyPatch { description: Option<String>, revoked: Option<True> }
}

input! {
    struct ShownKey { api_key: String }
}

/// A key in the form of the contract; times that are not there are left out.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApiKeyWith{V}")]
struct KeyView<V> {
    id: ApiKeyId,
    description: String,
    is_public: bool,
    created_at_millis: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at_millis: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manually_revoked_at_millis: Option<Timestamp>,
    value: V,
    #[serde(rename = "type")]
    kind: ApiKeyType,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    team_id: Option<TeamId>,
}

/// What is told of a key after it was made.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LastFourOfKey")]
struct Ending {
    last_four: String,
}

impl<V> KeyView<V> {
    fn new(api_key: ApiKey, value: V) -> Self {
        let (user_id, team_id) = match api_key.owner {
            KeyOwner::User(id) => (Some(id), None),
            KeyOwner::Team(id) => (None, Some(id)),
        };
        Self {
            id: api_key.id,
            description: api_key.description,
            is_public: api_key.is_public,
            created_at_millis: api_key.created_at,
            expires_at_millis: api_key.expires_at,
            manually_revoked_at_millis: api_key.revoked_at,
            value,
            kind: api_key.owner.key_type(),
            user_id,
            team_id,
        }
    }
}

impl From<ApiKey> for KeyView<Ending> {
    fn from(api_key: ApiKey) -> Self {
        let last_four = api_key.last_four.clone();
        Self::new(api_key, Ending { last_four })
    }
}

/// The only answer with the key in full. Its status is 200, though something is made.
fn created(CreatedApiKey { api_key, value }: CreatedApiKey) -> Reply<KeyView<String>> {
    Reply::ok(KeyView::new(api_key, value))
}

async fn create_of_user(mut call: Call) -> Answer<KeyView<String>> {
    let actor = call.actor(OPEN)?;
    let (_, _, body) = call.read::<Empty, Ignored, NewOfUser>()?;
    let new = NewApiKey {
        owner: KeyOwner::User(body.user_id.resolve(&actor)?),
        description: body.description,
        expires_at: body.expires_at_millis.0.map(Timestamp),
        is_public: body.is_public.unwrap_or_default(),
    };
    Ok(created(api_keys::create(&call.deps, &actor, new).await?))
}

async fn create_of_team(mut call: Call) -> Answer<KeyView<String>> {
    let actor = call.actor(OPEN)?;
    let (_, _, body) = call.read::<Empty, Ignored, NewOfTeam>()?;
    let new = NewApiKey {
        owner: KeyOwner::Team(body.team_id),
        description: body.description,
        expires_at: body.expires_at_millis.0.map(Timestamp),
        is_public: body.is_public.unwrap_or_default(),
    };
    Ok(created(api_keys::create(&call.deps, &actor, new).await?))
}

async fn list_of_user(mut call: Call) -> Answer<List<KeyView<Ending>>> {
    let actor = call.actor(OPEN)?;
    let (_, query, _) = call.read::<Empty, OfUser, Ignored>()?;
    let owner = KeyOwner::User(query.user_id.resolve(&actor)?);
    let found = api_keys::list(&call.deps, &actor, owner).await?;
    Ok(Reply::ok(List::whole(found.into_iter().map(Into::into).collect())))
}

async fn list_of_team(mut call: Call) -> Answer<List<KeyView<Ending>>> {
    let actor = call.actor(OPEN)?;
    let (_, query, _) = call.read::<Empty, OfTeam, Ignored>()?;
    let found = api_keys::list(&call.deps, &actor, KeyOwner::Team(query.team_id)).await?;
    Ok(Reply::ok(List::whole(found.into_iter().map(Into::into).collect())))
}

async fn get_of_user(mut call: Call) -> Answer<KeyView<Ending>> {
    let actor = call.actor(OPEN)?;
    let (path, _, _) = call.read::<KeyPath, MaybeOfUser, Ignored>()?;
    Ok(Reply::ok(api_keys::get(&call.deps, &actor, Some(ApiKeyType::User), path.api_key_id).await?.into()))
}

/// The team of the query is wanted by the contract, and not compared with that of the key.
async fn get_of_team(mut call: Call) -> Answer<KeyView<Ending>> {
    let actor = call.actor(OPEN)?;
    let (path, _, _) = call.read::<KeyPath, OfTeam, Ignored>()?;
    Ok(Reply::ok(api_keys::get(&call.deps, &actor, Some(ApiKeyType::Team), path.api_key_id).await?.into()))
}

async fn update_of_user(mut call: Call) -> Answer<KeyView<Ending>> {
    let actor = call.actor(OPEN)?;
    let (path, _, patch) = call.read::<KeyPath, MaybeOfUser, KeyPatch>()?;
    let (kind, change) = (Some(ApiKeyType::User), patch.into());
    Ok(Reply::ok(api_keys::update(&call.deps, &actor, kind, path.api_key_id, change).await?.into()))
}

async fn update_of_team(mut call: Call) -> Answer<KeyView<Ending>> {
    let actor = call.actor(OPEN)?;
    let (path, _, patch) = call.read::<KeyPath, OfTeam, KeyPatch>()?;
    let (kind, change) = (Some(ApiKeyType::Team), patch.into());
    Ok(Reply::ok(api_keys::update(&call.deps, &actor, kind, path.api_key_id, change).await?.into()))
}

impl From<KeyPatch> for ApiKeyChange {
    fn from(patch: KeyPatch) -> Self {
        Self { description: patch.description, revoke: patch.revoked.is_some() }
    }
}

async fn check(mut call: Call, kind: ApiKeyType) -> Answer<KeyView<Ending>> {
    let actor = call.actor(SERVER)?;
    let body = call.body::<ShownKey>()?;
    Ok(Reply::ok(api_keys::check(&call.deps, &actor, Some(kind), &body.api_key).await?.into()))
}

async fn report_leaked(mut call: Call) -> Answer<Success> {
    let body = call.body::<ShownKey>()?;
    api_keys::report_leaked(&call.deps, &body.api_key, &call.client).await?;
    Ok(success())
}
