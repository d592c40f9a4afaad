//! Reading users.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject};
use postern_domain::{
    Actor, Deps, Timestamp, UserId,
    users::{self, ListUsers, PageStart, User, UserOrder as Order, UserPosition},
};
use postern_gateway_macros::guarded;
use serde::{Deserialize, Serialize};

use super::types::UserObject;
use crate::graphql::{
    connection::{Connection, Count, decode_cursor, encode_cursor, page_cost, page_size},
    error::{Error, Result},
    scalars::parse_id,
    schema::{actor, deps},
};

/// Queries of users.
#[derive(Default)]
pub(crate) struct UserQuery;

#[guarded(root)]
impl UserQuery {
    /// The signed-in user.
    #[access(CLIENT, self, keys = USER)]
    async fn me(&self, ctx: &Context<'_>) -> Result<Option<UserObject>> {
        Ok(Some(UserObject(users::get_own(deps(ctx)?, actor(ctx)?).await?)))
    }

    /// A user by its id. A client sees its own user only.
    #[access(CLIENT, self, keys = USER)]
    async fn user(&self, ctx: &Context<'_>, id: ID) -> Result<Option<UserObject>> {
        Ok(Some(UserObject(users::get(deps(ctx)?, actor(ctx)?, parse_id(&id, "id")?).await?)))
    }

    /// The users of the project. Without a filter those who are neither anonymous nor restricted.
    #[access(SERVER)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
        #[graphql(desc = "Which users.")] filter: Option<UserFilter>,
        #[graphql(desc = "By what; ties by id.", default_with = "UserOrder::SignedUpAt")] order_by: UserOrder,
        #[graphql(desc = "The other way round.", default)] descending: bool,
    ) -> Result<Option<Connection<UserObject>>> {
        let filter = filter.unwrap_or_default();
        let list = filter.into_list(order_by.into(), descending, after.as_deref(), page_size(first)?)?;
        Ok(Some(page(deps(ctx)?, actor(ctx)?, list).await?))
    }
}

/// A page of `list`, whose `limit` may be 0: then only the rest is of interest.
async fn page(deps: &Arc<Deps>, actor: &Actor, mut list: ListUsers) -> Result<Connection<UserObject>> {
    let size = usize::try_from(list.limit.unwrap_or_default()).unwrap_or(usize::MAX);
    list.limit = list.limit.map(|limit| limit.max(1));
    let found = users::list(deps, actor, &list).await?;
    let has_next_page = found.next.is_some() || found.users.len() > size;
    let edges: Result<Vec<_>> = found.users.into_iter().take(size).map(|user| edge(&list, user)).collect();
    let has_previous_page = list.start != PageStart::Beginning;
    let (deps, actor) = (deps.clone(), actor.clone());
    let count: Count = Box::new(move || {
        let (deps, actor, list) = (deps.clone(), actor.clone(), list.clone());
        Box::pin(async move { users::count(&deps, &actor, &list).await })
    });
    Ok(Connection::new(edges?, has_next_page, has_previous_page).counted(count))
}

fn edge(list: &ListUsers, user: User) -> Result<(String, UserObject)> {
    let UserPosition { at, id } = list.order_by.position(&user);
    Ok((encode_cursor(&Place { order: list.order_by.into(), at, id })?, UserObject(user)))
}

/// What a cursor of this list holds.
#[derive(Serialize, Deserialize)]
struct Place {
    #[serde(rename = "o")]
    order: UserOrder,
    #[serde(rename = "t")]
    at: Timestamp,
    #[serde(rename = "u")]
    id: UserId,
}

/// Which users to list.
#[derive(Default, InputObject)]
pub(crate) struct UserFilter {
    /// Only members of this team.
    team_id: Option<ID>,
    /// Part of the display name or of any of the user's addresses, or exactly an id; upper and lower case are alike.
    query: Option<String>,
    /// Also restricted users that are not anonymous.
    #[graphql(default)]
    include_restricted: bool,
    /// Everybody.
    #[graphql(default)]
    include_anonymous: bool,
    /// Only anonymous users; needs `includeAnonymous`.
    #[graphql(default)]
    only_anonymous: bool,
}

impl UserFilter {
    fn into_list(self, order_by: Order, descending: bool, after: Option<&str>, size: u64) -> Result<ListUsers> {
        let start = match after.map(decode_cursor::<Place>).transpose()? {
            None => PageStart::Beginning,
            Some(place) if Order::from(place.order) == order_by => {
                PageStart::After(UserPosition { at: place.at, id: place.id })
            }
            Some(_) => return Err(Error::bad_input("`after` comes from a list in another order.")),
        };
        Ok(ListUsers {
            team_id: self.team_id.map(|id| parse_id(&id, "filter.teamId")).transpose()?,
            query: self.query,
            include_restricted: self.include_restricted,
            include_anonymous: self.include_anonymous,
            only_anonymous: self.only_anonymous,
            order_by,
            descending,
            start,
            limit: Some(size),
        })
    }
}

/// By what users are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize, Deserialize)]
#[graphql(remote = "Order")]
pub(crate) enum UserOrder {
    /// When they signed up.
    SignedUpAt,
    /// When they were last active.
    LastActiveAt,
}
