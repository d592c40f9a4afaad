//! Changing a team.

use postern_entity::team;
use sea_orm::ActiveValue::{Set, Unchanged};
use serde_json::Value;

use super::{
    Team,
    create::{record, refuse_of_servers},
    read::not_found,
    store,
};
use crate::{
    Actor, Deps, TeamId,
    error::{Result, refuse},
    events::EventKind,
    images::{self, Folder, ImageSource, Picture, Place},
    patch::Patch,
    permissions, text_search,
    validation::Violations,
};

/// What to change. `None` and [`Patch::Keep`] leave as it is; metadata is replaced whole, null included.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpdateTeam {
    /// Any text, may be empty.
    pub display_name: Option<String>,
    /// URL of the picture.
    pub profile_image_url: Patch<String>,
    /// Any JSON.
    pub client_metadata: Option<Value>,
    /// Any JSON.
    pub client_read_only_metadata: Option<Value>,
    /// Any JSON.
    pub server_metadata: Option<Value>,
}

/// Changes a team. Writes `team.updated` even when nothing changes.
///
/// # Errors
/// Clients: `USER_AUTHENTICATION_REQUIRED`; `TEAM_MEMBERSHIP_NOT_FOUND`; `TEAM_PERMISSION_REQUIRED` without `$update_team`;
/// `SCHEMA_ERROR` for fields of servers. Servers: `TEAM_NOT_FOUND`. Both: `BAD_REQUEST` for the picture.
#[crate::boxed]
pub async fn update(deps: &Deps, actor: &Actor, id: TeamId, input: UpdateTeam) -> Result<Team> {
    let mut violations = Violations::default();
    violations.storable("display_name", input.display_name.as_deref().unwrap_or_default());
    refuse_of_servers(&mut violations, actor, &input.client_read_only_metadata, &input.server_metadata);
    violations.finish()?;
    let (source, project_id) = (ImageSource::of(actor), &actor.project_id);
    let picture = input
        .profile_image_url
        .as_ref()
        .try_map(|value| Picture::read(deps, project_id, Folder::Teams, "profile_image_url", value, source))?;
    let (input, picture) = (&input, &picture);
    deps.mutate(actor, "teams.update", |tx| async move {
        permissions::require_in_team(deps, &*tx, actor, id, "$update_team").await?;
        let Some(row) = store::lock(&tx, &actor.project_id, id).await? else { return refuse(not_found(id)) };
        images::replace_in(deps, &tx, project_id, Place::Team(id), picture).await?;
        let team = Team::from(store::update(&tx, changed(deps, row, input, picture)).await?);
        record(deps, &tx, EventKind::TeamUpdated, &team).await?;
        Ok(team)
    })
    .await
}

fn changed(deps: &Deps, row: team::Model, input: &UpdateTeam, picture: &Patch<Picture>) -> team::ActiveModel {
    let value = |given: &Option<Value>, current| match given {
        Some(value) => Set(Some(value.clone()).filter(|value| !value.is_null())),
        None => Unchanged(current),
    };
    team::ActiveModel {
        id: Unchanged(row.id),
        project_id: Unchanged(row.project_id),
        display_name_folded: match &input.display_name {
            Some(name) => Set(text_search::fold(name)),
            None => Unchanged(row.display_name_folded),
        },
        display_name: input.display_name.clone().map_or(Unchanged(row.display_name), Set),
        profile_image_url: match picture.as_ref().map(|picture| picture.url.clone()).mentioned() {
            Some(url) => Set(url),
            None => Unchanged(row.profile_image_url),
        },
        client_metadata: value(&input.client_metadata, row.client_metadata),
        client_read_only_metadata: value(&input.client_read_only_metadata, row.client_read_only_metadata),
        server_metadata: value(&input.server_metadata, row.server_metadata),
        created_at: Unchanged(row.created_at),
        updated_at: Set(deps.now()),
    }
}
