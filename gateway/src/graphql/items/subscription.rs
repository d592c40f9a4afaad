//! Following what a customer has, by the event log.

use std::sync::Arc;

use async_graphql::{Context, ID};
use futures::{FutureExt, Stream, StreamExt};
use postern_domain::{
    Actor, Deps,
    events::{EventFilter, EventKind, LoggedEvent},
    items::{self, Customer, Item},
};
use postern_gateway_macros::guarded;

use super::types::{CustomerInput, ItemObject, key};
use crate::graphql::{
    error::{Error, Result},
    events::subscription::{LOOK_EVERY, follow, when_there, while_allowed},
    schema::{actor, deps},
};

/// What is listened for: changes, and whatever may end the right to hear of them.
const KINDS: &[EventKind] = &[
    EventKind::ItemChanged,
    EventKind::UserDeleted,
    EventKind::TeamDeleted,
    EventKind::TeamMembershipDeleted,
    EventKind::TeamPermissionDeleted,
];
/// Subscriptions to items.
#[derive(Default)]
pub(crate) struct ItemSubscription;

#[guarded(subscription)]
impl ItemSubscription {
    /// What a customer has of an item, whenever that has changed from now on. A client follows its own user, or a team in
    /// which it holds `team_admin`; when it no longer does, the subscription ends with an error.
    #[access(CLIENT)]
    async fn item_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who has it.")] customer: CustomerInput,
        #[graphql(desc = "The key of the item, or its id.")] item_id: ID,
    ) -> Result<impl Stream<Item = async_graphql::Result<Option<ItemObject>>> + use<>> {
        let (deps, actor, customer) = (deps(ctx)?.clone(), actor(ctx)?.clone(), Customer::from(customer));
        // Whoever may not look is told at once.
        items::get(&deps, &actor, &customer, key(&item_id)).await?;
        let filter = EventFilter { kinds: KINDS.to_vec(), user_id: customer.user_id(), team_id: customer.team_id() };
        // A server's right ends with its key, and a user's own with its session: those end the connection.
        let every = (customer.team_id().is_some() && !actor.is_server()).then_some(LOOK_EVERY);
        let may = {
            let (deps, actor, customer) = (Arc::clone(&deps), actor.clone(), customer.clone());
            move || {
                let (deps, actor, customer) = (Arc::clone(&deps), actor.clone(), customer.clone());
                async move { items::require_access(&deps, &actor, &customer).await }.boxed()
            }
        };
        let events = while_allowed(follow(ctx, filter, None).await?, every, may);
        let watched = Arc::new(Watched { deps, actor, customer, item_id: key(&item_id).to_owned() });
        Ok(events.filter_map(move |event| {
            let watched = Arc::clone(&watched);
            async move {
                match event {
                    Ok(event) if !watched.concerns(&event) => None,
                    Ok(_) => Some(watched.item().await.map(|item| Some(ItemObject(item)))),
                    Err(error) => Some(Err(Error::from(error).into())),
                }
            }
        }))
    }
}

/// An item that somebody waits for to change.
struct Watched {
    deps: Arc<Deps>,
    actor: Actor,
    customer: Customer,
    item_id: String,
}

impl Watched {
    async fn item(&self) -> async_graphql::Result<Item> {
        let item = when_there(|| items::get(&self.deps, &self.actor, &self.customer, &self.item_id)).await;
        item.map_err(|error| Error::from(error).into())
    }

    /// Whether the event tells of a change of the item; the others that are listened for may end the right to hear of it.
    fn concerns(&self, event: &LoggedEvent) -> bool {
        if event.kind != EventKind::ItemChanged {
            return false;
        }
        let named = |key: &str| event.payload.as_ref().and_then(|payload| payload.get(key)).and_then(|it| it.as_str());
        named("item_id") == Some(&self.item_id)
            && named("customer_id") == Some(self.customer.id())
            && named("customer_type") == Some(self.customer.kind().as_str())
    }
}
