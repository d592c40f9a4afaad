//! Events, as the schema shows them.

use std::sync::Arc;

use async_graphql::{Context, ID};
use postern_domain::{
    TeamId,
    events::{EventKind, LoggedEvent},
    teams,
};
use postern_gateway_macros::guarded;
use serde_json::Value;

use crate::graphql::{
    connection::{decode_cursor, encode_cursor},
    error::{Error, Result},
    loaders::Loaders,
    node::hides,
    scalars::{DateTime, IntoId, shown},
    schema::{actor, deps},
    teams::types::{TeamMemberObject, TeamObject},
    users::types::UserObject,
};

/// An entry of the log.
pub(crate) struct EventObject(pub(crate) Arc<LoggedEvent>);

/// Something that changed. A client sees that it happened, and the objects that it may see anyway.
#[guarded(CLIENT, owner = self.0.user_id, graphql(name = "Event"))]
impl EventObject {
    /// The place of the event in the log: `after` to go on behind it.
    #[access(CLIENT)]
    fn cursor(&self) -> Result<String> {
        cursor(self.0.position)
    }

    /// What happened, such as `user.created`.
    #[access(CLIENT)]
    #[graphql(name = "type")]
    fn kind(&self) -> &str {
        self.0.kind.as_str()
    }

    /// When it happened.
    #[access(CLIENT)]
    fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// The id of the user that the event is about.
    #[access(CLIENT, self)]
    fn user_id(&self) -> Option<ID> {
        self.0.user_id.map(IntoId::into_id)
    }

    /// The user that the event is about, as it is now; none if it was deleted since.
    #[access(CLIENT, self)]
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<UserObject>> {
        let Some(id) = self.0.user_id else { return Ok(None) };
        Ok(Loaders::of(ctx)?.user(id).await?.map(UserObject))
    }

    /// The id of the team that the event is about.
    #[access(SERVER)]
    fn team_id(&self) -> Option<ID> {
        self.0.team_id.map(IntoId::into_id)
    }

    /// What a server saw right after the change; erased once the user is deleted.
    #[access(SERVER)]
    fn payload(&self) -> Option<&Value> {
        self.0.payload.as_ref()
    }
}

/// An entry of the log about a team.
pub(crate) struct TeamEventObject {
    pub(crate) event: Arc<LoggedEvent>,
    pub(crate) team_id: TeamId,
}

/// Something that changed about a team, as its members see it.
#[guarded(CLIENT, team = self.team_id, graphql(name = "TeamEvent"))]
impl TeamEventObject {
    /// The place of the event in the log: `after` to go on behind it.
    #[access(CLIENT)]
    fn cursor(&self) -> Result<String> {
        cursor(self.event.position)
    }

    /// What happened, such as `team_membership.created`.
    #[access(CLIENT)]
    #[graphql(name = "type")]
    fn kind(&self) -> &str {
        self.event.kind.as_str()
    }

    /// When it happened.
    #[access(CLIENT)]
    fn created_at(&self) -> DateTime {
        self.event.created_at.into()
    }

    /// The id of the team.
    #[access(CLIENT)]
    fn team_id(&self) -> ID {
        self.team_id.into_id()
    }

    /// The team as it is now; none if it was deleted since.
    #[access(CLIENT)]
    async fn team(&self, ctx: &Context<'_>) -> Result<Option<TeamObject>> {
        Ok(Loaders::of(ctx)?.team(self.team_id).await?.map(TeamObject))
    }

    /// The id of the user that the event is about.
    #[access(CLIENT, permission = "$read_members")]
    async fn user_id(&self) -> Option<ID> {
        self.event.user_id.map(IntoId::into_id)
    }

    /// The same as a member of the team, as it is now; none if it is none, or no longer.
    #[access(CLIENT, permission = "$read_members")]
    async fn member(&self, ctx: &Context<'_>) -> Result<Option<TeamMemberObject>> {
        let Some(user_id) = self.event.user_id else { return Ok(None) };
        match teams::profile(deps(ctx)?, actor(ctx)?, self.team_id, user_id).await {
            Err(error) if hides(&error) => Ok(None),
            profile => Ok(Some(TeamMemberObject(profile?))),
        }
    }
}

/// A position of the log as a cursor.
///
/// # Errors
/// Internal only.
pub(crate) fn cursor(position: i64) -> Result<String> {
    encode_cursor(&position)
}

/// The position of a cursor.
///
/// # Errors
/// `BAD_USER_INPUT` for cursors that are none of ours.
pub(crate) fn position(cursor: Option<&str>) -> Result<Option<i64>> {
    cursor.map(decode_cursor).transpose()
}

/// Types of events by their names.
///
/// # Errors
/// `BAD_USER_INPUT` for names that no type has.
pub(crate) fn kinds(names: Option<&[String]>) -> Result<Vec<EventKind>> {
    let parse = |name: &String| {
        name.parse().map_err(|_| Error::bad_input(format!("`types`: there is no type of event {}.", shown(name))))
    };
    names.unwrap_or_default().iter().map(parse).collect()
}
