//! Reading attempts.

use postern_entity::{
    Timestamp, WebhookAttemptId, WebhookEndpointId, WebhookMessageId,
    webhook_attempt::{self, AttemptTrigger, Column},
};
use sea_orm::{ColumnTrait, EntityTrait, Order, QueryFilter, QuerySelect, Select, sea_query::Expr};

use super::{
    MAX_PAGE, MessageFilter, Page, PageRequest, Place, message,
    post::{CONTENT_TYPE, USER_AGENT},
    require_admin, store, wire_message_id,
};
use crate::{
    Deps, Result,
    actor::Actor,
    db::statement,
    error::{Failure, refuse},
};

/// The most attempts per message that [`attempts_of`] answers.
pub const NEWEST_ATTEMPTS: u64 = 20;

/// An attempt as the endpoint's owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The attempt.
    pub id: WebhookAttemptId,
    /// What was sent.
    pub message_id: WebhookMessageId,
    /// Where to.
    pub endpoint_id: WebhookEndpointId,
    /// The endpoint's URL at that moment.
    pub url: String,
    /// Who wanted it.
    pub trigger: AttemptTrigger,
    /// Whether the endpoint took it.
    pub succeeded: bool,
    /// HTTP status of the answer; 0 when none came.
    pub response_status: i32,
    /// The beginning of the answer's body, at most 20,000 bytes; none when no answer came.
    pub response_body: Option<Vec<u8>>,
    /// Why no answer came.
    pub error: Option<String>,
    /// From connecting to the end of what was read, in milliseconds.
    pub duration_ms: i32,
    /// When it began.
    pub attempted_at: Timestamp,
    /// When the next scheduled attempt was to follow.
    pub next_attempt_at: Option<Timestamp>,
}

impl Attempt {
    /// Where it stands in [`attempts`].
    #[must_use]
    pub fn place(&self) -> Place {
        Place { at: self.attempted_at, id: self.id.0 }
    }

    /// What it came to.
    #[must_use]
    pub fn outcome(&self) -> AttemptOutcome {
        match (self.succeeded, self.next_attempt_at) {
            (true, _) => AttemptOutcome::Succeeded,
            (false, Some(_)) => AttemptOutcome::Retried,
            (false, None) => AttemptOutcome::Failed,
        }
    }

    /// The headers that were sent, as far as they are the same for everybody: without signatures and the owner's own.
    #[must_use]
    pub fn request_headers(&self) -> Vec<(&'static str, String)> {
        vec![
            ("content-type", CONTENT_TYPE.to_owned()),
            ("user-agent", USER_AGENT.to_owned()),
            ("webhook-id", wire_message_id(self.message_id)),
            ("webhook-timestamp", self.attempted_at.seconds().to_string()),
        ]
    }

    fn of(row: webhook_attempt::Model) -> Self {
        Self {
            id: row.id,
            message_id: row.message_id,
            endpoint_id: row.endpoint_id,
            url: row.url,
            trigger: row.trigger_type,
            succeeded: row.succeeded,
            response_status: row.response_status,
            response_body: row.response_body,
            error: row.error,
            duration_ms: row.duration_ms,
            attempted_at: row.attempted_at,
            next_attempt_at: row.next_attempt_at,
        }
    }
}

/// Whose attempts are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptsOf {
    /// On this endpoint; it may be deleted.
    Endpoint(WebhookEndpointId),
    /// Of this message.
    Message(WebhookMessageId),
    /// Of this message to this endpoint.
    Delivery(WebhookMessageId, WebhookEndpointId),
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The endpoint took the message.
    Succeeded,
    /// It did not, and another attempt was to follow.
    Retried,
    /// It did not, and no other one was to follow.
    Failed,
}

/// Which attempts are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttemptFilter {
    /// That came to this.
    pub outcome: Option<AttemptOutcome>,
    /// Whose answer has a status of this hundred: 2 for 200 to 299; 0 for those without an answer.
    pub status_class: Option<u8>,
    /// Of messages of these types; empty means any.
    pub event_types: Vec<String>,
    /// Of messages on this channel.
    pub channel: Option<String>,
    /// Begun at or after.
    pub since: Option<Timestamp>,
    /// Begun before.
    pub until: Option<Timestamp>,
}

impl AttemptFilter {
    fn apply(&self, actor: &Actor, mut find: Select<webhook_attempt::Entity>) -> Select<webhook_attempt::Entity> {
        find = match self.outcome {
            None => find,
            Some(AttemptOutcome::Succeeded) => find.filter(Column::Succeeded.eq(true)),
            Some(AttemptOutcome::Retried) => {
                find.filter(Column::Succeeded.eq(false)).filter(Column::NextAttemptAt.is_not_null())
            }
            Some(AttemptOutcome::Failed) => {
                find.filter(Column::Succeeded.eq(false)).filter(Column::NextAttemptAt.is_null())
            }
        };
        if let Some(class) = self.status_class {
            let first = i32::from(class) * 100;
            find = find.filter(Column::ResponseStatus.between(first, first + 99));
        }
        if let Some(since) = self.since {
            find = find.filter(Column::AttemptedAt.gte(since));
        }
        if let Some(until) = self.until {
            find = find.filter(Column::AttemptedAt.lt(until));
        }
        let messages = MessageFilter {
            event_types: self.event_types.clone(),
            channel: self.channel.clone(),
            ..MessageFilter::default()
        };
        if messages == MessageFilter::default() {
            return find;
        }
        find.filter(Column::MessageId.in_subquery(message::ids(actor, &messages)))
    }
}

/// Attempts, newest first.
///
/// # Errors
/// Access; internal.
#[crate::boxed]
pub async fn attempts(
    deps: &Deps,
    actor: &Actor,
    of: AttemptsOf,
    filter: &AttemptFilter,
    page: PageRequest,
) -> Result<Page<Attempt>> {
    require_admin(actor)?;
    let find = webhook_attempt::Entity::find().filter(Column::ProjectId.eq(actor.project_id.clone()));
    let find = match of {
        AttemptsOf::Endpoint(endpoint_id) => find.filter(Column::EndpointId.eq(endpoint_id)),
        AttemptsOf::Message(message_id) => find.filter(Column::MessageId.eq(message_id)),
        AttemptsOf::Delivery(message_id, endpoint_id) => {
            find.filter(Column::MessageId.eq(message_id)).filter(Column::EndpointId.eq(endpoint_id))
        }
    };
    let limit = page.limit.min(MAX_PAGE);
    let find = store::in_order(filter.apply(actor, find), Column::AttemptedAt, Column::Id, page.after, Order::Desc);
    let rows = find.limit(limit + 1).all(deps.db.read()).await?;
    Ok(Page::of(rows, limit, Attempt::of))
}

/// One attempt to deliver this message.
///
/// # Errors
/// Not found, access; internal.
#[crate::boxed]
pub async fn attempt(
    deps: &Deps,
    actor: &Actor,
    message_id: WebhookMessageId,
    id: WebhookAttemptId,
) -> Result<Attempt> {
    require_admin(actor)?;
    let find = webhook_attempt::Entity::find_by_id(id)
        .filter(Column::ProjectId.eq(actor.project_id.clone()))
        .filter(Column::MessageId.eq(message_id));
    match find.one(deps.db.read()).await? {
        Some(row) => Ok(Attempt::of(row)),
        None => no_such_attempt(),
    }
}

/// Forgets what the endpoint answered to an attempt: it may hold what is nobody's business any more.
///
/// # Errors
/// Not found, access; internal.
#[crate::boxed]
pub async fn expunge_response(
    deps: &Deps,
    actor: &Actor,
    message_id: WebhookMessageId,
    id: WebhookAttemptId,
) -> Result<()> {
    require_admin(actor)?;
    deps.mutate(actor, "expungeWebhookResponse", |tx| async move {
        let update = webhook_attempt::Entity::update_many()
            .col_expr(Column::ResponseBody, Expr::value(None::<Vec<u8>>))
            .filter(Column::Id.eq(id))
            .filter(Column::ProjectId.eq(actor.project_id.clone()))
            .filter(Column::MessageId.eq(message_id));
        if update.exec(&*tx).await?.rows_affected == 0 { no_such_attempt() } else { Ok(()) }
    })
    .await
}

fn no_such_attempt<T>() -> Result<T> {
    refuse(Failure::not_found("There is no such attempt to deliver this message."))
}

/// The newest attempts of each of these messages, at most [`NEWEST_ATTEMPTS`] per message, newest first. One
/// query for a whole page of messages.
///
/// # Errors
/// Access; internal.
#[crate::boxed]
pub async fn attempts_of(deps: &Deps, actor: &Actor, message_ids: &[WebhookMessageId]) -> Result<Vec<Attempt>> {
    require_admin(actor)?;
    if message_ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY message_id \
         ORDER BY attempted_at DESC, id DESC) AS nth FROM webhook_attempt \
         WHERE project_id = $1 AND message_id IN ({})) AS numbered \
         WHERE nth <= {NEWEST_ATTEMPTS} ORDER BY attempted_at DESC, id DESC",
        (0..message_ids.len()).map(|index| format!("${}", index + 2)).collect::<Vec<_>>().join(",")
    );
    let mut values: Vec<sea_orm::Value> = vec![actor.project_id.0.clone().into()];
    values.extend(message_ids.iter().map(|id| id.0.into()));
    let connection = deps.db.read();
    let find = webhook_attempt::Entity::find().from_raw_sql(statement(connection, &sql, values));
    Ok(find.all(connection).await?.into_iter().map(Attempt::of).collect())
}
