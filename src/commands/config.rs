//! `postern config apply`: makes a project what a file says.

use std::path::Path;

use postern_domain::projects;

use super::{CommandError, operator::administer, say};
use crate::{config_file, settings::Settings};

pub(super) async fn apply(settings: Settings, path: &Path, project: Option<String>) -> Result<(), CommandError> {
    let file = config_file::read(path).map_err(|error| CommandError::Refused(error.to_string()))?;
    let named = project.or_else(|| file.project_id.clone().map(|id| id.0));
    let (deps, actor) = administer(&settings, named.as_deref().unwrap_or("internal")).await?;
    let applied = projects::apply_config_file(&deps, &actor, &file).await?;
    say(format!("Project {}. {}", actor.project_id, config_file::outcome(&applied)))
}
