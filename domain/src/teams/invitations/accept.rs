//! Accepting invitations.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{event, read::require_own, store};
use crate::{
    Actor, Code, Deps, Failure, TeamInvitationId, UserId,
    db::Tx,
    error::{Error, Result, refuse},
    events::{self, EventKind},
    identity::require_user,
    items::seats,
    projects::{self, ProjectConfig},
    sessions::{
        CodeKind, OneTimeCode,
        codes::{self, Ticket},
    },
    teams::{
        Team,
        members::{Membership, join_in},
        read::is_member_in,
        store as teams,
    },
    users::{self, RestrictedReason},
};

/// What a code of an invitation is bound to.
#[derive(Deserialize)]
pub(super) struct Bound {
    invitation_id: TeamInvitationId,
}

impl Bound {
    pub(super) fn of(data: Value) -> Result<TeamInvitationId> {
        serde_json::from_value(data).map(|bound: Self| bound.invitation_id).map_err(Error::internal)
    }
}

/// Makes the signed-in user a member of the team that a code invites into, if the invited address is one of the user's: the
/// code was mailed there, so it need not be verified. Being a member already is fine. The code is used up even when the caller
/// may not use it, as the contract has it, but not when the address is another's or the team has no seat left: then it stays
/// good for whom it was meant, and for when there is a seat.
///
/// # Errors
/// Those of codes; `USER_AUTHENTICATION_REQUIRED`; `TEAM_INVITATION_RESTRICTED_USER_NOT_ALLOWED`;
/// `TEAM_INVITATION_EMAIL_MISMATCH`. In project `internal`: `ITEM_QUANTITY_INSUFFICIENT_AMOUNT`.
#[crate::boxed]
pub async fn accept_by_code(deps: &Deps, actor: &Actor, code: &OneTimeCode) -> Result<Membership> {
    let ticket = Ticket {
        kind: CodeKind::TeamInvitation,
        code,
        burns_when_refused: |code| {
            !matches!(code, Code::ItemQuantityInsufficientAmount | Code::TeamInvitationEmailMismatch)
        },
    };
    let config = &*projects::config(deps, &actor.project_id).await?;
    codes::redeem(deps, actor, "teams.accept_invitation_by_code", ticket, |tx, used| async move {
        let user_id = require_user(actor)?.id;
        require_unrestricted(&tx, config, actor, user_id).await?;
        let id = Bound::of(used.data)?;
        if store::find(&*tx, &actor.project_id, id).await?.is_none() {
            return refuse(codes::not_found());
        }
        if !store::is_invited(&*tx, &actor.project_id, id, user_id).await? {
            let text = "This invitation went to another address: sign in with that one, or add it to your account.";
            return refuse(Failure::new(Code::TeamInvitationEmailMismatch, text));
        }
        join(deps, &tx, config, actor, id, user_id).await
    })
    .await
}

/// The team that a code invites into, for a caller who could use the code. Counts as an attempt, and does not use it up.
///
/// # Errors
/// Those of [`accept_by_code`].
#[crate::boxed]
pub async fn invited_team(deps: &Deps, actor: &Actor, code: &OneTimeCode) -> Result<Team> {
    let project_id = &actor.project_id;
    let found = codes::look_at(deps, project_id, CodeKind::TeamInvitation, code).await?;
    let user_id = require_user(actor)?.id;
    let Some(user) = users::find(deps, project_id, user_id).await? else { return refuse(users::not_found()) };
    refuse_restricted(user.restricted_reason)?;
    let team_id = match store::find(deps.db.read(), project_id, Bound::of(found.data)?).await? {
        Some(invitation) => invitation.team_id,
        None => return refuse(codes::not_found()),
    };
    match teams::find(deps.db.read(), project_id, &[team_id]).await?.pop() {
        Some(team) => Ok(team.into()),
        None => refuse(codes::not_found()),
    }
}

/// Makes a user a member of the team that an invitation to one of its verified addresses leads into.
///
/// # Errors
/// Clients: `CANNOT_GET_OWN_USER_WITHOUT_USER` for another user; `TEAM_INVITATION_RESTRICTED_USER_NOT_ALLOWED`. Then
/// `USER_NOT_FOUND`; `VERIFICATION_CODE_NOT_FOUND` when there is no such invitation to an address of the user. In project
/// `internal`: `ITEM_QUANTITY_INSUFFICIENT_AMOUNT`.
#[crate::boxed]
pub async fn accept(deps: &Deps, actor: &Actor, id: TeamInvitationId, user_id: UserId) -> Result<Membership> {
    require_own(actor, user_id)?;
    let (config, project_id) = (&*projects::config(deps, &actor.project_id).await?, &actor.project_id);
    deps.mutate(actor, "teams.accept_invitation", |tx| async move {
        if !actor.is_server() {
            require_unrestricted(&tx, config, actor, user_id).await?;
        }
        // The code first, as whoever brings it does.
        let Some(invitation) = store::find(&*tx, project_id, id).await? else { return refuse(codes::not_found()) };
        if !codes::withdraw(deps, &tx, project_id, invitation.code_id).await? {
            return refuse(codes::not_found());
        }
        if !users::lock_in(&tx, project_id, user_id).await? {
            return refuse(users::not_found());
        }
        if store::of_recipient(&*tx, project_id, user_id, Some(id), deps.now()).await?.is_empty() {
            return refuse(codes::not_found());
        }
        join(deps, &tx, config, actor, id, user_id).await
    })
    .await
}

/// Uses an invitation up whose code is used up already.
pub(super) async fn join(
    deps: &Deps,
    tx: &Tx,
    config: &ProjectConfig,
    actor: &Actor,
    id: TeamInvitationId,
    user_id: UserId,
) -> Result<Membership> {
    let project_id = &actor.project_id;
    let Some(invitation) = store::find(&**tx, project_id, id).await? else { return refuse(codes::not_found()) };
    let team_id = invitation.team_id;
    if !users::lock_in(tx, project_id, user_id).await? {
        return refuse(users::not_found());
    }
    if teams::lock(tx, project_id, team_id).await?.is_none() || !store::remove(tx, project_id, id).await? {
        return refuse(codes::not_found());
    }
    let accepted = event(project_id, EventKind::TeamInvitationAccepted, (id, team_id), Some(user_id));
    events::record(deps, tx, accepted).await?;
    let membership = Membership { team_id, user_id };
    if is_member_in(&**tx, project_id, team_id, user_id).await? {
        return Ok(membership);
    }
    let members = teams::count_members(&**tx, project_id, team_id).await?;
    seats::require_free(deps, tx, config, project_id, team_id, members).await?;
    join_in(deps, tx, config, project_id, membership).await
}

pub(super) async fn require_unrestricted(
    tx: &Tx,
    config: &ProjectConfig,
    actor: &Actor,
    user_id: UserId,
) -> Result<()> {
    match users::find_in(tx, config, &actor.project_id, user_id).await? {
        Some(user) => refuse_restricted(user.restricted_reason),
        None => refuse(users::not_found()),
    }
}

fn refuse_restricted(reason: Option<RestrictedReason>) -> Result<()> {
    let Some(reason) = reason else { return Ok(()) };
    let details = json!({ "restricted_reason": { "type": reason.as_str() } });
    let text = format!("A restricted user ({}) cannot accept invitations into teams.", reason.as_str());
    refuse(Failure::new(Code::TeamInvitationRestrictedUserNotAllowed, text).with(details))
}
