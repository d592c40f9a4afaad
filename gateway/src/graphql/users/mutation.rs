//! Making, changing and deleting users.

use async_graphql::{Context, ID, InputObject};
use postern_domain::{UserId, identity, users};
use postern_gateway_macros::guarded;

use super::{
    input::{CreateUserInput, UpdateMeInput, UpdateUserInput},
    types::UserObject,
};
use crate::graphql::{
    error::Result,
    repeat,
    scalars::{IntoId, parse_id},
    schema::deps,
};

/// Mutations of users.
#[derive(Default)]
pub(crate) struct UserMutation;

#[guarded(root)]
impl UserMutation {
    /// Makes a user.
    #[access(SERVER)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn create_user(&self, ctx: &Context<'_>, input: CreateUserInput) -> Result<Option<UserPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let user = users::create(deps(ctx)?, &actor, input.into()).await?;
        Ok(Some(UserPayload { user: UserObject(user) }))
    }

    /// Changes a user.
    #[access(SERVER)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn update_user(&self, ctx: &Context<'_>, input: UpdateUserInput) -> Result<Option<UserPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let id = parse_id(&input.id, "id")?;
        let user = users::update(deps(ctx)?, &actor, id, input.change()?).await?;
        Ok(Some(UserPayload { user: UserObject(user) }))
    }

    /// Deletes a user with all that belongs to it. Its sessions end at once.
    #[access(SERVER)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn delete_user(&self, ctx: &Context<'_>, input: DeleteUserInput) -> Result<Option<DeleteUserPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let id: UserId = parse_id(&input.id, "id")?;
        users::delete(deps(ctx)?, &actor, id).await?;
        Ok(Some(DeleteUserPayload { id: id.into_id() }))
    }

    /// Changes the signed-in user.
    #[access(CLIENT, self, keys = USER)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn update_me(&self, ctx: &Context<'_>, input: UpdateMeInput) -> Result<Option<UserPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let user = users::update_own(deps(ctx)?, &actor, input.change()?).await?;
        Ok(Some(UserPayload { user: UserObject(user) }))
    }

    /// Deletes the signed-in user, where the project lets users do so.
    #[access(CLIENT, self)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn delete_me(
        &self,
        ctx: &Context<'_>,
        #[graphql(default)] input: DeleteMeInput,
    ) -> Result<Option<DeleteUserPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let id = identity::require_own_user(&actor)?.id;
        users::delete_own(deps(ctx)?, &actor).await?;
        Ok(Some(DeleteUserPayload { id: id.into_id() }))
    }
}

/// A user to delete.
#[derive(InputObject)]
pub(crate) struct DeleteUserInput {
    /// The user.
    id: ID,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// The signed-in user, to be deleted.
#[derive(Default, InputObject)]
pub(crate) struct DeleteMeInput {
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A user that was made or changed.
#[guarded(CLIENT)]
pub(crate) struct UserPayload {
    /// The user as it is now.
    #[access(CLIENT)]
    user: UserObject,
}

/// A user that was deleted.
#[guarded(CLIENT)]
pub(crate) struct DeleteUserPayload {
    /// The id that the user had.
    #[access(CLIENT)]
    id: ID,
}
