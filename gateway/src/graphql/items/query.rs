//! Reading what customers have.

use async_graphql::{Context, ID};
use postern_domain::items;
use postern_gateway_macros::guarded;

use super::types::{CustomerInput, ItemObject, key};
use crate::graphql::{
    connection::{Connection, connection_of, page_cost},
    error::Result,
    schema::{actor, deps},
};

/// Queries of items.
#[derive(Default)]
pub(crate) struct ItemQuery;

#[guarded(root)]
impl ItemQuery {
    /// What a customer has of one item. A client asks for its own user, or for a team in which it holds `team_admin`.
    #[access(CLIENT)]
    async fn item(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who has it.")] customer: CustomerInput,
        #[graphql(desc = "The key of the item, or its id.")] item_id: ID,
    ) -> Result<Option<ItemObject>> {
        let item = items::get(deps(ctx)?, actor(ctx)?, &customer.into(), key(&item_id)).await?;
        Ok(Some(ItemObject(item)))
    }

    /// What a customer has of each item that the project has for customers of its type, by key. A client asks for its own
    /// user, or for a team in which it holds `team_admin`.
    #[access(CLIENT)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn items(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who has them.")] customer: CustomerInput,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<Option<Connection<ItemObject>>> {
        let found = items::list(deps(ctx)?, actor(ctx)?, &customer.into()).await?;
        connection_of(found, first, after.as_deref(), |item| item.id.clone(), ItemObject).map(Some)
    }
}
