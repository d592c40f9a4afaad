//! Linking accounts, changing links and removing them.

use async_graphql::{Context, ID, InputObject, MaybeUndefined};
use postern_domain::{
    Actor, Deps, LinkedAccountId, UserId, identity,
    linked_accounts::{self, LinkedAccount, NewLinkedAccount, UpdateLinkedAccount},
    nodes::{self, Node},
};
use postern_gateway_macros::guarded;
use secrecy::ExposeSecret;

use super::types::LinkedAccountObject;
use crate::graphql::{
    error::Result,
    repeat,
    scalars::{IntoId, no_such, parse_id, patch},
    schema::{actor, deps},
};

/// Mutations of linked accounts.
#[derive(Default)]
pub(crate) struct LinkedAccountMutation;

#[guarded(root)]
impl LinkedAccountMutation {
    /// Links an account of another site to a user.
    #[access(SERVER)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn create_linked_account(
        &self,
        ctx: &Context<'_>,
        input: CreateLinkedAccountInput,
    ) -> Result<Option<LinkedAccountPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let new = NewLinkedAccount {
            user_id: parse_id(&input.user_id, "userId")?,
            provider_config_id: input.provider_key,
            account_id: input.account_id,
            email: input.email,
            allow_sign_in: input.allow_sign_in,
            allow_connected_accounts: input.allow_connected_accounts,
        };
        Ok(Some(linked_accounts::create(deps(ctx)?, &actor, new).await?.into()))
    }

    /// Changes a linked account.
    #[access(CLIENT, self)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn update_linked_account(
        &self,
        ctx: &Context<'_>,
        input: UpdateLinkedAccountInput,
    ) -> Result<Option<LinkedAccountPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let id = parse_id(&input.id, "id")?;
        let change = UpdateLinkedAccount {
            allow_sign_in: input.allow_sign_in,
            allow_connected_accounts: input.allow_connected_accounts,
            email: patch(input.email),
            account_id: input.account_id,
        };
        let deps = deps(ctx)?;
        Ok(Some(linked_accounts::update(deps, &actor, owner(deps, &actor, id).await?, id, change).await?.into()))
    }

    /// Removes a linked account: the user does not sign in with it any more.
    #[access(CLIENT, self)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn delete_linked_account(
        &self,
        ctx: &Context<'_>,
        input: DeleteLinkedAccountInput,
    ) -> Result<Option<DeleteLinkedAccountPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let id: LinkedAccountId = parse_id(&input.id, "id")?;
        let deps = deps(ctx)?;
        linked_accounts::delete(deps, &actor, owner(deps, &actor, id).await?, id).await?;
        Ok(Some(DeleteLinkedAccountPayload { id: id.into_id() }))
    }

    /// Hands out an access token of the other site, to act there in the user's name: a kept one that is good for five minutes
    /// more, or a new one.
    #[access(CLIENT, self)]
    #[graphql(complexity = "child_complexity + 100")]
    async fn create_connected_account_token(
        &self,
        ctx: &Context<'_>,
        input: CreateConnectedAccountTokenInput,
    ) -> Result<Option<ConnectedAccountTokenPayload>> {
        let actor = actor(ctx)?;
        let user_id = match &input.user_id {
            Some(id) => parse_id(id, "userId")?,
            None => identity::require_own_user(actor)?.id,
        };
        let (account_id, scopes) = (input.account_id.as_deref(), input.scopes.unwrap_or_default().join(" "));
        let (deps, provider) = (deps(ctx)?, &input.provider_key);
        let token = linked_accounts::access_token(deps, actor, user_id, provider, account_id, &scopes).await?;
        Ok(Some(ConnectedAccountTokenPayload { access_token: token.expose_secret().to_owned() }))
    }
}

/// An access token to hand out.
#[derive(InputObject)]
pub(crate) struct CreateConnectedAccountTokenInput {
    /// Whose account; the caller's own when not given.
    user_id: Option<ID>,
    /// Key of the provider in the project's config.
    provider_key: String,
    /// The account's id there; any that the user has linked when not given.
    account_id: Option<String>,
    /// What it must be good for.
    scopes: Option<Vec<String>>,
}

/// An access token of another site.
#[guarded(CLIENT)]
pub(crate) struct ConnectedAccountTokenPayload {
    /// The token.
    #[access(CLIENT)]
    access_token: String,
}

/// Whose link is meant: a client's own user's, so that other links are not even looked at; for servers its owner.
async fn owner(deps: &Deps, actor: &Actor, id: LinkedAccountId) -> Result<UserId> {
    if !actor.is_server() {
        return Ok(identity::require_own_user(actor)?.id);
    }
    match nodes::find(deps, &actor.project_id, id.0).await? {
        Some(Node::LinkedAccount(_, user_id)) => Ok(user_id),
        _ => Err(no_such("linked account").into()),
    }
}

/// An account to link.
#[derive(InputObject)]
pub(crate) struct CreateLinkedAccountInput {
    /// Whose it becomes.
    user_id: ID,
    /// The provider, by its key in the project's config.
    provider_key: String,
    /// The id of the account there, 1 to 255 characters.
    account_id: String,
    /// The e-mail address of the account there.
    email: Option<String>,
    /// Whether the user signs in with the account.
    allow_sign_in: bool,
    /// Whether the application reaches the other site by the account.
    allow_connected_accounts: bool,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// What to change of a linked account; what is not given stays.
#[derive(InputObject)]
pub(crate) struct UpdateLinkedAccountInput {
    /// The link.
    id: ID,
    /// Whether the user signs in with the account.
    allow_sign_in: Option<bool>,
    /// Whether the application reaches the other site by the account.
    allow_connected_accounts: Option<bool>,
    /// The e-mail address of the account there; servers only.
    email: MaybeUndefined<String>,
    /// The id of the account there, 1 to 255 characters; servers only.
    account_id: Option<String>,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A linked account to remove.
#[derive(InputObject)]
pub(crate) struct DeleteLinkedAccountInput {
    /// The link.
    id: ID,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// An account that was linked, or a link that was changed.
#[guarded(CLIENT)]
pub(crate) struct LinkedAccountPayload {
    /// The link as it is now.
    #[access(CLIENT)]
    linked_account: LinkedAccountObject,
}

impl From<LinkedAccount> for LinkedAccountPayload {
    fn from(account: LinkedAccount) -> Self {
        Self { linked_account: LinkedAccountObject(account) }
    }
}

/// A linked account that was removed.
#[guarded(CLIENT)]
pub(crate) struct DeleteLinkedAccountPayload {
    /// The id that the link had.
    #[access(CLIENT)]
    id: ID,
}
