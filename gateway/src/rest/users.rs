//! `/users`: reading and changing users, by themselves and by servers.

use postern_domain::{
    Failure, Level, TeamId, UserId,
    identity::UserRef,
    patch::Patch,
    users::{
        self, CreateUser, ListUsers, OAuthLink, PageStart, RiskScores, UpdateOwnUser, UpdateUser, User, UserOrder,
        wire::{ClientUser, ServerUser},
    },
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{
    call::{Call, OPEN, SERVER},
    input::{Empty, Ignored, LooseEmail, Nullable, OneOf, Positive, Text, UrlText, Words, input},
    reply::{Answer, List, Reply, Success, success},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary, allowed| About::new("Users", summary, allowed);
    Routes::new()
        .get("/users/me", me, about("The user of the access token", OPEN).query::<ListQuery>())
        .patch("/users/me", update_me, about("Changes the user of the access token", OPEN).body::<ServerPatch>())
        .delete("/users/me", delete_me, about("Deletes the user of the access token", OPEN))
        .get("/users", list, about("Lists users", SERVER).query::<ListQuery>())
        .post("/users", create, about("Makes a user", SERVER).body::<NewUser>().makes())
        .get("/users/{user_id}", get, about("Reads a user", SERVER).path::<UserPath>())
        .patch("/users/{user_id}", update, about("Changes a user", SERVER).path::<UserPath>().body::<ServerPatch>())
        .delete("/users/{user_id}", delete, about("Deletes a user", SERVER).path::<UserPath>())
}

/// A user as the caller may see it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "User")]
pub(super) enum UserView {
    Client(Box<ClientUser>),
    Server(Box<ServerUser>),
}

impl UserView {
    fn of(user: User, level: Level) -> Self {
        if level >= Level::Server { Self::Server(Box::new(user.into())) } else { Self::Client(Box::new(user.into())) }
    }
}

async fn me(mut call: Call) -> Answer<UserView> {
    let actor = call.actor(OPEN)?;
    call.read::<Empty, ListQuery, Ignored>()?;
    Ok(Reply::ok(UserView::of(users::get_own(&call.deps, &actor).await?, actor.level)))
}

async fn update_me(mut call: Call) -> Answer<UserView> {
    let actor = call.actor(OPEN)?;
    let user = if actor.is_server() {
        let (_, _, patch) = call.read::<Empty, ListQuery, ServerPatch>()?;
        let id = UserRef::Me.resolve(&actor)?;
        users::update(&call.deps, &actor, id, patch.try_into()?).await?
    } else {
        let (_, _, patch) = call.read::<Empty, ListQuery, ClientPatch>()?;
        users::update_own(&call.deps, &actor, patch.into()).await?
    };
    Ok(Reply::ok(UserView::of(user, actor.level)))
}

async fn delete_me(mut call: Call) -> Answer<Success> {
    let actor = call.actor(OPEN)?;
    call.read::<Empty, ListQuery, Ignored>()?;
    users::delete_own(&call.deps, &actor).await?;
    Ok(success())
}

async fn list(mut call: Call) -> Answer<List<ServerUser>> {
    let actor = call.actor(SERVER)?;
    let (_, query, _) = call.read::<Empty, ListQuery, Ignored>()?;
    let page = users::list(&call.deps, &actor, &query.into()).await?;
    let next = page.next.map(|id| id.to_string());
    Ok(Reply::ok(List::page(page.users.into_iter().map(ServerUser::from).collect(), next)))
}

async fn create(mut call: Call) -> Answer<ServerUser> {
    let actor = call.actor(SERVER)?;
    let (_, _, body) = call.read::<Empty, ListQuery, NewUser>()?;
    Ok(Reply::created(users::create(&call.deps, &actor, body.try_into()?).await?.into()))
}

async fn get(mut call: Call) -> Answer<ServerUser> {
    let actor = call.actor(SERVER)?;
    let (path, _, _) = call.read::<UserPath, ListQuery, Ignored>()?;
    let id = path.user_id.resolve(&actor)?;
    Ok(Reply::ok(users::get(&call.deps, &actor, id).await?.into()))
}

async fn update(mut call: Call) -> Answer<ServerUser> {
    let actor = call.actor(SERVER)?;
    let (path, _, patch) = call.read::<UserPath, ListQuery, ServerPatch>()?;
    let id = path.user_id.resolve(&actor)?;
    Ok(Reply::ok(users::update(&call.deps, &actor, id, patch.try_into()?).await?.into()))
}

async fn delete(mut call: Call) -> Answer<Success> {
    let actor = call.actor(SERVER)?;
    let (path, _, _) = call.read::<UserPath, ListQuery, Ignored>()?;
    users::delete(&call.deps, &actor, path.user_id.resolve(&actor)?).await?;
    Ok(success())
}

input! {
    struct UserPath { user_id: UserRef }
}

input! {
    /// One query schema for all operations of the resource, as the contract has it.
    struct ListQuery {
        team_id: Option<TeamId>,
        limit: Option<Positive>,
        cursor: Option<UserId>,
        order_by: Option<OneOf<Order>>,
        desc: Option<bool>,
        query: Option<String>,
        include_restricted: Option<bool>,
        include_anonymous: Option<bool>,
        only_anonymous: Option<bool>,
    }
}

input! {
    /// What a user may change of itself.
    struct ClientPatch {
        display_name: Patch<Text<256>>,
        primary_email: Patch<LooseEmail>,
        profile_image_url: Patch<UrlText>,
        client_metadata: Option<Value>,
        selected_team_id: Patch<TeamId>,
        otp_auth_enabled: Option<bool>,
        passkey_auth_enabled: Option<bool>,
        totp_secret_base64: Patch<String>,
        /// Ours: when somebody else may know what is changed.
        end_other_sessions: Option<bool>,
    }
}

input! {
    /// What a server may change of a user.
    struct ServerPatch {
        display_name: Patch<Text<256>>,
        primary_email: Patch<LooseEmail>,
        primary_email_verified: Option<bool>,
        primary_email_auth_enabled: Option<bool>,
        profile_image_url: Patch<UrlText>,
        client_metadata: Option<Value>,
        client_read_only_metadata: Option<Value>,
        server_metadata: Option<Value>,
        selected_team_id: Patch<TeamId>,
        otp_auth_enabled: Option<bool>,
        passkey_auth_enabled: Option<bool>,
        is_anonymous: Option<bool>,
        restricted_by_admin: Option<bool>,
        restricted_by_admin_reason: Patch<String>,
        restricted_by_admin_private_details: Patch<String>,
        country_code: Patch<String>,
        risk_scores: Option<RiskScoresInput>,
        password: Patch<Text<70>>,
        password_hash: Option<String>,
        totp_secret_base64: Patch<String>,
    }
}

input! {
    /// A user as servers make it.
    struct NewUser {
        display_name: Option<Nullable<Text<256>>>,
        primary_email: Option<Nullable<LooseEmail>>,
        primary_email_verified: Option<bool>,
        primary_email_auth_enabled: Option<bool>,
        profile_image_url: Option<Nullable<UrlText>>,
        client_metadata: Option<Value>,
        client_read_only_metadata: Option<Value>,
        server_metadata: Option<Value>,
        otp_auth_enabled: Option<bool>,
        #[expect(dead_code, reason = "the contract ignores it when a user is made")]
        passkey_auth_enabled: Option<bool>,
        oauth_providers: Option<Vec<OAuthProviderInput>>,
        is_anonymous: Option<bool>,
        restricted_by_admin: Option<bool>,
        restricted_by_admin_reason: Option<Nullable<String>>,
        restricted_by_admin_private_details: Option<Nullable<String>>,
        country_code: Option<Nullable<String>>,
        risk_scores: Option<RiskScoresInput>,
        password: Option<Nullable<Text<70>>>,
        password_hash: Option<String>,
        totp_secret_base64: Option<Nullable<String>>,
    }
}

input! {
    struct RiskScoresInput { sign_up: SignUpRiskInput }
}

input! {
    struct SignUpRiskInput { bot: i64, free_trial_abuse: i64 }
}

input! {
    struct OAuthProviderInput { id: String, account_id: String, email: Option<Nullable<LooseEmail>> }
}

/// What lists are ordered by.
#[derive(Debug)]
struct Order;

impl Words for Order {
    const WORDS: &'static [&'static str] = &["signed_up_at", "last_active_at"];
}

impl From<ListQuery> for ListUsers {
    fn from(query: ListQuery) -> Self {
        Self {
            team_id: query.team_id,
            query: query.query,
            include_restricted: query.include_restricted.unwrap_or_default(),
            include_anonymous: query.include_anonymous.unwrap_or_default(),
            only_anonymous: query.only_anonymous.unwrap_or_default(),
            order_by: match query.order_by {
                Some(order) if order.word == "last_active_at" => UserOrder::LastActiveAt,
                _ => UserOrder::SignedUpAt,
            },
            descending: query.desc.unwrap_or_default(),
            start: query.cursor.map_or(PageStart::Beginning, PageStart::At),
            limit: query.limit.map(|limit| limit.0),
        }
    }
}

impl From<ClientPatch> for UpdateOwnUser {
    fn from(patch: ClientPatch) -> Self {
        Self {
            display_name: patch.display_name.map(|text| text.0),
            primary_email: patch.primary_email.map(|email| email.0),
            profile_image_url: patch.profile_image_url.map(|url| url.0),
            client_metadata: patch.client_metadata,
            otp_auth_enabled: patch.otp_auth_enabled,
            passkey_auth_enabled: patch.passkey_auth_enabled,
            totp_secret_base64: patch.totp_secret_base64.map(Into::into),
            selected_team_id: patch.selected_team_id,
            ends_other_sessions: patch.end_other_sessions.unwrap_or_default(),
        }
    }
}

impl TryFrom<ServerPatch> for UpdateUser {
    type Error = Failure;

    fn try_from(patch: ServerPatch) -> Result<Self, Failure> {
        Ok(Self {
            display_name: patch.display_name.map(|text| text.0),
            primary_email: patch.primary_email.map(|email| email.0),
            primary_email_verified: patch.primary_email_verified,
            primary_email_auth_enabled: patch.primary_email_auth_enabled,
            profile_image_url: patch.profile_image_url.map(|url| url.0),
            client_metadata: patch.client_metadata,
            client_read_only_metadata: patch.client_read_only_metadata,
            server_metadata: patch.server_metadata,
            otp_auth_enabled: patch.otp_auth_enabled,
            passkey_auth_enabled: patch.passkey_auth_enabled,
            password: patch.password.map(|text| text.0.into()),
            password_hash: patch.password_hash.map(Into::into),
            totp_secret_base64: patch.totp_secret_base64.map(Into::into),
            selected_team_id: patch.selected_team_id,
            is_anonymous: patch.is_anonymous,
            restricted_by_admin: patch.restricted_by_admin,
            restricted_by_admin_reason: patch.restricted_by_admin_reason,
            restricted_by_admin_private_details: patch.restricted_by_admin_private_details,
            country_code: patch.country_code,
            risk_scores: patch.risk_scores.map(RiskScores::try_from).transpose()?,
        })
    }
}

impl TryFrom<NewUser> for CreateUser {
    type Error = Failure;

    fn try_from(new: NewUser) -> Result<Self, Failure> {
        let oauth_providers = new.oauth_providers.unwrap_or_default().into_iter().map(|provider| {
            OAuthLink::new(provider.id, provider.account_id, given(provider.email).map(|email| email.0))
        });
        Ok(Self {
            display_name: given(new.display_name).map(|text| text.0),
            primary_email: given(new.primary_email).map(|email| email.0),
            primary_email_verified: new.primary_email_verified,
            primary_email_auth_enabled: new.primary_email_auth_enabled,
            profile_image_url: given(new.profile_image_url).map(|url| url.0),
            client_metadata: new.client_metadata,
            client_read_only_metadata: new.client_read_only_metadata,
            server_metadata: new.server_metadata,
            otp_auth_enabled: new.otp_auth_enabled,
            password: given(new.password).map(|text| text.0.into()),
            password_hash: new.password_hash.map(Into::into),
            totp_secret_base64: given(new.totp_secret_base64).map(Into::into),
            oauth_providers: oauth_providers.collect(),
            is_anonymous: new.is_anonymous,
            restricted_by_admin: new.restricted_by_admin,
            restricted_by_admin_reason: given(new.restricted_by_admin_reason),
            restricted_by_admin_private_details: given(new.restricted_by_admin_private_details),
            country_code: given(new.country_code),
            risk_scores: new.risk_scores.map(RiskScores::try_from).transpose()?,
        })
    }
}

/// When a user is made, absent and null are the same.
fn given<T>(field: Option<Nullable<T>>) -> Option<T> {
    field.and_then(|field| field.0)
}

impl TryFrom<RiskScoresInput> for RiskScores {
    type Error = Failure;

    fn try_from(scores: RiskScoresInput) -> Result<Self, Failure> {
        let score = |name: &str, value: i64| {
            u8::try_from(value)
                .map_err(|_| Failure::schema(format!("body.risk_scores.sign_up.{name} must be 0 to 100")))
        };
        Ok(Self {
            bot: score("bot", scores.sign_up.bot)?,
            free_trial_abuse: score("free_trial_abuse", scores.sign_up.free_trial_abuse)?,
        })
    }
}
