//! Reading attempts.

use postern_entity::{
    Timestamp, WebhookAttemptId, WebhookEndpointId, WebhookMessageId,
    webhook_attempt::{self, AttemptTrigger, Column},
};
use sea_orm::{ColumnTrait, EntityTrait, Order, QueryFilter, QuerySelect};

use super::{MAX_PAGE, Page, PageRequest, Place, require_admin, store};
use crate::{Deps, Result, actor::Actor, db::statement};

/// The most attempts per delivery that [`attempts_of`] answers: more than the schedule makes.
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

/// Attempts, newest first; all, or only those that succeeded or failed.
///
/// # Errors
/// Access; internal.
#[crate::boxed]
pub async fn attempts(
    deps: &Deps,
    actor: &Actor,
    of: AttemptsOf,
    succeeded: Option<bool>,
    page: PageRequest,
) -> Result<Page<Attempt>> {
    require_admin(actor)?;
    let find = webhook_attempt::Entity::find().filter(Column::ProjectId.eq(actor.project_id.clone()));
    let mut find = match of {
        AttemptsOf::Endpoint(endpoint_id) => find.filter(Column::EndpointId.eq(endpoint_id)),
        AttemptsOf::Message(message_id) => find.filter(Column::MessageId.eq(message_id)),
        AttemptsOf::Delivery(message_id, endpoint_id) => {
            find.filter(Column::MessageId.eq(message_id)).filter(Column::EndpointId.eq(endpoint_id))
        }
    };
    if let Some(succeeded) = succeeded {
        find = find.filter(Column::Succeeded.eq(succeeded));
    }
    let limit = page.limit.min(MAX_PAGE);
    let find = store::in_order(find, Column::AttemptedAt, Column::Id, page.after, Order::Desc);
    let rows = find.limit(limit + 1).all(deps.db.read()).await?;
    Ok(Page::of(rows, limit, Attempt::of))
}

/// The newest attempts of each delivery of these messages, at most [`NEWEST_ATTEMPTS`] per delivery, newest first. One
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
        "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY message_id, endpoint_id \
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
