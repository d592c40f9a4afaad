//! Which mails users want.

use async_graphql::{Context, ID, InputObject};
use postern_domain::{
    identity,
    notifications::{self, Preference},
};
use postern_gateway_macros::guarded;

use super::{
    error::Result,
    repeat,
    scalars::{IntoId, parse_id},
    schema::{actor, deps},
};

/// What a user wants of one category of mails.
pub(crate) struct NotificationPreferenceObject(Preference);

/// What a user wants of one category of mails.
#[guarded(CLIENT, graphql(name = "NotificationPreference"))]
impl NotificationPreferenceObject {
    /// The category: the same id in every project.
    #[access(CLIENT)]
    fn category_id(&self) -> ID {
        self.0.notification_category_id.into_id()
    }

    /// The name of the category.
    #[access(CLIENT)]
    fn category_name(&self) -> &str {
        &self.0.notification_category_name
    }

    /// Whether the user gets its mails.
    #[access(CLIENT)]
    fn enabled(&self) -> bool {
        self.0.enabled
    }

    /// Whether its mails say how to be rid of them.
    #[access(CLIENT)]
    fn can_disable(&self) -> bool {
        self.0.can_disable
    }
}

/// Queries of what users want.
#[derive(Default)]
pub(crate) struct NotificationQuery;

#[guarded(root)]
impl NotificationQuery {
    /// Which mails a user wants, category by category: for a client its own user, for a server any.
    #[access(CLIENT, self)]
    async fn notification_preferences(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The user; the signed-in one when not given.")] user_id: Option<ID>,
    ) -> Result<Option<Vec<NotificationPreferenceObject>>> {
        let actor = actor(ctx)?;
        let user_id = match user_id {
            Some(id) => parse_id(&id, "userId")?,
            None => identity::require_own_user(actor)?.id,
        };
        let found = notifications::list(deps(ctx)?, actor, user_id).await?;
        Ok(Some(found.into_iter().map(NotificationPreferenceObject).collect()))
    }
}

/// Mutations of what users want.
#[derive(Default)]
pub(crate) struct NotificationMutation;

#[guarded(root)]
impl NotificationMutation {
    /// Switches a category of mails on or off for a user: for a client its own, for a server any.
    #[access(CLIENT, self)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn update_notification_preference(
        &self,
        ctx: &Context<'_>,
        input: UpdateNotificationPreferenceInput,
    ) -> Result<Option<NotificationPreferencePayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let user_id = match &input.user_id {
            Some(id) => parse_id(id, "userId")?,
            None => identity::require_own_user(&actor)?.id,
        };
        let category_id = parse_id(&input.category_id, "categoryId")?;
        let preference = notifications::update(deps(ctx)?, &actor, user_id, category_id, input.enabled).await?;
        Ok(Some(NotificationPreferencePayload { preference: NotificationPreferenceObject(preference) }))
    }
}

/// What a user wants.
#[derive(InputObject)]
pub(crate) struct UpdateNotificationPreferenceInput {
    /// The user; the signed-in one when not given.
    user_id: Option<ID>,
    /// The category.
    category_id: ID,
    /// Whether the user gets its mails.
    enabled: bool,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A choice that was made.
#[guarded(CLIENT)]
pub(crate) struct NotificationPreferencePayload {
    /// The choice as it is now.
    #[access(CLIENT)]
    preference: NotificationPreferenceObject,
}
