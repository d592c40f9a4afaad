//! `/oauth-providers` and `/connected-accounts`: accounts of other sites that users have linked.

use postern_domain::{
    LinkedAccountId, UserId,
    identity::UserRef,
    linked_accounts::{self, LinkedAccount, NewLinkedAccount, UpdateLinkedAccount, WireLinkedAccount},
    patch::Patch,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    call::{Call, OPEN, SERVER},
    input::{Empty, Ignored, LooseEmail, input},
    reply::{Answer, List, Reply, Success, success},
    routes::{About, Routes},
};

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
}

input! {
    struct LinkPath { user_id: UserRef, provider_id: LinkedAccountId }
}

input! {
    struct UserPath { user_id: UserRef }
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
