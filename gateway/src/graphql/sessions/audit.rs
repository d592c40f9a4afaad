//! Who did what, for administrators.

use std::sync::Arc;

use async_graphql::{Context, ID};
use postern_domain::events::{self, AuditFilter, LoggedEvent};
use postern_gateway_macros::guarded;
use serde_json::Value;

use crate::graphql::{
    connection::{Connection, page_cost, page_size},
    error::Result,
    events::types::{cursor, kinds, position},
    loaders::Loaders,
    scalars::{DateTime, IntoId, parse_id},
    schema::{actor, deps},
    users::types::UserObject,
};

/// Queries of the audit log.
#[derive(Default)]
pub(crate) struct AuditQuery;

#[guarded(root)]
impl AuditQuery {
    /// Sign-ins and failures, changes of factors, impersonation, the use of keys and administration, newest first. Kept for 90
    /// days.
    #[access(ADMIN)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn audit_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
        #[graphql(desc = "Only entries of these types.")] types: Option<Vec<String>>,
        #[graphql(desc = "Only entries about this user.")] user_id: Option<ID>,
    ) -> Result<Option<Connection<AuditEventObject>>> {
        let size = page_size(first)?;
        let before = position(after.as_deref())?;
        let user_id = user_id.map(|id| parse_id(&id, "userId")).transpose()?;
        let filter = AuditFilter { kinds: kinds(types.as_deref())?, user_id };
        let page = events::audit_log(deps(ctx)?, actor(ctx)?, before, &filter, size.max(1)).await?;
        let taken = page.events.into_iter().take(usize::try_from(size).unwrap_or(usize::MAX));
        let edges: Result<Vec<_>> =
            taken.map(|event| Ok((cursor(event.position)?, AuditEventObject(Arc::new(event))))).collect();
        Ok(Some(Connection::new(edges?, page.has_more, before.is_some())))
    }
}

/// An entry of the audit log.
pub(crate) struct AuditEventObject(Arc<LoggedEvent>);

impl AuditEventObject {
    fn told(&self, name: &str) -> Option<&str> {
        self.0.payload.as_ref()?.get(name)?.as_str()
    }
}

/// Something that somebody did.
#[guarded(ADMIN, graphql(name = "AuditEvent"))]
impl AuditEventObject {
    /// What was done, such as `sign_in.failed`.
    #[access(ADMIN)]
    #[graphql(name = "type")]
    fn kind(&self) -> &str {
        self.0.kind.as_str()
    }

    /// When.
    #[access(ADMIN)]
    fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// Who did it: level, and user, API key or owner of the project; none where nobody is known.
    #[access(ADMIN)]
    fn actor(&self) -> Option<&Value> {
        self.0.payload.as_ref()?.get("actor").filter(|actor| !actor.is_null())
    }

    /// From which address, where that is told.
    #[access(ADMIN)]
    fn address(&self) -> Option<&str> {
        self.told("address")
    }

    /// What the caller's program calls itself.
    #[access(ADMIN)]
    fn user_agent(&self) -> Option<&str> {
        self.told("user_agent")
    }

    /// The country of the address, as ISO 3166-1 alpha-2, where a proxy tells it.
    #[access(ADMIN)]
    fn country(&self) -> Option<&str> {
        self.told("country")
    }

    /// The id of the user that it is about.
    #[access(ADMIN)]
    fn user_id(&self) -> Option<ID> {
        self.0.user_id.map(IntoId::into_id)
    }

    /// The user that it is about, as it is now; none if it was deleted since.
    #[access(ADMIN)]
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<UserObject>> {
        let Some(id) = self.0.user_id else { return Ok(None) };
        Ok(Loaders::of(ctx)?.user(id).await?.map(UserObject))
    }

    /// All that is told of it; erased once the user is deleted.
    #[access(ADMIN)]
    fn payload(&self) -> Option<&Value> {
        self.0.payload.as_ref()
    }
}
