//! Reading messages and their deliveries.

use postern_entity::{
    Timestamp, WebhookDeliveryId, WebhookEndpointId, WebhookMessageId,
    webhook_delivery::{self, DeliveryState},
    webhook_message,
};
use sea_orm::{ColumnTrait, EntityTrait, Order, PaginatorTrait, QueryFilter, QuerySelect, Select};

use super::{MAX_PAGE, Page, PageRequest, Place, require_admin, store};
use crate::{
    Deps,
    actor::Actor,
    error::{Failure, Result, refuse},
};

/// A message as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The message.
    pub id: WebhookMessageId,
    /// Its type, such as `user.created`.
    pub event_type: String,
    /// The exact text that is signed and sent; none once its retention is over.
    pub payload: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Message {
    /// Where it stands in [`messages`].
    #[must_use]
    pub fn place(&self) -> Place {
        Place { at: self.created_at, id: self.id.0 }
    }

    fn of(row: webhook_message::Model) -> Self {
        // Made by us of JSON, so it is text.
        let payload = row.payload.and_then(|bytes| String::from_utf8(bytes).ok());
        Self { id: row.id, event_type: row.event_type, payload, created_at: row.created_at }
    }
}

/// A delivery as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The delivery.
    pub id: WebhookDeliveryId,
    /// What is delivered.
    pub message_id: WebhookMessageId,
    /// Where to.
    pub endpoint_id: WebhookEndpointId,
    /// How far it has come.
    pub state: DeliveryState,
    /// Scheduled attempts so far.
    pub attempts: i32,
    /// When the next scheduled attempt is due.
    pub next_attempt_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Delivery {
    fn of(row: webhook_delivery::Model) -> Self {
        Self {
            id: row.id,
            message_id: row.message_id,
            endpoint_id: row.endpoint_id,
            state: row.state,
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at,
            created_at: row.created_at,
        }
    }
}

/// Which messages are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// Of these types; empty means any.
    pub event_types: Vec<String>,
    /// Made at or after.
    pub since: Option<Timestamp>,
    /// Made before.
    pub until: Option<Timestamp>,
}

/// One message.
///
/// # Errors
/// Not found, access; internal.
#[crate::boxed]
pub async fn message(deps: &Deps, actor: &Actor, id: WebhookMessageId) -> Result<Message> {
    require_admin(actor)?;
    match store::message(deps.db.read(), &actor.project_id, id).await? {
        Some(row) => Ok(Message::of(row)),
        None => refuse(Failure::not_found("There is no such webhook message.")),
    }
}

/// The project's messages, newest first.
///
/// # Errors
/// Access; internal.
#[crate::boxed]
pub async fn messages(deps: &Deps, actor: &Actor, filter: &MessageFilter, page: PageRequest) -> Result<Page<Message>> {
    use webhook_message::Column::{CreatedAt, Id};
    require_admin(actor)?;
    let limit = page.limit.min(MAX_PAGE);
    let find = store::in_order(select(actor, filter), CreatedAt, Id, page.after, Order::Desc);
    let rows = find.limit(limit + 1).all(deps.db.read()).await?;
    Ok(Page::of(rows, limit, Message::of))
}

/// How many messages there are, whatever the page.
///
/// # Errors
/// Access; internal.
#[crate::boxed]
pub async fn count_messages(deps: &Deps, actor: &Actor, filter: &MessageFilter) -> Result<u64> {
    require_admin(actor)?;
    Ok(select(actor, filter).count(deps.db.read()).await?)
}

fn select(actor: &Actor, filter: &MessageFilter) -> Select<webhook_message::Entity> {
    use webhook_message::Column;
    let mut find = webhook_message::Entity::find().filter(Column::ProjectId.eq(actor.project_id.clone()));
    if !filter.event_types.is_empty() {
        find = find.filter(Column::EventType.is_in(&filter.event_types));
    }
    if let Some(since) = filter.since {
        find = find.filter(Column::CreatedAt.gte(since));
    }
    if let Some(until) = filter.until {
        find = find.filter(Column::CreatedAt.lt(until));
    }
    find
}

/// All deliveries of these messages, those of one message in the order of their endpoints' age. At most one per endpoint.
///
/// # Errors
/// Access; internal.
#[crate::boxed]
pub async fn deliveries_of(deps: &Deps, actor: &Actor, message_ids: &[WebhookMessageId]) -> Result<Vec<Delivery>> {
    use webhook_delivery::Column;
    require_admin(actor)?;
    let find = webhook_delivery::Entity::find()
        .filter(Column::MessageId.is_in(message_ids.iter().copied()))
        .filter(Column::ProjectId.eq(actor.project_id.clone()));
    let find = store::in_order(find, Column::CreatedAt, Column::Id, None, Order::Asc);
    Ok(find.all(deps.db.read()).await?.into_iter().map(Delivery::of).collect())
}
