//! Adding, changing and removing contact channels.

use async_graphql::{Context, ID, InputObject};
use postern_domain::{
    Actor, ContactChannelId, Deps, UserId, identity,
    users::channels::{self, CreateChannel, UpdateChannel},
};
use postern_gateway_macros::guarded;

use super::types::{ContactChannelObject, ContactChannelType};
use crate::graphql::{
    error::Result,
    repeat,
    scalars::{IntoId, no_such, parse_id},
    schema::deps,
};

/// Mutations of contact channels.
#[derive(Default)]
pub(crate) struct ContactChannelMutation;

#[guarded(root)]
impl ContactChannelMutation {
    /// Adds a contact channel to a user: to the caller's own, or for servers to any.
    #[access(CLIENT, self)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn create_contact_channel(
        &self,
        ctx: &Context<'_>,
        input: CreateContactChannelInput,
    ) -> Result<Option<ContactChannelPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let user_id = match &input.user_id {
            Some(id) => parse_id(id, "userId")?,
            None => identity::require_own_user(&actor)?.id,
        };
        let channel = CreateChannel {
            user_id,
            value: input.value,
            used_for_auth: input.used_for_auth,
            is_primary: input.is_primary,
            is_verified: input.is_verified,
        };
        let channel = channels::create(deps(ctx)?, &actor, channel).await?;
        Ok(Some(ContactChannelPayload { contact_channel: ContactChannelObject(channel) }))
    }

    /// Changes a contact channel. A new value counts as unverified, unless a server says otherwise.
    #[access(CLIENT, self)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn update_contact_channel(
        &self,
        ctx: &Context<'_>,
        input: UpdateContactChannelInput,
    ) -> Result<Option<ContactChannelPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let id = parse_id(&input.id, "id")?;
        let change = UpdateChannel {
            value: input.value,
            used_for_auth: input.used_for_auth,
            is_primary: input.is_primary,
            is_verified: input.is_verified,
        };
        let deps = deps(ctx)?;
        let channel = channels::update(deps, &actor, owner(deps, &actor, id).await?, id, change).await?;
        Ok(Some(ContactChannelPayload { contact_channel: ContactChannelObject(channel) }))
    }

    /// Removes a contact channel.
    #[access(CLIENT, self)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn delete_contact_channel(
        &self,
        ctx: &Context<'_>,
        input: DeleteContactChannelInput,
    ) -> Result<Option<DeleteContactChannelPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let id: ContactChannelId = parse_id(&input.id, "id")?;
        let deps = deps(ctx)?;
        channels::delete(deps, &actor, owner(deps, &actor, id).await?, id).await?;
        Ok(Some(DeleteContactChannelPayload { id: id.into_id() }))
    }
}

/// Whose channel is meant: a client's own user's, so that other channels are not even looked at; for servers its owner.
pub(crate) async fn owner(deps: &Deps, actor: &Actor, id: ContactChannelId) -> Result<UserId> {
    if !actor.is_server() {
        return Ok(identity::require_own_user(actor)?.id);
    }
    let found = channels::by_ids(deps, &actor.project_id, &[id]).await?;
    Ok(found.get(&id).ok_or_else(|| no_such("contact channel"))?.user_id)
}

/// A contact channel to add.
#[derive(InputObject)]
pub(crate) struct CreateContactChannelInput {
    /// Whose it becomes; the caller's own user when not given.
    user_id: Option<ID>,
    /// What sort of address it is.
    #[graphql(name = "type", default_with = "ContactChannelType::Email")]
    kind: ContactChannelType,
    /// The address.
    value: String,
    /// Whether the user can sign in with it.
    #[graphql(default)]
    used_for_auth: bool,
    /// Whether it takes the place of the present primary address.
    is_primary: Option<bool>,
    /// Whether it counts as verified; servers only.
    is_verified: Option<bool>,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// What to change of a contact channel; what is not given stays.
#[derive(InputObject)]
pub(crate) struct UpdateContactChannelInput {
    /// The channel.
    id: ID,
    /// The address.
    value: Option<String>,
    /// Whether the user can sign in with it.
    used_for_auth: Option<bool>,
    /// True takes the place of the present primary address; false leaves the user without one.
    is_primary: Option<bool>,
    /// Whether it counts as verified; servers only.
    is_verified: Option<bool>,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A contact channel to remove.
#[derive(InputObject)]
pub(crate) struct DeleteContactChannelInput {
    /// The channel.
    id: ID,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A contact channel that was added or changed.
#[guarded(CLIENT)]
pub(crate) struct ContactChannelPayload {
    /// The channel as it is now.
    #[access(CLIENT)]
    contact_channel: ContactChannelObject,
}

/// A contact channel that was removed.
#[guarded(CLIENT)]
pub(crate) struct DeleteContactChannelPayload {
    /// The id that the channel had.
    #[access(CLIENT)]
    id: ID,
}
