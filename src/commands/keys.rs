//! `postern keys`: a new set of keys for a project, or an invitation to own projects.

use postern_domain::{
    Actor, Level, ProjectId,
    projects::{self, NewKeySet},
    sessions,
};
use secrecy::ExposeSecret;

use super::{CommandError, say, serve::project_keys};
use crate::{settings::Settings, wiring};

/// What stands in the place of a project to ask for an invitation.
const INVITE: &str = "invite";

pub(super) async fn run(settings: Settings, target: &str) -> Result<(), CommandError> {
    let deps = wiring::connect(&settings, None).await.map_err(|error| CommandError::Refused(error.to_string()))?;
    if target == INVITE {
        let invite = sessions::create_invite(&deps).await?;
        let until = invite.expires_at.to_utc().map(|time| time.to_rfc3339()).unwrap_or_default();
        return say(format!(
            "One person may sign up as an owner of projects until {until}, with this as invite_code:\n\n  {}",
            invite.code.expose_secret()
        ));
    }
    let project_id = ProjectId(target.to_owned());
    if projects::lookup(&deps, &project_id).await?.is_none() {
        return Err(CommandError::Refused(format!("there is no project {target}")));
    }
    // Whoever may run commands on this machine administers every project.
    let operator = Actor::new(project_id.clone(), Level::Admin, None);
    let made = projects::create_key_set(&deps, &operator, NewKeySet::lasting(&deps, "postern keys")).await?;
    say(project_keys("A new set of keys; older ones stay valid", &project_id, &made.keys))
}
