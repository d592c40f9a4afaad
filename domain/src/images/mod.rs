//! Pictures of users, teams, members and projects (wire/users-teams-permissions §0): a field that holds one holds a URL,
//! either of a picture that is kept elsewhere or of one that was uploaded as a `data:` URL and is kept and served here.
//!
//! What an upload is, its content says and not its sender: one of five kinds, none of which can carry a script. A new
//! picture takes the place of the one before; whatever it belongs to takes it along when it goes.

mod picture;
mod store;

use std::sync::Arc;

use postern_entity::image;

pub use self::picture::{ImageSource, MAX_IMAGE_BYTES, MAX_IMAGE_CHARS, Picture};
use crate::{
    Deps, ImageId, ProjectId, TeamId, UserId,
    db::{NewRows, Tx},
    error::Result,
    patch::Patch,
    projects,
};

/// Where the gateway serves pictures from: `/assets/{project}/{folder}/{id}.{extension}`.
pub const ASSETS: &str = "/assets";

/// What a picture belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A user.
    User(UserId),
    /// A team.
    Team(TeamId),
    /// A member of a team, as the team sees it.
    Member(TeamId, UserId),
    /// The project, as one of its logos; the name of the field.
    Project(&'static str),
}

/// What pictures belong to, before it has an id; the folder in their URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folder {
    /// Users.
    Users,
    /// Teams.
    Teams,
    /// Members of teams.
    Members,
    /// Projects.
    Projects,
}

impl Folder {
    /// As the contract names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Users => "user-profile-images",
            Self::Teams => "team-profile-images",
            Self::Members => "team-member-profile-images",
            Self::Projects => "project-logos",
        }
    }
}

/// A picture that is kept here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its MIME type, by its content.
    pub content_type: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// A picture of the project by its id; none once the project is deleted.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn find(deps: &Deps, project_id: &ProjectId, id: ImageId) -> Result<Option<Kept>> {
    if projects::lookup(deps, project_id).await?.is_none() {
        return Ok(None);
    }
    let row = store::find(deps.db.read(), project_id, id).await?;
    Ok(row.map(|row| Kept { content_type: row.content_type, bytes: row.content }))
}

/// Adds the row of an uploaded picture of something new.
pub(crate) fn add(deps: &Deps, rows: &mut NewRows, project_id: &ProjectId, place: Place, picture: Option<&Picture>) {
    if let Some(row) = picture.and_then(|picture| row(deps, project_id, place, picture)) {
        rows.add(row);
    }
}

/// Puts the picture of something in the place of the one before, when it is mentioned at all.
pub(crate) async fn replace_in(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    place: Place,
    picture: &Patch<Picture>,
) -> Result<()> {
    if picture.is_keep() {
        return Ok(());
    }
    store::remove(tx, project_id, place).await?;
    if let Patch::Set(picture) = picture
        && let Some(row) = row(deps, project_id, place, picture)
    {
        store::insert(tx, row).await?;
    }
    Ok(())
}

fn row(deps: &Deps, project_id: &ProjectId, place: Place, picture: &Picture) -> Option<image::Model> {
    let upload = Arc::clone(picture.upload.as_ref()?);
    let (user_id, team_id, slot) = columns(place);
    Some(image::Model {
        id: upload.id,
        project_id: project_id.clone(),
        user_id,
        team_id,
        slot: slot.map(str::to_owned),
        content_type: upload.kind.content_type.to_owned(),
        content: upload.bytes.clone(),
        created_at: deps.now(),
    })
}

/// How a place stands in a row.
fn columns(place: Place) -> (Option<UserId>, Option<TeamId>, Option<&'static str>) {
    match place {
        Place::User(user_id) => (Some(user_id), None, None),
        Place::Team(team_id) => (None, Some(team_id), None),
        Place::Member(team_id, user_id) => (Some(user_id), Some(team_id), None),
        Place::Project(slot) => (None, None, Some(slot)),
    }
}

#[cfg(test)]
mod tests;
