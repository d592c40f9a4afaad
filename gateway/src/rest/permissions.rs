//! `/team-permission-definitions`, `/project-permission-definitions`, `/team-permissions`, `/project-permissions`.

use postern_domain::{
    TeamId,
    identity::UserRef,
    patch::Patch,
    permissions::{
        self, Definition, MAX_ID_CHARS, NewDefinition, PermissionScope, ProjectGrant, TeamFilter, TeamGrant,
        UpdateDefinition,
    },
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::{RefOr, Schema};

use super::{
    call::{ADMIN, Call, OPEN, SERVER},
    input::{Empty, Field, Ignored, Positive, Text, Violations, input},
    reply::{Answer, List, Reply, Success, success},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary, allowed| About::new("Permissions", summary, allowed);
    let definitions = Routes::new()
        .merge(definition_routes("/team-permission-definitions", PermissionScope::Team))
        .merge(definition_routes("/project-permission-definitions", PermissionScope::Project));
    let (team, project) =
        ("/team-permissions/{team_id}/{user_id}/{permission_id}", "/project-permissions/{user_id}/{permission_id}");
    definitions
        .get("/team-permissions", in_teams, about("Lists permissions held in teams", OPEN).query::<TeamQuery>())
        .post(
            team,
            grant_in_team,
            about("Grants a permission to a member of a team", SERVER).path::<TeamPath>().body::<Empty>().makes(),
        )
        .delete(team, revoke_in_team, about("Takes a permission from a member of a team", SERVER).path::<TeamPath>())
        .get(
            "/project-permissions",
            in_project,
            about("Lists permissions held in the project", OPEN).query::<ProjectQuery>(),
        )
        .post(
            project,
            grant_in_project,
            about("Grants a permission to a user", SERVER).path::<ProjectPath>().body::<Empty>().makes(),
        )
        .delete(project, revoke_in_project, about("Takes a permission from a user", SERVER).path::<ProjectPath>())
}

fn definition_routes(path: &str, scope: PermissionScope) -> Routes {
    let about = |summary| About::new("Permissions", summary, ADMIN);
    let one = format!("{path}/{{permission_id}}");
    Routes::new()
        .get(
            path,
            move |call: Call| list(call, scope),
            about("Lists definitions of permissions").query::<DefinitionQuery>(),
        )
        .post(path, move |call: Call| define(call, scope), about("Defines a permission").body::<NewBody>().makes())
        .patch(
            &one,
            move |call: Call| redefine(call, scope),
            about("Redefines a permission").path::<DefinitionPath>().body::<PatchBody>(),
        )
        .delete(
            &one,
            move |call: Call| undefine(call, scope),
            about("Removes the definition of a permission").path::<DefinitionPath>(),
        )
}

/// The id of a permission, one of the system's included.
struct PermissionId(String);

impl Field for PermissionId {
    fn schema() -> RefOr<Schema> {
        String::schema()
    }

    fn read(value: Value, at: &str, violations: &mut Violations) -> Option<Self> {
        let id = Text::<MAX_ID_CHARS>::read(value, at, violations)?.0;
        if permissions::is_permission_id(&id) {
            return Some(Self(id));
        }
        violations.note(at, "must be a permission of the system, or have a-z, 0-9, _ and : only");
        None
    }
}

input! {
    struct DefinitionQuery { limit: Option<Positive<200>>, cursor: Option<String>, query: Option<String> }
}

input! {
    struct DefinitionPath { permission_id: PermissionId }
}

input! {
    struct NewBody {
        id: String,
        description: Option<String>,
        contained_permission_ids: Option<Vec<PermissionId>>,
    }
}

input! {
    struct PatchBody {
        id: Option<String>,
        description: Option<String>,
        contained_permission_ids: Option<Vec<PermissionId>>,
    }
}

input! {
    struct TeamPath { team_id: TeamId, user_id: UserRef, permission_id: PermissionId }
}

input! {
    struct ProjectPath { user_id: UserRef, permission_id: PermissionId }
}

input! {
    struct TeamQuery {
        team_id: Option<TeamId>,
        user_id: Option<UserRef>,
        permission_id: Option<PermissionId>,
        recursive: Option<bool>,
    }
}

input! {
    struct ProjectQuery {
        user_id: Option<UserRef>,
        permission_id: Option<PermissionId>,
        recursive: Option<bool>,
    }
}

/// A definition in the form of the contract: its scope is in the path.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PermissionDefinition")]
struct DefinitionView {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    contained_permission_ids: Vec<String>,
}

impl From<Definition> for DefinitionView {
    fn from(definition: Definition) -> Self {
        let Definition { id, description, contained_permission_ids, .. } = definition;
        Self { id, description, contained_permission_ids }
    }
}

fn texts(ids: Option<Vec<PermissionId>>) -> Vec<String> {
    ids.unwrap_or_default().into_iter().map(|id| id.0).collect()
}

async fn list(mut call: Call, scope: PermissionScope) -> Answer<List<DefinitionView>> {
    let actor = call.actor(ADMIN)?;
    let (_, query, _) = call.read::<Empty, DefinitionQuery, Ignored>()?;
    let (text, from) = (query.query.unwrap_or_default(), query.cursor);
    let limit = query.limit.map(|limit| usize::try_from(limit.0).unwrap_or(usize::MAX));
    let page = permissions::page(&call.deps, &actor, scope, &text, from.as_deref(), limit);
    let (definitions, next) = page.await?;
    let items = definitions.into_iter().map(Into::into).collect();
    // Without a limit as it always was.
    Ok(Reply::ok(if limit.is_some() { List::page(items, next) } else { List::whole(items) }))
}

async fn define(mut call: Call, scope: PermissionScope) -> Answer<DefinitionView> {
    let actor = call.actor(ADMIN)?;
    let (_, _, body) = call.read::<Empty, Empty, NewBody>()?;
    let contained_permission_ids = texts(body.contained_permission_ids);
    let new = NewDefinition { id: body.id, description: body.description, contained_permission_ids };
    Ok(Reply::created(permissions::create(&call.deps, &actor, scope, new).await?.into()))
}

/// Replaces everything but the id: what is not sent is removed (wire: users-teams-permissions §5.2).
async fn redefine(mut call: Call, scope: PermissionScope) -> Answer<DefinitionView> {
    let actor = call.actor(ADMIN)?;
    let (path, _, body) = call.read::<DefinitionPath, Empty, PatchBody>()?;
    let input = UpdateDefinition {
        id: body.id,
        description: body.description.map_or(Patch::Clear, Patch::Set),
        contained_permission_ids: Some(texts(body.contained_permission_ids)),
    };
    Ok(Reply::ok(permissions::update(&call.deps, &actor, scope, &path.permission_id.0, input).await?.into()))
}

async fn undefine(mut call: Call, scope: PermissionScope) -> Answer<Success> {
    let actor = call.actor(ADMIN)?;
    let (path, _, _) = call.read::<DefinitionPath, Empty, Ignored>()?;
    permissions::delete(&call.deps, &actor, scope, &path.permission_id.0).await?;
    Ok(success())
}

async fn in_teams(mut call: Call) -> Answer<List<TeamGrant>> {
    let actor = call.actor(OPEN)?;
    let (_, query, _) = call.read::<Empty, TeamQuery, Ignored>()?;
    let filter = TeamFilter {
        team_id: query.team_id,
        user_id: query.user_id.map(|user| user.resolve(&actor)).transpose()?,
        permission_id: query.permission_id.map(|id| id.0),
        recursive: query.recursive.unwrap_or_default(),
    };
    Ok(Reply::ok(List::whole(permissions::in_teams(&call.deps, &actor, &filter).await?)))
}

async fn grant_in_team(mut call: Call) -> Answer<TeamGrant> {
    let actor = call.actor(SERVER)?;
    let (path, _, _) = call.read::<TeamPath, TeamQuery, Empty>()?;
    let user_id = path.user_id.resolve(&actor)?;
    let grant = permissions::grant_in_team(&call.deps, &actor, path.team_id, user_id, &path.permission_id.0).await?;
    Ok(Reply::created(grant))
}

async fn revoke_in_team(mut call: Call) -> Answer<Success> {
    let actor = call.actor(SERVER)?;
    let (path, _, _) = call.read::<TeamPath, TeamQuery, Ignored>()?;
    let user_id = path.user_id.resolve(&actor)?;
    permissions::revoke_in_team(&call.deps, &actor, path.team_id, user_id, &path.permission_id.0).await?;
    Ok(success())
}

async fn in_project(mut call: Call) -> Answer<List<ProjectGrant>> {
    let actor = call.actor(OPEN)?;
    let (_, query, _) = call.read::<Empty, ProjectQuery, Ignored>()?;
    let filter = TeamFilter {
        team_id: None,
        user_id: query.user_id.map(|user| user.resolve(&actor)).transpose()?,
        permission_id: query.permission_id.map(|id| id.0),
        recursive: query.recursive.unwrap_or_default(),
    };
    Ok(Reply::ok(List::whole(permissions::in_project(&call.deps, &actor, &filter).await?)))
}

async fn grant_in_project(mut call: Call) -> Answer<ProjectGrant> {
    let actor = call.actor(SERVER)?;
    let (path, _, _) = call.read::<ProjectPath, ProjectQuery, Empty>()?;
    let user_id = path.user_id.resolve(&actor)?;
    Ok(Reply::created(permissions::grant_in_project(&call.deps, &actor, user_id, &path.permission_id.0).await?))
}

async fn revoke_in_project(mut call: Call) -> Answer<Success> {
    let actor = call.actor(SERVER)?;
    let (path, _, _) = call.read::<ProjectPath, ProjectQuery, Ignored>()?;
    permissions::revoke_in_project(&call.deps, &actor, path.user_id.resolve(&actor)?, &path.permission_id.0).await?;
    Ok(success())
}
