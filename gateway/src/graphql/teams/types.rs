//! Teams, as the schema shows them.

use async_graphql::{Context, ID};
use postern_domain::{
    items::Customer,
    teams::{MemberProfile, Team},
};
use postern_gateway_macros::guarded;
use serde_json::Value;

use crate::graphql::{
    connection::{Connection, connection_of, page_cost},
    error::Result,
    items::types::ItemObject,
    loaders::Loaders,
    scalars::{DateTime, IntoId, json},
    users::types::UserObject,
};

/// A team of the project.
pub(crate) struct TeamObject(pub(crate) Team);

/// A team: users who belong together. A client sees the teams its user belongs to.
#[guarded(CLIENT, graphql(name = "Team"))]
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
