//! Changing what customers have.

use async_graphql::{Context, ID, InputObject};
use postern_domain::items::{self, ItemChange};
use postern_gateway_macros::guarded;

use super::types::{CustomerInput, ItemObject, key};
use crate::graphql::{
    error::Result,
    repeat,
    scalars::{DateTime, SafeInt},
    schema::deps,
};

/// Mutations of items.
#[derive(Default)]
pub(crate) struct ItemMutation;

#[guarded(root)]
impl ItemMutation {
    /// Adds to or takes from what a customer has of an item. Unless the customer may owe something, a change that leaves
    /// something owed is refused with `ITEM_QUANTITY_INSUFFICIENT_AMOUNT`, whatever else happens at the same time.
    #[access(SERVER)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn change_item_quantity(
        &self,
        ctx: &Context<'_>,
        input: ChangeItemQuantityInput,
    ) -> Result<Option<ChangeItemQuantityPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let change = ItemChange {
            delta: input.delta.0,
            allow_negative: input.allow_negative,
            expires_at: input.expires_at.map(|time| time.0),
            description: input.description,
        };
        let item = items::change(deps(ctx)?, &actor, &input.customer.into(), key(&input.item_id), change).await?;
        Ok(Some(ChangeItemQuantityPayload { item: ItemObject(item) }))
    }
}

/// What to add to or take from what a customer has of an item.
#[derive(InputObject)]
pub(crate) struct ChangeItemQuantityInput {
    /// Who has it.
    customer: CustomerInput,
    /// The key of the item, or its id.
    item_id: ID,
    /// How much to add; what is negative is taken, from what ends soonest.
    delta: SafeInt,
    /// Whether the customer may owe something afterwards.
    #[graphql(default)]
    allow_negative: bool,
    /// When what is added is lost; never when not given.
    expires_at: Option<DateTime>,
    /// What it is for, at most 1,000 characters.
    description: Option<String>,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// An item of which a customer has more or less.
#[guarded(CLIENT)]
pub(crate) struct ChangeItemQuantityPayload {
    /// What the customer has of it now.
    #[access(CLIENT)]
    item: ItemObject,
}
