//! Deleting a team.

use serde_json::json;

use super::{read::not_found, store};
use crate::{
    Actor, Deps, TeamId,
    error::{Result, refuse},
    events::{self, EventKind, NewEvent},
    items::Customer,
    payments, permissions,
    signal::Signal,
};

/// Deletes a team with its memberships, what was granted in it, and its keys. Only the end of the team is told.
///
/// # Errors
/// Clients: `USER_AUTHENTICATION_REQUIRED`; `TEAM_MEMBERSHIP_NOT_FOUND`; `TEAM_PERMISSION_REQUIRED` without `$delete_team`.
/// Servers: `TEAM_NOT_FOUND`.
#[crate::boxed]
pub async fn delete(deps: &Deps, actor: &Actor, id: TeamId) -> Result<()> {
    let project_id = &actor.project_id;
    deps.mutate(actor, "teams.delete", |tx| async move {
        permissions::require_in_team(deps, &*tx, actor, id, "$delete_team").await?;
        if !store::delete(&tx, project_id, id).await? {
            return refuse(not_found(id));
        }
        payments::end_all_at_stripe(deps, &tx, project_id, &Customer::team(id)).await?;
        // Its keys went with it.
        tx.raise(Signal::TeamDeleted { team_id: id });
        let payload = json!({ "id": id });
        let kind = EventKind::TeamDeleted;
        let event = NewEvent { project_id: project_id.clone(), kind, user_id: None, team_id: Some(id), payload };
        events::record(deps, &tx, event).await
    })
    .await
}
