//! Making a team.

use postern_entity::team;
use serde_json::Value;

use super::{Team, store, wire::ServerTeam};
use crate::{
    Actor, Code, Deps, Failure, ProjectId, TeamId, UserId,
    db::{NewRows, Tx},
    error::{Error, Result, refuse},
    events::{self, EventKind, NewEvent},
    images::{self, Folder, ImageSource, Picture, Place},
    items::seats,
    permissions,
    projects::{self, ProjectConfig},
    text_search, users,
    validation::Violations,
};

/// What a caller asks for. `None` is "not given".
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateTeam {
    /// Any text, may be empty.
    pub display_name: String,
    /// URL of the picture, or a `data:` URL with it.
    pub profile_image_url: Option<String>,
    /// Any JSON.
    pub client_metadata: Option<Value>,
    /// Any JSON; servers only.
    pub client_read_only_metadata: Option<Value>,
    /// Any JSON; servers only.
    pub server_metadata: Option<Value>,
    /// Becomes the first member. A client always becomes it itself.
    pub creator_user_id: Option<UserId>,
}

/// A team about to be written, already checked.
#[derive(Clone, Debug, Default)]
pub struct NewTeam {
    /// Any text, may be empty.
    pub display_name: String,
    /// The picture.
    pub picture: Option<Picture>,
    /// Any JSON.
    pub client_metadata: Option<Value>,
    /// Any JSON.
    pub client_read_only_metadata: Option<Value>,
    /// Any JSON.
    pub server_metadata: Option<Value>,
}

/// Makes a team. A client becomes its first member; a server's team is empty unless it names a creator.
///
/// # Errors
/// Clients: `USER_AUTHENTICATION_REQUIRED`, `FORBIDDEN` when the project does not let them or the creator is somebody else,
/// `SCHEMA_ERROR` for fields of servers. Servers: `USER_NOT_FOUND` for the creator. Both: `BAD_REQUEST` for the picture.
#[crate::boxed]
pub async fn create(deps: &Deps, actor: &Actor, input: CreateTeam) -> Result<Team> {
    let config = projects::config(deps, &actor.project_id).await?;
    let creator = if actor.is_server() {
        input.creator_user_id
    } else {
        let Some(user_id) = actor.user_id() else {
            return refuse(Failure::new(Code::UserAuthenticationRequired, "Sign in to create a team."));
        };
        if !config.teams.allow_client_team_creation {
            return refuse(Failure::forbidden("This project does not let users create teams."));
        }
        Some(user_id)
    };
    let new = check(deps, actor, &input)?;
    if !actor.is_server() && input.creator_user_id.is_some() && input.creator_user_id != creator {
        return refuse(Failure::forbidden("A user can create teams for itself only."));
    }
    let (new, config, project_id) = (&new, &*config, &actor.project_id);
    deps.mutate(actor, "teams.create", |tx| async move {
        if let Some(user_id) = creator
            && !users::lock_in(&tx, project_id, user_id).await?
        {
            return refuse(users::not_found());
        }
        let creator = creator.map(|user_id| Creator { user_id, config, selects: false });
        let mut rows = NewRows::default();
        let team = add(deps, &mut rows, project_id, new.clone(), creator)?;
        rows.write(&tx).await?;
        Ok(team)
    })
    .await
}

fn check(deps: &Deps, actor: &Actor, input: &CreateTeam) -> Result<NewTeam> {
    let mut violations = Violations::default();
    violations.storable("display_name", &input.display_name);
    refuse_of_servers(&mut violations, actor, &input.client_read_only_metadata, &input.server_metadata);
    violations.finish()?;
    let picture = |value: &String| {
        let source = ImageSource::of(actor);
        Picture::read(deps, &actor.project_id, Folder::Teams, "profile_image_url", value, source)
    };
    Ok(NewTeam {
        display_name: input.display_name.clone(),
        picture: input.profile_image_url.as_ref().map(picture).transpose()?,
        client_metadata: input.client_metadata.clone(),
        client_read_only_metadata: input.client_read_only_metadata.clone(),
        server_metadata: input.server_metadata.clone(),
    })
}

/// Notes what only servers may set, when a client gives it.
pub(super) fn refuse_of_servers(
    violations: &mut Violations,
    actor: &Actor,
    client_read_only_metadata: &Option<Value>,
    server_metadata: &Option<Value>,
) {
    let given = [("client_read_only_metadata", client_read_only_metadata), ("server_metadata", server_metadata)];
    for (field, value) in given {
        violations.require(actor.is_server() || value.is_none(), field, "can be set by servers only");
    }
}

/// Makes a team without members in the caller's transaction, with its event.
///
/// # Errors
/// Those of the database.
pub(crate) async fn create_empty_in(deps: &Deps, tx: &Tx, project_id: &ProjectId, new: NewTeam) -> Result<Team> {
    let mut rows = NewRows::default();
    let team = add(deps, &mut rows, project_id, new, None)?;
    rows.write(tx).await?;
    Ok(team)
}

/// Who makes a team and becomes its first member.
#[derive(Clone, Copy)]
pub(super) struct Creator<'a> {
    /// Known to exist.
    pub(super) user_id: UserId,
    /// Of the project.
    pub(super) config: &'a ProjectConfig,
    /// Whether the team becomes the one the user has selected.
    pub(super) selects: bool,
}

/// Adds the rows and the event. No membership or permission event is written for the creator, who is granted the defaults of
/// creators and not those of members (wire: users-teams-permissions §3).
pub(super) fn add(
    deps: &Deps,
    rows: &mut NewRows,
    project_id: &ProjectId,
    new: NewTeam,
    creator: Option<Creator<'_>>,
) -> Result<Team> {
    let team = add_untold(deps, rows, project_id, new, creator)?;
    events::add(deps, rows, event(EventKind::TeamCreated, &team)?);
    Ok(team)
}

/// The same without the event.
pub(super) fn add_untold(
    deps: &Deps,
    rows: &mut NewRows,
    project_id: &ProjectId,
    new: NewTeam,
    creator: Option<Creator<'_>>,
) -> Result<Team> {
    let now = deps.now();
    let value = |value: Option<Value>| value.filter(|value| !value.is_null());
    let row = team::Model {
        id: TeamId::random(),
        project_id: project_id.clone(),
        display_name_folded: text_search::fold(&new.display_name),
        display_name: new.display_name,
        profile_image_url: new.picture.as_ref().map(|picture| picture.url.clone()),
        client_metadata: value(new.client_metadata),
        client_read_only_metadata: value(new.client_read_only_metadata),
        server_metadata: value(new.server_metadata),
        created_at: now,
        updated_at: now,
    };
    rows.add(row.clone());
    images::add(deps, rows, project_id, Place::Team(row.id), new.picture.as_ref());
    let team = Team::from(row);
    seats::add_free(deps, rows, project_id, team.id)?;
    if let Some(Creator { user_id, config, selects }) = creator {
        rows.add(store::member(project_id, team.id, user_id, selects, now));
        let granted = &config.rbac.default_permissions.team_creator;
        permissions::add_team_defaults(rows, config, project_id, (team.id, user_id), granted, now);
    }
    Ok(team)
}

pub(super) async fn record(deps: &Deps, tx: &Tx, kind: EventKind, team: &Team) -> Result<()> {
    events::record(deps, tx, event(kind, team)?).await
}

/// What an event about the team as it is now tells.
fn event(kind: EventKind, team: &Team) -> Result<NewEvent> {
    let payload = serde_json::to_value(ServerTeam::from(team.clone())).map_err(Error::internal)?;
    Ok(NewEvent { project_id: team.project_id.clone(), kind, user_id: None, team_id: Some(team.id), payload })
}
