//! Linked accounts, as the schema shows them.

use async_graphql::{Context, ID};
use postern_domain::linked_accounts::LinkedAccount;
use postern_gateway_macros::guarded;

use crate::graphql::{
    error::Result,
    loaders::Loaders,
    scalars::{DateTime, IntoId},
    users::types::UserObject,
};

/// A link between a user and its account at another site.
pub(crate) struct LinkedAccountObject(pub(crate) LinkedAccount);

/// An account of another site that a user has linked.
#[guarded(CLIENT, self, owner = self.0.user_id, graphql(name = "LinkedAccount"))]
impl LinkedAccountObject {
    /// The id of the link, the same as over REST.
    #[access(CLIENT, self)]
    pub(crate) async fn id(&self) -> ID {
        self.0.id.into_id()
    }

    /// The provider, by its key in the project's config.
    #[access(CLIENT, self)]
    fn provider_key(&self) -> &str {
        &self.0.provider_config_id
    }

    /// What sort of provider it is, such as `github`.
    #[access(CLIENT, self)]
    #[graphql(name = "type")]
    fn kind(&self) -> &str {
        &self.0.kind
    }

    /// The id of the account there.
    #[access(SERVER)]
    fn account_id(&self) -> Option<&str> {
        Some(&self.0.account_id)
    }

    /// The e-mail address of the account there.
    #[access(CLIENT, self)]
    fn email(&self) -> Option<&str> {
        self.0.email.as_deref()
    }

    /// Whether the user signs in with the account.
    #[access(CLIENT, self)]
    fn allow_sign_in(&self) -> bool {
        self.0.allow_sign_in
    }

    /// Whether the application reaches the other site by the account.
    #[access(CLIENT, self)]
    fn allow_connected_accounts(&self) -> bool {
        self.0.allow_connected_accounts
    }

    /// When the account was linked.
    #[access(CLIENT, self)]
    fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// Whose it is.
    #[access(CLIENT, self)]
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<UserObject>> {
        Ok(Loaders::of(ctx)?.user(self.0.user_id).await?.map(UserObject))
    }
}
