//! API keys, as the schema shows them.

use async_graphql::{Context, Enum, ID};
use postern_domain::api_keys::{ApiKey, ApiKeyType as Type, KeyOwner};
use postern_gateway_macros::guarded;

use crate::graphql::{
    error::Result,
    loaders::Loaders,
    scalars::{DateTime, IntoId},
    teams::types::TeamObject,
    users::types::UserObject,
};

/// Whose an API key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "Type")]
pub(crate) enum ApiKeyType {
    /// A user's.
    User,
    /// A team's.
    Team,
}

/// A key without its secret.
pub(crate) struct ApiKeyObject(pub(crate) ApiKey);

/// An API key of a user or a team. A client sees those of its own user, and those of teams in which it holds
/// `$manage_api_keys`.
#[guarded(CLIENT, graphql(name = "ApiKey"))]
impl ApiKeyObject {
    /// The id of the key, the same as over REST.
    #[access(CLIENT)]
    pub(crate) async fn id(&self) -> ID {
        self.0.id.into_id()
    }

    /// Whose it is.
    #[access(CLIENT)]
    #[graphql(name = "type")]
    fn kind(&self) -> ApiKeyType {
        self.0.owner.key_type().into()
    }

    /// What it is for.
    #[access(CLIENT)]
    fn description(&self) -> &str {
        &self.0.description
    }

    /// Whether it is made to be seen by anybody; such a key proves nothing.
    #[access(CLIENT)]
    fn is_public(&self) -> bool {
        self.0.is_public
    }

    /// The last four characters of the key.
    #[access(CLIENT)]
    fn last_four(&self) -> &str {
        &self.0.last_four
    }

    /// When it was made.
    #[access(CLIENT)]
    fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// From when on it is refused; never when null.
    #[access(CLIENT)]
    fn expires_at(&self) -> Option<DateTime> {
        self.0.expires_at.map(Into::into)
    }

    /// Since when it is refused because somebody revoked it.
    #[access(CLIENT)]
    fn revoked_at(&self) -> Option<DateTime> {
        self.0.revoked_at.map(Into::into)
    }

    /// The user it belongs to.
    #[access(CLIENT)]
    fn user_id(&self) -> Option<ID> {
        match self.0.owner {
            KeyOwner::User(id) => Some(id.into_id()),
            KeyOwner::Team(_) => None,
        }
    }

    /// The team it belongs to.
    #[access(CLIENT)]
    fn team_id(&self) -> Option<ID> {
        match self.0.owner {
            KeyOwner::Team(id) => Some(id.into_id()),
            KeyOwner::User(_) => None,
        }
    }

    /// The user it belongs to, as it is now.
    #[access(CLIENT)]
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<UserObject>> {
        match self.0.owner {
            KeyOwner::User(id) => Ok(Loaders::of(ctx)?.user(id).await?.map(UserObject)),
            KeyOwner::Team(_) => Ok(None),
        }
    }

    /// The team it belongs to, as it is now.
    #[access(CLIENT)]
    async fn team(&self, ctx: &Context<'_>) -> Result<Option<TeamObject>> {
        match self.0.owner {
            KeyOwner::Team(id) => Ok(Loaders::of(ctx)?.team(id).await?.map(TeamObject)),
            KeyOwner::User(_) => Ok(None),
        }
    }
}
