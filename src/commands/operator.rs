//! What commands have in common that work on one project: whoever may run commands on this machine administers every one.

use postern_domain::{Actor, Deps, Level, ProjectId, projects};

use super::CommandError;
use crate::{
    settings::Settings,
    wiring::{self, Shape},
};

/// The database of this version, and the caller who administers the project in it.
pub(super) async fn administer(settings: &Settings, project_id: &str) -> Result<(Deps, Actor), CommandError> {
    let deps = wiring::connect(settings, None).await.map_err(|error| CommandError::Refused(error.to_string()))?;
    match Shape::of(&deps.db).await? {
        Shape::Current => {}
        Shape::Older(_) => {
            return Err(CommandError::Refused(
                "the database has not the shape of this version: run `postern migrate` first".to_owned(),
            ));
        }
        Shape::Newer(change) => {
            return Err(CommandError::Refused(format!(
                "the database was made by a newer version of Postern (it knows the change {change}); use that version"
            )));
        }
    }
    let project_id = ProjectId(project_id.to_owned());
    if projects::lookup(&deps, &project_id).await?.is_none() {
        return Err(CommandError::Refused(format!("there is no project {project_id}")));
    }
    Ok((deps, Actor::new(project_id, Level::Admin, None)))
}
