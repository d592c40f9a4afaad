//! Telling customers what they paid, and what they could not pay (wire: payments §9): a user itself, those who administer a
//! team. Once, however often Stripe tells of it.

use postern_entity::ProjectId;

use crate::{
    Deps, TeamId, UserId,
    db::Tx,
    emails::{self, NewEmail, Recipient, Template},
    error::Result,
    items::Customer,
    permissions, users,
};

/// What a member of a team holds who is told of its payments.
const TEAM_ADMIN: &str = "team_admin";
/// Nobody's team has more administrators than are written to.
const MAX_RECIPIENTS: usize = 50;

/// Whom to write to. Nobody knows who custom customers are.
pub(super) async fn recipients(deps: &Deps, project_id: &ProjectId, customer: &Customer) -> Result<Vec<UserId>> {
    if let Some(user_id) = customer.user_id() {
        let is_there = users::find(deps, project_id, user_id).await?.is_some();
        return Ok(is_there.then_some(user_id).into_iter().collect());
    }
    let Some(team_id): Option<TeamId> = customer.team_id() else { return Ok(Vec::new()) };
    let mut holders = permissions::holders_in_team(deps, project_id, team_id, TEAM_ADMIN).await?;
    holders.truncate(MAX_RECIPIENTS);
    Ok(holders)
}

/// Puts the mail into the outbox for each of them, once by `key`.
pub(super) async fn tell(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    to: &[UserId],
    template: &Template,
    key: &str,
) -> Result<()> {
    for user_id in to {
        let recipient = Recipient::UserPrimaryEmail { user_id: *user_id };
        let mail = NewEmail {
            dedup_key: Some(format!("{key}/{user_id}")),
            ..NewEmail::new(project_id.clone(), recipient, template.clone())
        };
        emails::enqueue(tx, deps, mail).await?;
    }
    Ok(())
}
