//! Finding users: filters, search, order, and pages.

use postern_entity::{contact_channel, team_membership, user};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, Order, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select,
    sea_query::{Expr, ExprTrait, Query, SelectStatement},
};

use super::{
    User,
    channels::EMAIL,
    search::Search,
    store::{self, Loaded},
};
use crate::{
    Actor, Deps, Failure, ProjectId, TeamId, Timestamp, UserId,
    db::{beside_key, constant, finds_at_least},
    error::{Result, refuse},
    projects::{self, ProjectConfig},
    validation::Violations,
};

/// The longest search text, in characters: that of the longest thing it can find.
pub const MAX_QUERY_CHARS: usize = crate::email_address::MAX_CHARS;

/// From so many members of a team on, SQLite walks users in order.
const MANY_MEMBERS: u64 = 5_000;

/// What the primary address is called in the condition that it is verified.
const VERIFIED: &str = "verified_channel";

/// Which users to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListUsers {
    /// Only members of this team; an unknown team has none.
    pub team_id: Option<TeamId>,
    /// Case-insensitive part of the display name or of any address, or exactly an id. Empty is ignored.
    pub query: Option<String>,
    /// Also restricted users that are not anonymous.
    pub include_restricted: bool,
    /// Everybody.
    pub include_anonymous: bool,
    /// Only anonymous users; only together with `include_anonymous`.
    pub only_anonymous: bool,
    /// By what.
    pub order_by: UserOrder,
    /// The other way round, ties included.
    pub descending: bool,
    /// Where the page begins.
    pub start: PageStart,
    /// At least 1; without it everything that is left.
    pub limit: Option<u64>,
}

/// By what users are ordered; ties by id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserOrder {
    /// Sign-up.
    #[default]
    SignedUpAt,
    /// Last activity.
    LastActiveAt,
}

impl UserOrder {
    fn column(self) -> user::Column {
        match self {
            Self::SignedUpAt => user::Column::SignedUpAt,
            Self::LastActiveAt => user::Column::LastActiveAt,
        }
    }

    /// Where the user stands in this order.
    #[must_use]
    pub fn position(self, user: &User) -> UserPosition {
        let at = match self {
            Self::SignedUpAt => user.signed_up_at,
            Self::LastActiveAt => user.last_active_at,
        };
        UserPosition { at, id: user.id }
    }
}

/// Where a user stands in an order. Stays meaningful when the user is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserPosition {
    /// The instant ordered by.
    pub at: Timestamp,
    /// The user.
    pub id: UserId,
}

/// Where a page begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PageStart {
    /// At the first user.
    #[default]
    Beginning,
    /// At this user, whom the page contains.
    At(UserId),
    /// Behind this position.
    After(UserPosition),
}

/// One page.
#[derive(Clone, Debug, PartialEq)]
pub struct UserPage {
    /// In the asked order.
    pub users: Vec<User>,
    /// The first user of the next page; none at the end.
    pub next: Option<UserId>,
}

/// Users of the project, for servers. One statement; one more for a page that begins at a user, one for a search text, and on
/// SQLite one for a team.
///
/// # Errors
/// `FORBIDDEN` for clients; `SCHEMA_ERROR`; `BAD_REQUEST` for `only_anonymous` alone and for a start that is no user.
#[crate::boxed]
pub async fn list(deps: &Deps, actor: &Actor, input: &ListUsers) -> Result<UserPage> {
    let (connection, config) = (deps.db.read(), &*check(deps, actor, input).await?);
    let ways = Ways {
        search: match search(connection, &actor.project_id, input) {
            Some(search) if search.finds_many(connection).await? => Way::Walk,
            _ => Way::LookUp,
        },
        team: way_of_team(connection, &actor.project_id, input, MANY_MEMBERS).await?,
    };
    let mut select = page(connection, &actor.project_id, config, input, ways);
    match input.start {
        PageStart::Beginning => {}
        PageStart::At(id) => {
            let at = position_of(deps, &actor.project_id, input.order_by, id).await?;
            select = select.filter(from(input, UserPosition { at, id }, true));
        }
        PageStart::After(position) => select = select.filter(from(input, position, false)),
    }
    // One more than asked for, to know the first user of the next page.
    let limit = input.limit.map(|limit| Ord::min(limit, u64::from(u32::MAX)));
    if let Some(limit) = limit {
        select = select.limit(limit + 1);
    }
    let mut rows: Vec<Loaded> = select.into_model().all(connection).await?;
    let next = match limit {
        Some(limit) => rows.split_off(rows.len().min(usize::try_from(limit).unwrap_or(usize::MAX))).into_iter().next(),
        None => None,
    };
    Ok(UserPage {
        users: rows.into_iter().map(|loaded| loaded.into_user(config)).collect(),
        next: next.map(|loaded| loaded.row.id),
    })
}

/// How users of whom something is asked are found for a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Way {
    /// Those who are asked for are looked up and put in order, which takes long when they are many.
    #[default]
    LookUp,
    /// All users are walked in order, which soon fills a page when many are asked for.
    Walk,
}

/// How a page is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ways {
    /// Whom a text finds.
    pub(super) search: Way,
    /// Who belongs to a team.
    pub(super) team: Way,
}

/// How the users of the team asked for are best found. PostgreSQL decides that by its statistics; SQLite has none.
pub(super) async fn way_of_team(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    input: &ListUsers,
    many: u64,
) -> Result<Way> {
    let Some(team_id) = input.team_id.filter(|_| connection.get_database_backend() == DbBackend::Sqlite) else {
        return Ok(Way::LookUp);
    };
    let is_many = finds_at_least(connection, members(project_id, team_id), many).await?;
    Ok(if is_many { Way::Walk } else { Way::LookUp })
}

/// The users asked for in the order asked for, wherever the page begins and ends.
pub(super) fn page(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    config: &ProjectConfig,
    input: &ListUsers,
    ways: Ways,
) -> Select<user::Entity> {
    let order = if input.descending { Order::Desc } else { Order::Asc };
    store::loaded(connection.get_database_backend(), filters(connection, project_id, config, input, ways))
        .order_by(input.order_by.column(), order.clone())
        .order_by(user::Column::Id, order)
}

/// How many users there are, whatever the page.
///
/// # Errors
/// Those of [`list`].
#[crate::boxed]
pub async fn count(deps: &Deps, actor: &Actor, input: &ListUsers) -> Result<u64> {
    let config = check(deps, actor, input).await?;
    let filters = filters(deps.db.read(), &actor.project_id, &config, input, Ways::default());
    Ok(user::Entity::find().select_only().column(user::Column::Id).filter(filters).count(deps.db.read()).await?)
}

async fn check(deps: &Deps, actor: &Actor, input: &ListUsers) -> Result<std::sync::Arc<ProjectConfig>> {
    if !actor.is_server() {
        return refuse(Failure::forbidden("Only servers can list users."));
    }
    let mut violations = Violations::default();
    if let Some(query) = &input.query {
        violations.text("query", query, MAX_QUERY_CHARS);
    }
    violations.require(input.limit != Some(0), "limit", "must be at least 1");
    violations.finish()?;
    if input.only_anonymous && !input.include_anonymous {
        return refuse(Failure::bad_request("only_anonymous needs include_anonymous."));
    }
    projects::config(deps, &actor.project_id).await
}

async fn position_of(deps: &Deps, project_id: &ProjectId, order: UserOrder, id: UserId) -> Result<Timestamp> {
    let at = user::Entity::find()
        .select_only()
        .column(order.column())
        .filter(user::Column::ProjectId.eq(project_id.clone()))
        .filter(user::Column::Id.eq(id))
        .into_tuple()
        .one(deps.db.read())
        .await?;
    match at {
        Some(at) => Ok(at),
        // An empty page would look like the end of the list.
        None => refuse(Failure::bad_request("cursor: there is no such user (any more); start again without it.")),
    }
}

/// From a position on, in the order of the page.
pub(super) fn from(input: &ListUsers, position: UserPosition, inclusive: bool) -> Expr {
    let columns =
        Expr::tuple([Expr::col((user::Entity, input.order_by.column())), Expr::col((user::Entity, user::Column::Id))]);
    let position = Expr::tuple([position.at.into(), position.id.into()]);
    match (input.descending, inclusive) {
        (false, true) => columns.gte(position),
        (false, false) => columns.gt(position),
        (true, true) => columns.lte(position),
        (true, false) => columns.lt(position),
    }
}

/// The text to find, if there is one.
fn search(connection: &impl ConnectionTrait, project_id: &ProjectId, input: &ListUsers) -> Option<Search> {
    let query = input.query.as_deref().filter(|query| !query.is_empty())?;
    Some(Search::new(connection, project_id, query))
}

/// Who is listed: of the project, shown, found by the text and of the team.
fn filters(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    config: &ProjectConfig,
    input: &ListUsers,
    ways: Ways,
) -> Condition {
    let mut condition = visible(config, input);
    let mut way = Way::Walk;
    if let Some(search) = search(connection, project_id, input) {
        let found = match ways.search {
            Way::LookUp => search.by_index(),
            Way::Walk => search.one_by_one(),
        };
        condition = condition.add(found);
        way = ways.search;
    }
    if let Some(team_id) = input.team_id {
        let mut members = members(project_id, team_id);
        condition = match ways.team {
            Way::LookUp => {
                way = Way::LookUp;
                condition.add(user::Column::Id.in_subquery(members))
            }
            Way::Walk => {
                let of_members = (team_membership::Entity, team_membership::Column::UserId);
                members.and_where(Expr::col(of_members).equals((user::Entity, user::Column::Id)));
                condition.add(Expr::exists(members))
            }
        };
    }
    condition.add(match way {
        Way::LookUp => beside_key(connection, user::Column::ProjectId, project_id),
        Way::Walk => user::Column::ProjectId.eq(project_id.clone()),
    })
}

/// The ids of the members of a team.
fn members(project_id: &ProjectId, team_id: TeamId) -> SelectStatement {
    team_membership::Entity::find()
        .select_only()
        .column(team_membership::Column::UserId)
        .filter(team_membership::Column::ProjectId.eq(project_id.clone()))
        .filter(team_membership::Column::TeamId.eq(team_id))
        .into_query()
}

/// Who is shown, by the flags (wire/users-teams-permissions.md §1.2).
fn visible(config: &ProjectConfig, input: &ListUsers) -> Condition {
    let mut condition = Condition::all();
    if input.only_anonymous {
        condition = condition.add(user::Column::IsAnonymous.eq(true));
    } else if !input.include_anonymous {
        condition = condition.add(user::Column::IsAnonymous.eq(false));
        if !input.include_restricted {
            condition = condition.add(user::Column::RestrictedByAdmin.eq(false));
            if config.onboarding.require_email_verification {
                condition = condition.add(Expr::exists(verified_primary_email()));
            }
        }
    }
    condition
}

pub(super) fn verified_primary_email() -> SelectStatement {
    // Under a name of its own: the statement around it may join the same table.
    let own = |column| Expr::col((VERIFIED, column));
    Query::select()
        .expr(Expr::val(1))
        .from_as(contact_channel::Entity, VERIFIED)
        .and_where(own(contact_channel::Column::UserId).equals((user::Entity, user::Column::Id)))
        .and_where(own(contact_channel::Column::Kind).eq(constant(EMAIL)))
        .and_where(own(contact_channel::Column::IsPrimary).eq(constant(true)))
        .and_where(own(contact_channel::Column::IsVerified).eq(true))
        .to_owned()
}
