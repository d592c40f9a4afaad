//! Finding teams: whose, which, in which order, and pages.

use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter};

use postern_entity::team;

use super::{
    Team,
    read::{Position, cut, get},
    store,
};
use crate::{
    Actor, Code, Deps, Failure, ProjectId, TeamId, UserId,
    error::{Result, refuse},
    text_search::TextSearch,
    validation::Violations,
};

/// The longest search text, in characters.
const MAX_QUERY_CHARS: usize = 256;

/// Which teams to list; by the time they were made, ties by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListTeams {
    /// Only teams of this user.
    pub user_id: Option<UserId>,
    /// Case-insensitive part of the name, or exactly an id. Empty is ignored.
    pub query: Option<String>,
    /// Newest first.
    pub descending: bool,
    /// Where the page begins.
    pub start: TeamStart,
    /// At least 1; without it everything that is left.
    pub limit: Option<u64>,
}

/// Where a page of teams begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TeamStart {
    /// At the first team.
    #[default]
    Beginning,
    /// At this team, which is the first of the page.
    At(TeamId),
    /// Behind a position, whether or not its team is still there.
    After(Position),
}

/// One page.
#[derive(Clone, Debug, PartialEq)]
pub struct TeamPage {
    /// In the asked order.
    pub teams: Vec<Team>,
    /// The first team of the next page; none at the end.
    pub next: Option<TeamId>,
}

/// The teams of a user, or, for servers that name no user, those of the project. The API key of a team names no user, and
/// sees its team.
///
/// # Errors
/// Clients: `CANNOT_GET_OWN_USER_WITHOUT_USER`; `FORBIDDEN` unless they ask for their own. `SCHEMA_ERROR`; `BAD_REQUEST` for
/// a start that is no team.
#[crate::boxed]
pub async fn list(deps: &Deps, actor: &Actor, input: &ListTeams) -> Result<TeamPage> {
    check(actor, input)?;
    if let (Some(own), None) = (actor.team_id(), input.user_id) {
        return Ok(TeamPage { teams: vec![get(deps, actor, own).await?], next: None });
    }
    let (connection, project_id) = (deps.db.read(), &actor.project_id);
    let start = match input.start {
        TeamStart::Beginning => None,
        TeamStart::After(position) => Some((position, false)),
        TeamStart::At(id) => match store::find(connection, project_id, &[id]).await?.pop() {
            Some(row) => Some((Position { at: row.created_at, id: id.0 }, true)),
            // An empty page would look like the end of the list.
            None => {
                return refuse(Failure::bad_request(
                    "cursor: there is no such team (any more); start again without it.",
                ));
            }
        },
    };
    let filter = filter(connection, project_id, input);
    // One more than asked for, to know the first team of the next page.
    let limit = input.limit.map(|limit| limit.min(u64::from(u32::MAX)));
    let more = limit.map(|limit| limit.saturating_add(1));
    let rows = store::list(connection, filter, start, input.descending, more).await?;
    let next_of = |rows: &[team::Model]| {
        let index = usize::try_from(limit?).ok()?;
        rows.get(index).map(|row| row.id)
    };
    let next = next_of(&rows);
    let (rows, _) = cut(rows, limit.unwrap_or(u64::MAX));
    Ok(TeamPage { teams: rows.into_iter().map(Team::from).collect(), next })
}

/// How many teams there are, whatever the page.
///
/// # Errors
/// Those of [`list`].
#[crate::boxed]
pub async fn count(deps: &Deps, actor: &Actor, input: &ListTeams) -> Result<u64> {
    check(actor, input)?;
    if actor.team_id().is_some() && input.user_id.is_none() {
        return Ok(1);
    }
    let connection = deps.db.read();
    Ok(team::Entity::find().filter(filter(connection, &actor.project_id, input)).count(connection).await?)
}

fn check(actor: &Actor, input: &ListTeams) -> Result<()> {
    if !actor.is_server() && (actor.team_id().is_none() || input.user_id.is_some()) {
        let Some(own) = actor.user_id() else {
            return refuse(Failure::new(Code::CannotGetOwnUserWithoutUser, "Sign in to list your teams."));
        };
        if input.user_id != Some(own) {
            return refuse(Failure::forbidden("A user can list its own teams only."));
        }
    }
    let mut violations = Violations::default();
    if let Some(query) = &input.query {
        violations.text("query", query, MAX_QUERY_CHARS);
    }
    violations.require(input.limit != Some(0), "limit", "must be at least 1");
    violations.finish()
}

fn filter(connection: &impl ConnectionTrait, project_id: &ProjectId, input: &ListTeams) -> Condition {
    let mut condition = store::in_project(connection, project_id, input.user_id);
    if let Some(query) = input.query.as_deref().filter(|query| !query.is_empty()) {
        let search = TextSearch::new(query);
        let mut found = Condition::any().add(team::Column::DisplayNameFolded.like(search.pattern()));
        if let Some(id) = search.as_id() {
            found = found.add(team::Column::Id.eq(TeamId(id)));
        }
        condition = condition.add(found);
    }
    condition
}
