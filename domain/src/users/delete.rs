//! Deleting a user, with everything that is its own. Its teams stay.

use serde_json::json;

use super::{not_found, read::no_own_user, store};
use crate::{
    Actor, Deps, Failure, ProjectId, TeamId, UserId,
    db::Tx,
    error::{Result, refuse},
    events::{self, EventKind, NewEvent},
    items::Customer,
    payments, projects,
    signal::Signal,
    teams,
};

/// Deletes a user, for servers.
///
/// # Errors
/// `FORBIDDEN` for clients; `USER_NOT_FOUND`.
#[crate::boxed]
pub async fn delete(deps: &Deps, actor: &Actor, id: UserId) -> Result<()> {
    if !actor.is_server() {
        return refuse(Failure::forbidden("Only servers can delete other users."));
    }
    run(deps, actor, id).await
}

/// Deletes the user the caller speaks for.
///
/// # Errors
/// `CANNOT_GET_OWN_USER_WITHOUT_USER`; `BAD_REQUEST` for clients where the project does not let users delete themselves;
/// `USER_NOT_FOUND` when it is gone already.
#[crate::boxed]
pub async fn delete_own(deps: &Deps, actor: &Actor) -> Result<()> {
    let Some(id) = actor.user_id() else { return refuse(no_own_user()) };
    let config = projects::config(deps, &actor.project_id).await?;
    if !actor.is_server() && !config.users.allow_client_user_deletion {
        return refuse(Failure::bad_request("This project does not let users delete themselves."));
    }
    run(deps, actor, id).await
}

async fn run(deps: &Deps, actor: &Actor, id: UserId) -> Result<()> {
    deps.mutate(actor, "users.delete", |tx| async move { delete_in(deps, &tx, &actor.project_id, id).await }).await
}

async fn delete_in(deps: &Deps, tx: &Tx, project_id: &ProjectId, id: UserId) -> Result<()> {
    if !store::lock_to_delete(tx, project_id, id).await? {
        return refuse(not_found());
    }
    payments::end_all_at_stripe(deps, tx, project_id, &Customer::user(id)).await?;
    let teams = teams::memberships_of(&**tx, project_id, id).await?;
    // Its sessions go with it.
    store::delete(tx, project_id, id).await?;
    tx.raise(Signal::UserSignedOut { user_id: id });
    events::record_all(deps, tx, deletion_events(project_id, id, &teams)).await?;
    events::erase_user(deps, tx, project_id, id).await
}

/// One event per team left, then the end of the user.
fn deletion_events(project_id: &ProjectId, id: UserId, teams: &[TeamId]) -> Vec<NewEvent> {
    let event =
        |kind, team_id, payload| NewEvent { project_id: project_id.clone(), kind, user_id: Some(id), team_id, payload };
    let left = teams.iter().map(|team_id| {
        let payload = json!({ "team_id": team_id, "user_id": id });
        event(EventKind::TeamMembershipDeleted, Some(*team_id), payload)
    });
    let teams: Vec<_> = teams.iter().map(|team_id| json!({ "id": team_id })).collect();
    let gone = event(EventKind::UserDeleted, None, json!({ "id": id, "teams": teams }));
    left.chain([gone]).collect()
}
