//! `/oauth-providers` and `/connected-accounts`: accounts of other sites that users have linked.

use postern_domain::{
    Actor, LinkedAccountId, UserId,
    identity::UserRef,
    linked_accounts::{self, LinkedAccount, NewLinkedAccount, UpdateLinkedAccount, WireLinkedAccount},
    patch::Patch,
};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Serialize;

use super::{
    call::{Call, OPEN, SERVER},
    input::{Empty, Ignored, LooseEmail, input},
    reply::{Answer, List, Reply, Success, success},
    routes::{About, Routes},
};

const TOKEN: &str = "Hands out an access token of another site";

pub(super) fn routes() -> Routes {
    let about = |summary, allowed| About::new("Linked accounts", summary, allowed);
    let path = "/oauth-providers/{user_id}/{provider_id}";
    Routes::new()
        .get("/oauth-providers", list, about("Lists linked accounts", OPEN).query::<ListQuery>())
        .post("/oauth-providers", create, about("Links an account of another site", SERVER).body::<Create>().makes())
        .get(path, get, about("Reads a linked account", OPEN).path::<LinkPath>())
        .patch(path, update, about("Changes a linked account", OPEN).path::<LinkPath>().body::<ServerPatch>())
        .delete(path, delete, about("Removes a linked account", OPEN).path::<LinkPath>())
        .get(
            "/connected-accounts/{user_id}",
            list_connected,
            about("Lists the accounts by which other sites are reached", OPEN).path::<UserPath>(),
        )
        .post(
            "/connected-accounts/{user_id}/{provider}/{account_id}/access-token",
            token_of_account,
            about(TOKEN, OPEN).path::<AccountPath>().body::<TokenBody>().makes(),
        )
        .post(
            "/connected-accounts/{user_id}/{provider}/access-token",
            token,
            about(TOKEN, OPEN).path::<ProviderPath>().body::<TokenBody>().makes(),
        )
        .post(
            "/auth/oauth/connected-accounts/{provider}/access-token",
            own_token,
            about(TOKEN, OPEN).path::<OwnProviderPath>().body::<TokenBody>().makes(),
        )
}

input! {
    struct LinkPath { user_id: UserRef, provider_id: LinkedAccountId }
}

input! {
    struct UserPath { user_id: UserRef }
}

input! {
    struct AccountPath { user_id: UserRef, provider: String, account_id: String }
}

input! {
    struct ProviderPath { user_id: UserRef, provider: String }
}

input! {
    struct OwnProviderPath { provider: String }
}

input! {
    struct TokenBody { scope: Option<String> }
}

input! {
    struct ListQuery { user_id: Option<UserRef> }
}

input! {
    struct Create {
        user_id: UserRef,
        provider_config_id: String,
        account_id: String,
        email: Option<LooseEmail>,
        allow_sign_in: bool,
        allow_connected_accounts: bool,
    }
}

input! {
    /// What a user may change of its links.
    struct ClientPatch { allow_sign_in: Option<bool>, allow_connected_accounts: Option<bool> }
}

input! {
    /// What a server may change of a link.
    struct ServerPatch {
        allow_sign_in: Option<bool>,
        allow_connected_accounts: Option<bool>,
        email: Option<LooseEmail>,
        account_id: Option<String>,
    }
}

/// An account by which the application reaches another site.
#[derive(Debug, Serialize, JsonSchema)]
struct ConnectedAccount {
    user_id: UserId,
    provider: String,
    provider_account_id: String,
}

/// What reaches the other site.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ConnectedAccountToken")]
struct AccessToken {
    access_token: String,
}

impl From<LinkedAccount> for ConnectedAccount {
    fn from(account: LinkedAccount) -> Self {
        Self { user_id: account.user_id, provider: account.provider_config_id, provider_account_id: account.account_id }
    }
}

async fn list(mut call: Call) -> Answer<List<WireLinkedAccount>> {
    let actor = call.actor(OPEN)?;
    let (_, query, _) = call.read::<Empty, ListQuery, Ignored>()?;
    let user_id = query.user_id.map(|user| user.resolve(&actor)).transpose()?;
    let accounts = linked_accounts::list(&call.deps, &actor, user_id).await?;
    let views = accounts.into_iter().map(|account| WireLinkedAccount::of(account, &actor));
    Ok(Reply::ok(List::whole(views.collect())))
}

async fn create(mut call: Call) -> Answer<WireLinkedAccount> {
    let actor = call.actor(SERVER)?;
    let (_, _, body) = call.read::<Empty, ListQuery, Create>()?;
    let new = NewLinkedAccount {
        user_id: body.user_id.resolve(&actor)?,
        provider_config_id: body.provider_config_id,
        account_id: body.account_id,
        email: body.email.map(|email| email.0),
        allow_sign_in: body.allow_sign_in,
        allow_connected_accounts: body.allow_connected_accounts,
    };
    Ok(Reply::created(linked_accounts::create(&call.deps, &actor, new).await?.into()))
}

async fn get(mut call: Call) -> Answer<WireLinkedAccount> {
    let actor = call.actor(OPEN)?;
    let (path, _, _) = call.read::<LinkPath, ListQuery, Ignored>()?;
    let user_id = path.user_id.resolve(&actor)?;
    let account = linked_accounts::get(&call.deps, &actor, user_id, path.provider_id).await?;
    Ok(Reply::ok(WireLinkedAccount::of(account, &actor)))
}

async fn update(mut call: Call) -> Answer<WireLinkedAccount> {
    let actor = call.actor(OPEN)?;
    let (path, change) = if actor.is_server() {
        let (path, _, patch) = call.read::<LinkPath, ListQuery, ServerPatch>()?;
        let ServerPatch { allow_sign_in, allow_connected_accounts, email, account_id } = patch;
        let email = email.map_or(Patch::Keep, |email| Patch::Set(email.0));
        (path, UpdateLinkedAccount { allow_sign_in, allow_connected_accounts, email, account_id })
    } else {
        let (path, _, patch) = call.read::<LinkPath, ListQuery, ClientPatch>()?;
        let ClientPatch { allow_sign_in, allow_connected_accounts } = patch;
        (path, UpdateLinkedAccount { allow_sign_in, allow_connected_accounts, ..UpdateLinkedAccount::default() })
    };
    let user_id = path.user_id.resolve(&actor)?;
    let account = linked_accounts::update(&call.deps, &actor, user_id, path.provider_id, change).await?;
    Ok(Reply::ok(WireLinkedAccount::of(account, &actor)))
}

async fn delete(mut call: Call) -> Answer<Success> {
    let actor = call.actor(OPEN)?;
    let (path, _, _) = call.read::<LinkPath, ListQuery, Ignored>()?;
    linked_accounts::delete(&call.deps, &actor, path.user_id.resolve(&actor)?, path.provider_id).await?;
    Ok(success())
}

async fn list_connected(mut call: Call) -> Answer<List<ConnectedAccount>> {
    let actor = call.actor(OPEN)?;
    let (path, _, _) = call.read::<UserPath, Empty, Ignored>()?;
    let accounts = linked_accounts::connected(&call.deps, &actor, path.user_id.resolve(&actor)?).await?;
    Ok(Reply::ok(List::whole(accounts.into_iter().map(Into::into).collect())))
}

async fn token_of_account(mut call: Call) -> Answer<AccessToken> {
    let actor = call.actor(OPEN)?;
    let (path, _, body) = call.read::<AccountPath, Ignored, TokenBody>()?;
    let AccountPath { user_id, provider, account_id } = path;
    hand_out(&call, &actor, &user_id, &provider, Some(&account_id), body).await
}

async fn token(mut call: Call) -> Answer<AccessToken> {
    let actor = call.actor(OPEN)?;
    let (path, _, body) = call.read::<ProviderPath, Ignored, TokenBody>()?;
    hand_out(&call, &actor, &path.user_id, &path.provider, None, body).await
}

/// The name that older clients call.
async fn own_token(mut call: Call) -> Answer<AccessToken> {
    let actor = call.actor(OPEN)?;
    let (path, _, body) = call.read::<OwnProviderPath, Ignored, TokenBody>()?;
    hand_out(&call, &actor, &UserRef::Me, &path.provider, None, body).await
}

async fn hand_out(
    call: &Call,
    actor: &Actor,
    user: &UserRef,
    provider: &str,
    account_id: Option<&str>,
    body: TokenBody,
) -> Answer<AccessToken> {
    let (user_id, scope) = (user.resolve(actor)?, body.scope.unwrap_or_default());
    let token = linked_accounts::access_token(&call.deps, actor, user_id, provider, account_id, &scope).await?;
    Ok(Reply::created(AccessToken { access_token: token.expose_secret().to_owned() }))
}
