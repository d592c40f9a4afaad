//! Invitations into teams (wire/users-teams-permissions §4): a code is mailed to an address, and whoever brings it within 7
//! days becomes a member. A user who has proven to hold the address can also find and accept the invitation without the code.
//!
//! The link of a mail leads to the application, or to a page of ours, where people join with a password (`page.rs`).
//!
//! Sending twice to one address makes two invitations. An invitation that was accepted or taken back is gone.

mod accept;
mod page;
mod read;
mod send;
mod store;

use postern_entity::team_invitation;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use self::{
    accept::{accept, accept_by_code, invited_team},
    page::{TEAM_INVITATION_PAGE, WayIn, Welcome, join_by_page, may_try_again, welcome},
    read::{get, of_recipient, of_team},
    send::{revoke, send},
};
use crate::{
    ProjectId, TeamId, TeamInvitationId, Timestamp, UserId,
    events::{EventKind, NewEvent},
};

/// An invitation that can be accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// The invitation; not the code.
    pub id: TeamInvitationId,
    /// Where to.
    pub team_id: TeamId,
    /// Name of the team; may be empty.
    pub team_display_name: String,
    /// From then on it is good for nothing.
    pub expires_at: Timestamp,
    /// Whom it was mailed to, normalised.
    pub recipient_email: String,
}

impl Invitation {
    fn new(row: team_invitation::Model, team_display_name: String) -> Self {
        Self {
            id: row.id,
            team_id: row.team_id,
            team_display_name,
            expires_at: row.expires_at,
            recipient_email: row.recipient_email,
        }
    }
}

/// An event about an invitation; `user_id` is who accepted it.
fn event(
    project_id: &ProjectId,
    kind: EventKind,
    (id, team_id): (TeamInvitationId, TeamId),
    user_id: Option<UserId>,
) -> NewEvent {
    let mut payload = Map::from_iter([("id".to_owned(), json!(id)), ("team_id".to_owned(), json!(team_id))]);
    if let Some(user_id) = user_id {
        payload.insert("user_id".to_owned(), json!(user_id));
    }
    NewEvent { project_id: project_id.clone(), kind, user_id, team_id: Some(team_id), payload: Value::Object(payload) }
}

#[cfg(test)]
mod tests;
