//! Following what a customer has, by the event log.

use std::{pin::Pin, sync::Arc, time::Duration};

use async_graphql::{Context, ID};
use futures::{Stream, StreamExt, stream};
use postern_domain::{
    Actor, Deps,
    events::{EventFilter, EventKind, LoggedEvent},
    items::{self, Customer, Item},
};
use postern_gateway_macros::guarded;
use tokio::time::timeout;

use super::types::{CustomerInput, ItemObject, key};
use crate::graphql::{
    error::{Error, Result},
    events::subscription::follow,
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
/// How often the right is looked at when nothing happens: definitions of permissions can change too. A right that ended must
/// be noticed within 10 s.
const LOOK_EVERY: Duration = Duration::from_secs(5);

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
        let events: Events = Box::pin(follow(ctx, filter, None).await?);
        let watcher = Watcher { deps, actor, customer, item_id: key(&item_id).to_owned(), events };
        Ok(stream::unfold(Some(watcher), |watcher| async move {
            let mut watcher = watcher?;
            match watcher.next().await {
                Ok(item) => Some((Ok(Some(ItemObject(item))), Some(watcher))),
                Err(error) => Some((Err(Error::from(error).into()), None)),
            }
        }))
    }
}

type Events = Pin<Box<dyn Stream<Item = postern_domain::Result<Arc<LoggedEvent>>> + Send>>;

/// One who waits for an item to change.
struct Watcher {
    deps: Arc<Deps>,
    actor: Actor,
    customer: Customer,
    item_id: String,
    events: Events,
}

impl Watcher {
    /// What the customer has, once that has changed.
    async fn next(&mut self) -> postern_domain::Result<Item> {
        loop {
            let heard = timeout(LOOK_EVERY, self.events.next()).await;
            let is_change = match heard {
                Ok(Some(event)) => {
                    let event = event?;
                    if event.kind == EventKind::ItemChanged && !self.concerns(&event) {
                        continue;
                    }
                    event.kind == EventKind::ItemChanged
                }
                Ok(None) => return Err(postern_domain::Error::internal("the event log ended")),
                // A server's right ends with its key, and a user's own with its session: those end the connection.
                Err(_) if self.actor.is_server() || self.customer.team_id().is_none() => continue,
                Err(_) => false,
            };
            let item = items::get(&self.deps, &self.actor, &self.customer, &self.item_id).await?;
            if is_change {
                return Ok(item);
            }
        }
    }

    fn concerns(&self, event: &LoggedEvent) -> bool {
        let named = |key: &str| event.payload.as_ref().and_then(|payload| payload.get(key)).and_then(|it| it.as_str());
        named("item_id") == Some(&self.item_id)
            && named("customer_id") == Some(self.customer.id())
            && named("customer_type") == Some(self.customer.kind().as_str())
    }
}
