//! Contact channels, as the schema shows them.

use async_graphql::{Context, Enum, ID};
use postern_domain::users::channels::ContactChannel;
use postern_gateway_macros::guarded;

use crate::graphql::{
    error::Result,
    loaders::Loaders,
    scalars::{DateTime, IntoId},
    users::types::UserObject,
};

/// An address of a user.
pub(crate) struct ContactChannelObject(pub(crate) ContactChannel);

/// An address by which a user can be reached, and perhaps signs in.
#[guarded(CLIENT, self, owner = self.0.user_id, graphql(name = "ContactChannel"))]
impl ContactChannelObject {
    /// The id of the channel, the same as over REST.
    #[access(CLIENT, self)]
    pub(crate) async fn id(&self) -> ID {
        self.0.id.into_id()
    }

    /// What sort of address it is.
    #[access(CLIENT, self)]
    #[graphql(name = "type")]
    fn kind(&self) -> ContactChannelType {
        ContactChannelType::Email
    }

    /// The address, normalised.
    #[access(CLIENT, self)]
    fn value(&self) -> &str {
        &self.0.value
    }

    /// Whether this is the user's primary address; at most one is.
    #[access(CLIENT, self)]
    fn is_primary(&self) -> bool {
        self.0.is_primary
    }

    /// Whether the user has proven to hold the address.
    #[access(CLIENT, self)]
    fn is_verified(&self) -> bool {
        self.0.is_verified
    }

    /// Whether the user can sign in with the address.
    #[access(CLIENT, self)]
    fn used_for_auth(&self) -> bool {
        self.0.used_for_auth
    }

    /// When the channel was added.
    #[access(CLIENT, self)]
    fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// Whose address it is.
    #[access(CLIENT, self)]
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<UserObject>> {
        Ok(Loaders::of(ctx)?.user(self.0.user_id).await?.map(UserObject))
    }
}

/// What sort of address a contact channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum ContactChannelType {
    /// An e-mail address.
    Email,
}
