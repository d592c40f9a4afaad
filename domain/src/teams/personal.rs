//! The team that a new user gets unasked, where the project wants it.

use super::{
    NewTeam, Team,
    create::{self, Creator},
    store,
};
use crate::{
    Deps, ProjectId, UserId,
    db::{NewRows, Tx},
    error::Result,
    projects::ProjectConfig,
    users::User,
};

/// What the team of a user without name and address is called.
const UNNAMED: &str = "Personal Team";

/// What the team of a user is called.
fn name_for(display_name: Option<&str>, primary_email: Option<&str>) -> String {
    match display_name.or(primary_email) {
        Some(owner) => format!("{owner}'s Team"),
        None => UNNAMED.to_owned(),
    }
}

/// Adds the personal team of a user whose rows were added before, selected. `is_told`: whether an event tells of it.
pub(crate) fn add_personal(
    deps: &Deps,
    rows: &mut NewRows,
    config: &ProjectConfig,
    user: &User,
    is_told: bool,
) -> Result<Team> {
    let display_name = name_for(user.display_name.as_deref(), user.primary_address());
    let creator = Some(Creator { user_id: user.id, config, selects: true });
    let new = NewTeam { display_name, ..NewTeam::default() };
    if is_told {
        create::add(deps, rows, &user.project_id, new, creator)
    } else {
        create::add_untold(deps, rows, &user.project_id, new, creator)
    }
}

/// Names the still unnamed teams of a user who has stopped being anonymous. Without name and address they stay unnamed.
/// No event is written (wire/projects-config-webhooks.md §8.2).
pub(crate) async fn rename_personal_in(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    user_id: UserId,
    display_name: Option<&str>,
    primary_email: Option<&str>,
) -> Result<()> {
    let name = name_for(display_name, primary_email);
    if name == UNNAMED {
        return Ok(());
    }
    store::rename_of_user(tx, project_id, user_id, UNNAMED, &name, deps.now()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_comes_from_the_user_then_the_address_then_nothing() {
        assert_eq!(name_for(Some("Ada"), Some("a@b")), "Ada's Team");
        assert_eq!(name_for(None, Some("a@b")), "a@b's Team");
        assert_eq!(name_for(None, None), "Personal Team");
    }
}
