//! Finding users: filters, search, order, and pages.

use postern_entity::{contact_channel, team_membership, user};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Select,
    sea_query::{Expr, ExprTrait, LikeExpr, Query, SelectStatement},
};

use super::{
    User,
    channels::EMAIL,
    fold_for_search,
    store::{self, Loaded},
};
use crate::{
    Actor, Deps, Failure, ProjectId, TeamId, Timestamp, UserId,
    db::{beside_key, constant},
    error::{Result, refuse},
    projects::{self, ProjectConfig},
    validation::Violations,
};

/// The longest search text, in characters: that of the longest thing it can find.
pub const MAX_QUERY_CHARS: usize = crate::email_address::MAX_CHARS;
/// Shorter search texts match the beginning only: they would match nearly everything.
const MIN_SUBSTRING_CHARS: usize = 3;

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

/// Users of the project, for servers. One statement, two when the page begins at a user.
///
/// # Errors
/// `FORBIDDEN` for clients; `SCHEMA_ERROR`; `BAD_REQUEST` for `only_anonymous` alone and for a start that is no user.
pub async fn list(deps: &Deps, actor: &Actor, input: &ListUsers) -> Result<UserPage> {
    let (connection, config) = (deps.db.read(), &*check(deps, actor, input).await?);
    let mut select = page(connection, &actor.project_id, config, input);
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

/// The users asked for in the order asked for, wherever the page begins and ends.
pub(super) fn page(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    config: &ProjectConfig,
    input: &ListUsers,
) -> Select<user::Entity> {
    let order = if input.descending { Order::Desc } else { Order::Asc };
    store::loaded(filters(connection, project_id, config, input))
        .order_by(input.order_by.column(), order.clone())
        .order_by(user::Column::Id, order)
}

/// How many users there are, whatever the page.
///
/// # Errors
/// Those of [`list`].
pub async fn count(deps: &Deps, actor: &Actor, input: &ListUsers) -> Result<u64> {
    let config = check(deps, actor, input).await?;
    let filters = filters(deps.db.read(), &actor.project_id, &config, input);
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

/// Who is listed: of the project, shown, of the team and found.
fn filters(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    config: &ProjectConfig,
    input: &ListUsers,
) -> Condition {
    let mut condition = visible(config, input);
    if let Some(team_id) = input.team_id {
        let members = team_membership::Entity::find()
            .select_only()
            .column(team_membership::Column::UserId)
            .filter(team_membership::Column::ProjectId.eq(project_id.clone()))
            .filter(team_membership::Column::TeamId.eq(team_id))
            .into_query();
        condition = condition
            .add(beside_key(connection, user::Column::ProjectId, project_id))
            .add(user::Column::Id.in_subquery(members));
    } else {
        condition = condition.add(user::Column::ProjectId.eq(project_id.clone()));
    }
    match input.query.as_deref() {
        Some(query) if !query.is_empty() => condition.add(found(project_id, query)),
        _ => condition,
    }
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

fn verified_primary_email() -> SelectStatement {
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

/// Who matches a search text.
fn found(project_id: &ProjectId, query: &str) -> Condition {
    let pattern = || pattern(query);
    let by_address = contact_channel::Entity::find()
        .select_only()
        .column(contact_channel::Column::UserId)
        .filter(contact_channel::Column::ProjectId.eq(project_id.clone()))
        .filter(contact_channel::Column::Kind.eq(EMAIL))
        .filter(Expr::col(contact_channel::Column::Value).like(pattern()))
        .into_query();
    let mut condition = Condition::any()
        .add(Expr::col((user::Entity, user::Column::DisplayNameFolded)).like(pattern()))
        .add(user::Column::Id.in_subquery(by_address));
    if let Some(id) = as_id(query) {
        condition = condition.add(user::Column::Id.eq(id));
    }
    condition
}

/// Both what is searched and the text are folded, so that the pattern means the same on both databases.
fn pattern(query: &str) -> LikeExpr {
    let folded = fold_for_search(query);
    let mut escaped = String::with_capacity(folded.len() + 2);
    for c in folded.chars() {
        if matches!(c, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    let anywhere = if folded.chars().count() < MIN_SUBSTRING_CHARS { "" } else { "%" };
    LikeExpr::new(format!("{anywhere}{escaped}%")).escape('\\')
}

/// The id that a search text is: a lower-case UUID of version 4 once everything that ids are not made of is dropped.
fn as_id(query: &str) -> Option<UserId> {
    let kept: String = query.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')).collect();
    let id: UserId = kept.parse().ok()?;
    (id.0.get_version_num() == 4 && id.to_string() == kept).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lower_case_v4_ids_are_found_by_id() {
        let id = UserId::random();
        assert_eq!(as_id(&id.to_string()), Some(id));
        assert_eq!(as_id(&format!(" '{id}' ")), Some(id));
        assert_eq!(as_id(&id.to_string().to_uppercase()), None);
        assert_eq!(as_id(&id.0.simple().to_string()), None);
        assert_eq!(as_id("018f4e9e-7b1a-7cc0-8000-000000000000"), None);
        assert_eq!(as_id(""), None);
    }
}
