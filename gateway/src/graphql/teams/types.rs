//! Teams, as the schema shows them.

use async_graphql::{Context, ID};
use postern_domain::{
    Timestamp,
    items::Customer,
    teams::{MemberPage, MemberProfile, Position, Team},
};
use postern_gateway_macros::guarded;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::graphql::{
    connection::{Connection, connection_of, decode_cursor, encode_cursor, page_cost, page_size},
    error::Result,
    federation::key,
    items::types::ItemObject,
    loaders::Loaders,
    scalars::{DateTime, IntoId, json},
    users::types::UserObject,
};

/// A team of the project.
pub(crate) struct TeamObject(pub(crate) Team);

/// A team: users who belong together. A client sees the teams its user belongs to.
#[guarded(CLIENT, team = self.0.id, graphql(name = "Team", directive = key::apply("id".to_owned())))]
impl TeamObject {
    /// The id of the team, the same as over REST.
    #[access(CLIENT)]
    pub(crate) async fn id(&self) -> ID {
        self.0.id.into_id()
    }

    /// The name to show; may be empty.
    #[access(CLIENT)]
    fn display_name(&self) -> &str {
        &self.0.display_name
    }

    /// URL of the picture.
    #[access(CLIENT)]
    fn profile_image_url(&self) -> Option<&str> {
        self.0.profile_image_url.as_deref()
    }

    /// Data that members and servers read and write.
    #[access(CLIENT)]
    fn client_metadata(&self) -> Option<&Value> {
        json(&self.0.client_metadata)
    }

    /// Data that members read and servers write.
    #[access(CLIENT)]
    fn client_read_only_metadata(&self) -> Option<&Value> {
        json(&self.0.client_read_only_metadata)
    }

    /// Data that only servers read and write.
    #[access(SERVER)]
    fn server_metadata(&self) -> Option<&Value> {
        json(&self.0.server_metadata)
    }

    /// When the team was made.
    #[access(CLIENT)]
    fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// The members by the time of joining, as the team sees them.
    #[access(CLIENT, permission = "$read_members")]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn members(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<Option<Connection<TeamMemberObject>>> {
        let place = MemberPlace::read(first, after.as_deref())?;
        let page = Loaders::of(ctx)?.members_of(self.0.id, place.after, place.size).await?;
        Ok(Some(place.connection(page)?))
    }

    /// What the team has of each item for teams, by key. A client needs `team_admin` there.
    #[access(CLIENT)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn items(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<Option<Connection<ItemObject>>> {
        let items = Loaders::of(ctx)?.items_of(Customer::team(self.0.id)).await?;
        connection_of(items, first, after.as_deref(), |item| item.id.clone(), ItemObject).map(Some)
    }
}

/// A member of a team.
pub(crate) struct TeamMemberObject(pub(crate) MemberProfile);

/// A member of a team, as the team sees it. A client sees the members of teams in which it holds `$read_members`.
#[guarded(CLIENT, graphql(name = "TeamMember"))]
impl TeamMemberObject {
    /// The team.
    #[access(CLIENT)]
    fn team_id(&self) -> ID {
        self.0.team_id.into_id()
    }

    /// The user.
    #[access(CLIENT)]
    fn user_id(&self) -> ID {
        self.0.user_id.into_id()
    }

    /// The name in the team; where none is set, that of the user.
    #[access(CLIENT)]
    fn display_name(&self) -> Option<&str> {
        self.0.display_name.as_deref()
    }

    /// URL of the picture in the team; where none is set, that of the user.
    #[access(CLIENT)]
    fn profile_image_url(&self) -> Option<&str> {
        self.0.profile_image_url.as_deref()
    }

    /// The user with all that servers know of it.
    #[access(SERVER)]
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<UserObject>> {
        Ok(Loaders::of(ctx)?.user(self.0.user_id).await?.map(UserObject))
    }
}

/// Where a page of members begins, and how long it may be.
pub(crate) struct MemberPlace {
    pub(crate) after: Option<Position>,
    pub(crate) size: u64,
}

impl MemberPlace {
    /// Reads the arguments of a list of members.
    ///
    /// # Errors
    /// `BAD_USER_INPUT`.
    pub(crate) fn read(first: Option<i32>, after: Option<&str>) -> Result<Self> {
        let after = after.map(decode_cursor::<Place>).transpose()?.map(Into::into);
        Ok(Self { after, size: page_size(first)? })
    }

    /// The page that was found there.
    ///
    /// # Errors
    /// Internal only.
    pub(crate) fn connection(&self, (found, has_more): MemberPage) -> Result<Connection<TeamMemberObject>> {
        let edge = |(Position { at, id }, profile)| Ok((encode_cursor(&Place { at, id })?, TeamMemberObject(profile)));
        let edges: Result<Vec<_>> = found.into_iter().map(edge).collect();
        Ok(Connection::new(edges?, has_more, self.after.is_some()))
    }
}

/// What the cursors of teams and members hold.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Place {
    #[serde(rename = "t")]
    pub(crate) at: Timestamp,
    #[serde(rename = "i")]
    pub(crate) id: Uuid,
}

impl From<Place> for Position {
    fn from(Place { at, id }: Place) -> Self {
        Self { at, id }
    }
}
