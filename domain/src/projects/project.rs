//! Making, reading, changing and deleting projects (wire: projects-config-webhooks §2).
//!
//! Owners are users of project `internal`: every member of the team that owns a project administers it. Reading and changing
//! the current project needs ADMIN there, however it was proven.

use serde_json::{Map, Value, json};

use super::{
    ConfigLevel, NewProject, Project, ProjectChange, ProjectConfig, config,
    jobs::PurgeProject,
    legacy, store,
    wire::{AdminProject, ClientProject, OnboardingState},
};
use crate::{
    Actor, Code, Deps, Level, ProjectId, TeamId, Timestamp, UserId,
    db::Tx,
    error::{Error, Failure, Result, refuse},
    events::{self, EventKind},
    identity::require_user_in_schema,
    images::{self, Picture, Place},
    patch::Patch,
    permissions,
    queue::{self, Enqueue},
    signal::Signal,
    teams,
};

/// What everybody may know of the caller's project.
///
/// # Errors
/// `CURRENT_PROJECT_NOT_FOUND`.
#[crate::boxed]
pub async fn client_project(deps: &Deps, actor: &Actor) -> Result<ClientProject> {
    let id = &actor.project_id;
    match super::loaded(deps, id).await? {
        Some(loaded) => Ok(ClientProject {
            id: id.clone(),
            display_name: loaded.project.display_name.clone(),
            config: legacy::client_config(&loaded.config),
        }),
        None => refuse(store::no_such_project(id)),
    }
}

/// All projects that a team of the calling owner owns.
///
/// # Errors
/// `USER_AUTHENTICATION_REQUIRED`; `EXPECTED_INTERNAL_PROJECT`.
#[crate::boxed]
pub async fn owned_projects(deps: &Deps, actor: &Actor) -> Result<Vec<AdminProject>> {
    let user_id = owner(actor)?;
    let teams = teams::of_users(deps, &actor.project_id, &[user_id]).await?.remove(&user_id).unwrap_or_default();
    let team_ids: Vec<_> = teams.iter().map(|team| team.id).collect();
    let mut owned = Vec::new();
    for project in store::projects_of(deps.db.read(), &team_ids).await? {
        owned.push(described(deps, deps.db.read(), project).await?);
    }
    Ok(owned)
}

/// Makes a project for a team of the calling owner.
///
/// # Errors
/// `USER_AUTHENTICATION_REQUIRED`; `EXPECTED_INTERNAL_PROJECT`; `TEAM_MEMBERSHIP_NOT_FOUND` for a team the caller is not
/// in; `SCHEMA_ERROR` and `BAD_REQUEST` for values that do not fit.
#[crate::boxed]
pub async fn create_project(deps: &Deps, actor: &Actor, new: NewProject) -> Result<AdminProject> {
    let user_id = owner(actor)?;
    new.check()?;
    let id = ProjectId::random();
    let logos = new.settings.logos(deps, &id)?;
    let (new, id, logos) = (&new, &id, &logos);
    deps.mutate(actor, "create_project", |tx| async move {
        if !teams::is_member_in(&*tx, &actor.project_id, new.owner_team_id, user_id).await? {
            return refuse(teams::membership_not_found(new.owner_team_id, user_id));
        }
        let mut row = bare_row(id.clone(), new.display_name.clone(), deps.now());
        row.owner_team_id = Some(new.owner_team_id);
        row.is_development_environment = new.is_development_environment;
        apply(&mut row, &new.settings, logos)?;
        row.display_name.clone_from(&new.display_name);
        let mut settings = default_settings();
        settings.extend(new.settings.config.settings());
        insert_in(deps, &tx, row.clone(), settings).await?;
        keep(deps, &tx, id, logos).await?;
        let made = json!({ "id": id, "owner_team_id": new.owner_team_id });
        events::record(deps, &tx, events::audit(id, EventKind::ProjectCreated, Some(actor), made)).await?;
        let described = described(deps, &*tx, row).await?;
        check_theme(&new.settings, &described)?;
        Ok(described)
    })
    .await
}

/// The project as its administrators see it.
///
/// # Errors
/// `FORBIDDEN` below ADMIN; `CURRENT_PROJECT_NOT_FOUND`.
#[crate::boxed]
pub async fn current_project(deps: &Deps, actor: &Actor) -> Result<AdminProject> {
    require_admin(actor)?;
    match store::project(deps.db.read(), &actor.project_id).await? {
        Some(project) => described(deps, deps.db.read(), project).await,
        None => refuse(store::no_such_project(&actor.project_id)),
    }
}

/// Changes the project and the settings that the older view of its config names; those go to the environment level.
///
/// # Errors
/// `FORBIDDEN` below ADMIN; `CURRENT_PROJECT_NOT_FOUND`; `SCHEMA_ERROR` and `BAD_REQUEST` for values that do not fit.
#[crate::boxed]
pub async fn update_project(deps: &Deps, actor: &Actor, change: ProjectChange) -> Result<AdminProject> {
    require_admin(actor)?;
    change.check()?;
    let logos = change.logos(deps, &actor.project_id)?;
    let (change, logos) = (&change, &logos);
    deps.mutate(actor, "update_project", |tx| async move {
        let before = store::lock_project(&tx, &actor.project_id).await?;
        let mut row = before.clone();
        apply(&mut row, change, logos)?;
        record_update(deps, &tx, actor, &before, &row).await?;
        row.updated_at = deps.now();
        store::update_project(&tx, row.clone()).await?;
        keep(deps, &tx, &actor.project_id, logos).await?;
        let mut settings = change.config.settings();
        if !settings.is_empty() {
            let current = config::config_in(deps, &tx, &actor.project_id).await?;
            legacy::keep_what_is_not_shown(&mut settings, &current);
            config::record(
                deps,
                &tx,
                Some(actor),
                &actor.project_id,
                (ConfigLevel::Environment, "merged"),
                settings.keys(),
            )
            .await?;
            config::write_settings(deps, &tx, &actor.project_id, ConfigLevel::Environment, settings).await?;
        }
        tx.raise(Signal::ProjectChanged { project_id: actor.project_id.clone() });
        let described = described(deps, &*tx, row).await?;
        check_theme(change, &described)?;
        Ok(described)
    })
    .await
}

/// Hands a project over to another team of project `internal`. Administrating the team that owns it now is enough; in the
/// new one the caller need only be a member.
///
/// # Errors
/// `SCHEMA_ERROR` without a user of project `internal`; `PROJECT_NOT_FOUND`; `BAD_REQUEST` for a project without owner;
/// `TEAM_MEMBERSHIP_NOT_FOUND` and `TEAM_PERMISSION_REQUIRED` for a caller who does not hold `team_admin` in the team that
/// owns it; `TEAM_MEMBERSHIP_NOT_FOUND` for a new team the caller is not in.
#[crate::boxed]
pub async fn transfer_project(deps: &Deps, actor: &Actor, id: &ProjectId, new_team_id: TeamId) -> Result<()> {
    let user_id = require_user_in_schema(actor)?.id;
    if !actor.project_id.is_internal() {
        return refuse(Failure::schema("the request must carry the access token of a user of project internal"));
    }
    // Whoever holds a key of `internal` hands over as the user it speaks for, with what the user may.
    let owner = &Actor { level: Level::Client, ..actor.clone() };
    deps.mutate(actor, "transfer_project", |tx| async move {
        let mut row = match store::lock_project(&tx, id).await {
            Err(Error::Refused(failure)) if failure.code == Code::CurrentProjectNotFound => {
                let text = format!("There is no project {id}.");
                return refuse(Failure::new(Code::ProjectNotFound, text).with(serde_json::json!({ "project_id": id })));
            }
            found => found?,
        };
        let Some(team_id) = row.owner_team_id else {
            return refuse(Failure::bad_request("The project has no owner, so there is nobody to hand it over."));
        };
        permissions::require_in_team(deps, &*tx, owner, team_id, "team_admin").await?;
        if !teams::is_member_in(&*tx, &actor.project_id, new_team_id, user_id).await? {
            return refuse(teams::membership_not_found(new_team_id, user_id));
        }
        row.owner_team_id = Some(new_team_id);
        row.updated_at = deps.now();
        store::update_project(&tx, row).await?;
        let moved = json!({ "id": id, "from_team_id": team_id, "to_team_id": new_team_id });
        events::record(deps, &tx, events::audit(id, EventKind::ProjectTransferred, Some(actor), moved)).await?;
        tx.raise(Signal::ProjectChanged { project_id: id.clone() });
        Ok(())
    })
    .await
}

/// Deletes the project for good. It is gone for everybody at once; its rows are removed by a job, a few at a time.
///
/// # Errors
/// `FORBIDDEN` below ADMIN; `CURRENT_PROJECT_NOT_FOUND`; `BAD_REQUEST` for project `internal`, without which nobody could
/// administer anything.
#[crate::boxed]
pub async fn delete_project(deps: &Deps, actor: &Actor) -> Result<()> {
    require_admin(actor)?;
    if actor.project_id.is_internal() {
        return refuse(Failure::bad_request("the project internal cannot be deleted"));
    }
    deps.mutate(actor, "delete_project", |tx| async move {
        let mut row = store::lock_project(&tx, &actor.project_id).await?;
        row.deleted_at = Some(deps.now());
        store::update_project(&tx, row).await?;
        let gone = json!({ "id": actor.project_id });
        let gone = events::audit(&ProjectId::internal(), EventKind::ProjectDeleted, Some(actor), gone);
        events::record(deps, &tx, gone).await?;
        let purge = PurgeProject { project_id: actor.project_id.clone() };
        queue::enqueue(deps, &tx, Enqueue::new(&purge)?.key(actor.project_id.as_str())).await?;
        tx.raise(Signal::ProjectChanged { project_id: actor.project_id.clone() });
        Ok(())
    })
    .await
}

/// Tells which fields of a project somebody changed, if any.
async fn record_update(deps: &Deps, tx: &Tx, actor: &Actor, before: &Project, after: &Project) -> Result<()> {
    let fields = [
        ("display_name", before.display_name != after.display_name),
        ("description", before.description != after.description),
        ("logo_url", before.logo_url != after.logo_url),
        ("logo_full_url", before.logo_full_url != after.logo_full_url),
        ("logo_dark_mode_url", before.logo_dark_mode_url != after.logo_dark_mode_url),
        ("logo_full_dark_mode_url", before.logo_full_dark_mode_url != after.logo_full_dark_mode_url),
        ("is_production_mode", before.is_production_mode != after.is_production_mode),
        ("onboarding_status", before.onboarding_status != after.onboarding_status),
        ("onboarding_state", before.onboarding_state != after.onboarding_state),
    ];
    let changed: Vec<_> = fields.into_iter().filter(|(_, is_other)| *is_other).map(|(name, _)| name).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let changed = json!({ "id": after.id, "changed": changed });
    events::record(deps, tx, events::audit(&after.id, EventKind::ProjectUpdated, Some(actor), changed)).await
}

/// The user of project `internal` that the caller speaks for.
fn owner(actor: &Actor) -> Result<UserId> {
    let Some(user_id) = actor.user_id() else {
        return refuse(Failure::new(Code::UserAuthenticationRequired, "Sign in to administer projects."));
    };
    if !actor.project_id.is_internal() {
        return refuse(Failure::new(Code::ExpectedInternalProject, "Projects are administered from project internal."));
    }
    Ok(user_id)
}

fn require_admin(actor: &Actor) -> Result<()> {
    if actor.level == Level::Admin {
        Ok(())
    } else {
        refuse(Failure::forbidden("administering a project needs admin access"))
    }
}

/// A project that is nothing yet but its name.
pub(crate) fn bare_row(id: ProjectId, display_name: String, now: Timestamp) -> Project {
    Project {
        id,
        display_name,
        description: String::new(),
        logo_url: None,
        logo_full_url: None,
        logo_dark_mode_url: None,
        logo_full_dark_mode_url: None,
        is_production_mode: false,
        is_development_environment: false,
        owner_team_id: None,
        onboarding_status: "completed".to_owned(),
        onboarding_state: None,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    }
}

/// Writes a project and what its environment level sets.
pub(super) async fn insert_in(deps: &Deps, tx: &Tx, row: Project, settings: Map<String, Value>) -> Result<()> {
    let id = row.id.clone();
    store::insert_project(tx, row).await?;
    config::write_settings(deps, tx, &id, ConfigLevel::Environment, settings).await
}

/// What every new project sets.
pub(crate) fn default_settings() -> Map<String, Value> {
    settings_with_permissions(&["$invite_members", "$read_members"], permissions::SYSTEM)
}

/// The same with other contents of the two permissions that teams begin with.
pub(super) fn settings_with_permissions(member: &[&str], admin: &[&str]) -> Map<String, Value> {
    let permission = |description: &str, contained: &[&str]| {
        let contained: Map<_, _> = contained.iter().map(|id| ((*id).to_owned(), Value::Bool(true))).collect();
        serde_json::json!({ "scope": "team", "description": description, "containedPermissionIds": contained })
    };
    [
        ("auth.password.allowSignIn", Value::Bool(true)),
        ("domains.allowLocalhost", Value::Bool(true)),
        ("apps.installed.authentication.enabled", Value::Bool(true)),
        ("apps.installed.emails.enabled", Value::Bool(true)),
        ("rbac.permissions.team_member", permission("What every member of a team may do", member)),
        ("rbac.permissions.team_admin", permission("What whoever made a team may do", admin)),
        ("rbac.defaultPermissions.teamMember", serde_json::json!({ "team_member": true })),
        ("rbac.defaultPermissions.teamCreator", serde_json::json!({ "team_admin": true })),
    ]
    .into_iter()
    .map(|(path, value)| (path.to_owned(), value))
    .collect()
}

/// The logos that are mentioned, each with the name of its field.
type Logos = [(&'static str, Patch<Picture>)];

/// Stores the logos that were uploaded.
async fn keep(deps: &Deps, tx: &Tx, id: &ProjectId, logos: &Logos) -> Result<()> {
    for (field, picture) in logos {
        images::replace_in(deps, tx, id, Place::Project(field), picture).await?;
    }
    Ok(())
}

fn apply(row: &mut Project, change: &ProjectChange, logos: &Logos) -> Result<()> {
    if let Some(name) = &change.display_name {
        row.display_name.clone_from(name);
    }
    match &change.description {
        Patch::Keep => {}
        Patch::Clear => row.description.clear(),
        Patch::Set(description) => row.description.clone_from(description),
    }
    for (field, picture) in logos {
        let logo = match *field {
            "logo_url" => &mut row.logo_url,
            "logo_full_url" => &mut row.logo_full_url,
            "logo_dark_mode_url" => &mut row.logo_dark_mode_url,
            "logo_full_dark_mode_url" => &mut row.logo_full_dark_mode_url,
            other => return Err(Error::internal(format!("no logo is called {other}"))),
        };
        *logo = picture.as_ref().map(|picture| picture.url.clone()).over(logo.take());
    }
    if let Some(flag) = change.is_production_mode {
        row.is_production_mode = flag;
    }
    if let Some(status) = &change.onboarding_status {
        row.onboarding_status.clone_from(status);
    }
    match &change.onboarding_state {
        Patch::Keep => {}
        Patch::Clear => row.onboarding_state = None,
        Patch::Set(state) => row.onboarding_state = Some(serde_json::to_value(state).map_err(Error::internal)?),
    }
    Ok(())
}

/// A theme that is not there was rendered as the default one.
fn check_theme(change: &ProjectChange, described: &AdminProject) -> Result<()> {
    match &change.config.email_theme {
        Some(theme) if *theme != described.config.email_theme => {
            refuse(Failure::bad_request("config.email_theme: there is no such theme"))
        }
        _ => Ok(()),
    }
}

async fn described(deps: &Deps, connection: &impl sea_orm::ConnectionTrait, project: Project) -> Result<AdminProject> {
    let config = config::view(config::rendered(connection, &deps.keyring, &project.id).await?)?;
    admin_project(project, &config)
}

fn admin_project(project: Project, config: &ProjectConfig) -> Result<AdminProject> {
    let onboarding_state: Option<OnboardingState> =
        project.onboarding_state.map(serde_json::from_value).transpose().map_err(Error::internal)?;
    Ok(AdminProject {
        id: project.id,
        display_name: project.display_name,
        description: project.description,
        logo_url: project.logo_url,
        logo_full_url: project.logo_full_url,
        logo_dark_mode_url: project.logo_dark_mode_url,
        logo_full_dark_mode_url: project.logo_full_dark_mode_url,
        created_at_millis: project.created_at,
        is_production_mode: project.is_production_mode,
        is_development_environment: project.is_development_environment,
        owner_team_id: project.owner_team_id,
        onboarding_status: project.onboarding_status,
        onboarding_state,
        config: legacy::admin_config(config),
    })
}
