//! Reading messages and their deliveries.

use std::collections::BTreeMap;

use postern_entity::{
    TeamId, Timestamp, UserId, WebhookDeliveryId, WebhookEndpointId, WebhookMessageId,
    webhook_delivery::{self, DeliveryState},
    webhook_message,
};
use sea_orm::{
    ColumnTrait, EntityTrait, Order, PaginatorTrait, QueryFilter, QuerySelect, QueryTrait, Select,
    sea_query::{SelectStatement, SimpleExpr},
};

use super::{MAX_PAGE, Page, PageRequest, Place, endpoint::texts, no_such_endpoint, require_admin, store};
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
    /// Its event, by its place in the log; none for tests and examples.
    pub event_position: Option<i64>,
    /// Its type, such as `user.created`.
    pub event_type: String,
    /// The channels that it goes by.
    pub channels: Vec<String>,
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
        // Made by us, like the payload, which is text because it is JSON.
        let channels = texts(row.channels).ok().flatten().unwrap_or_default();
        let payload = text(row.payload);
        Self {
            id: row.id,
            event_position: row.event_position,
            event_type: row.event_type,
            channels,
            payload,
            created_at: row.created_at,
        }
    }
}

fn text(payload: Option<Vec<u8>>) -> Option<String> {
    payload.and_then(|bytes| String::from_utf8(bytes).ok())
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
    /// The exact text for this endpoint, where it has shaped it.
    pub payload: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Delivery {
    /// Where it stands in [`super::dead_letters`].
    #[must_use]
    pub fn place(&self) -> Place {
        Place { at: self.created_at, id: self.id.0 }
    }

    pub(super) fn of(row: webhook_delivery::Model) -> Self {
        Self {
            id: row.id,
            message_id: row.message_id,
            endpoint_id: row.endpoint_id,
            state: row.state,
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at,
            payload: text(row.payload),
            created_at: row.created_at,
        }
    }
}

/// Which messages are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// Of these types; empty means any.
    pub event_types: Vec<String>,
    /// On this channel.
    pub channel: Option<String>,
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

/// The ids of the messages that are wanted, for other queries.
pub(super) fn ids(actor: &Actor, filter: &MessageFilter) -> SelectStatement {
    select(actor, filter).select_only().column(webhook_message::Column::Id).into_query()
}

/// Whether a message is on this channel: its channels are those of what it is about, as
/// [`super::matching::channels_of`] makes them.
fn is_on(channel: &str) -> SimpleExpr {
    use webhook_message::Column;
    let is_about = match channel.split_once(':') {
        Some(("user", id)) => id.parse().ok().map(|id: UserId| Column::UserId.eq(id)),
        Some(("team", id)) => id.parse().ok().map(|id: TeamId| Column::TeamId.eq(id)),
        _ => None,
    };
    // Never so: no message is on any other.
    is_about.unwrap_or_else(|| Column::Id.is_null())
}

fn select(actor: &Actor, filter: &MessageFilter) -> Select<webhook_message::Entity> {
    use webhook_message::Column;
    let mut find = webhook_message::Entity::find().filter(Column::ProjectId.eq(actor.project_id.clone()));
    if !filter.event_types.is_empty() {
        find = find.filter(Column::EventType.is_in(&filter.event_types));
    }
    if let Some(channel) = &filter.channel {
        find = find.filter(is_on(channel));
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

/// Those of `ids` that there are, in no order.
///
/// # Errors
/// Access; internal.
#[crate::boxed]
pub async fn messages_by_ids(deps: &Deps, actor: &Actor, ids: &[WebhookMessageId]) -> Result<Vec<Message>> {
    require_admin(actor)?;
    let find = select(actor, &MessageFilter::default()).filter(webhook_message::Column::Id.is_in(ids.iter().copied()));
    Ok(find.all(deps.db.read()).await?.into_iter().map(Message::of).collect())
}

/// A message as one endpoint gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// What is sent.
    pub message: Message,
    /// How far it has come.
    pub delivery: Delivery,
}

/// Which messages of an endpoint are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentFilter {
    /// Whose deliveries are in one of these states; empty means any.
    pub states: Vec<DeliveryState>,
    /// Of these types; empty means any.
    pub event_types: Vec<String>,
    /// On this channel.
    pub channel: Option<String>,
    /// Put into the endpoint's line at or after.
    pub since: Option<Timestamp>,
    /// Put into the endpoint's line before.
    pub until: Option<Timestamp>,
}

/// The messages that an endpoint gets, newest delivery first.
///
/// # Errors
/// No such endpoint; access; internal.
#[crate::boxed]
pub async fn sent_to(
    deps: &Deps,
    actor: &Actor,
    endpoint_id: WebhookEndpointId,
    filter: &SentFilter,
    page: PageRequest,
) -> Result<Page<Sent>> {
    use webhook_delivery::Column;
    require_admin(actor)?;
    let connection = deps.db.read();
    if store::endpoint(connection, &actor.project_id, endpoint_id).await?.is_none() {
        return no_such_endpoint();
    }
    let mut find = webhook_delivery::Entity::find()
        .filter(Column::ProjectId.eq(actor.project_id.clone()))
        .filter(Column::EndpointId.eq(endpoint_id));
    if !filter.states.is_empty() {
        find = find.filter(Column::State.is_in(filter.states.iter().copied()));
    }
    if let Some(since) = filter.since {
        find = find.filter(Column::CreatedAt.gte(since));
    }
    if let Some(until) = filter.until {
        find = find.filter(Column::CreatedAt.lt(until));
    }
    let of = MessageFilter {
        event_types: filter.event_types.clone(),
        channel: filter.channel.clone(),
        ..MessageFilter::default()
    };
    if of != MessageFilter::default() {
        find = find.filter(Column::MessageId.in_subquery(ids(actor, &of)));
    }
    let limit = page.limit.min(MAX_PAGE);
    let find = store::in_order(find, Column::CreatedAt, Column::Id, page.after, Order::Desc);
    let deliveries = Page::of(find.limit(limit + 1).all(connection).await?, limit, Delivery::of);
    let ids: Vec<_> = deliveries.items.iter().map(|delivery| delivery.message_id).collect();
    let mut messages: BTreeMap<_, _> =
        messages_by_ids(deps, actor, &ids).await?.into_iter().map(|message| (message.id, message)).collect();
    let items = deliveries.items.into_iter().filter_map(|delivery| {
        let message = messages.remove(&delivery.message_id)?;
        Some(Sent { message, delivery })
    });
    Ok(Page { items: items.collect(), has_more: deliveries.has_more })
}
