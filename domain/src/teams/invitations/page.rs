//! Accepting an invitation by our own page, for people who follow the link of a mail without an application at hand. A page
//! cannot know who is signed in, so the invited address and a password stand for that: the code proves the address, the
//! password the account. Who has no account yet makes one. Nobody is signed in by it.

use secrecy::SecretString;

use super::{
    accept::{Bound, join, require_unrestricted},
    store,
};
use crate::{
    Actor, Code, Deps, Failure, UserId,
    email_address::EmailAddress,
    error::{Error, Result, refuse},
    projects::{self, ProjectConfig},
    sessions::{
        ClientInfo, CodeKind, OneTimeCode,
        codes::{self, Ticket},
        new_password, offers_passwords, offers_sign_up, prove_password,
    },
    teams::{Membership, store as teams},
    users::{self, NewPrimaryEmail, NewUser},
};

/// Our own page that asks whether to join.
pub const TEAM_INVITATION_PAGE: &str = "/verify/team-invitation";

/// What the page tells of an invitation, to whoever holds its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Name of the team; may be empty.
    pub team_display_name: String,
    /// Whom it was mailed to.
    pub recipient_email: String,
    /// What it takes to join.
    pub way_in: WayIn,
}

/// What it takes to join by the page. Whoever holds a code got it at the invited address, so it may know whether somebody
/// signs in with that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayIn {
    /// The password of the account that signs in with the address.
    Password,
    /// A new password, for a new account.
    NewAccount,
    /// The application: the account has no password, or a second factor; or the project takes no passwords or no new people.
    Application,
}

/// What the page asks. Changes nothing and counts as no attempt: programs that check mails for harm open links.
///
/// # Errors
/// `VERIFICATION_CODE_NOT_FOUND`, `_EXPIRED`, `_ALREADY_USED`.
#[crate::boxed]
pub async fn welcome(deps: &Deps, actor: &Actor, code: &OneTimeCode) -> Result<Welcome> {
    let invited = invited(deps, actor, code).await?;
    let config = projects::config(deps, &actor.project_id).await?;
    let way_in = way_in(deps, actor, &config, &invited.address).await?;
    let recipient_email = invited.address.as_str().to_owned();
    Ok(Welcome { team_display_name: invited.team_display_name, recipient_email, way_in })
}

/// Whom a code invites where to.
struct Invited {
    team_display_name: String,
    address: EmailAddress,
}

async fn invited(deps: &Deps, actor: &Actor, code: &OneTimeCode) -> Result<Invited> {
    let (reader, project_id) = (deps.db.read(), &actor.project_id);
    let found = codes::find_anywhere(deps, CodeKind::TeamInvitation, code).await?;
    let Some(found) = found.filter(|found| found.project_id == *project_id) else { return refuse(codes::not_found()) };
    if found.is_used {
        return refuse(codes::already_used());
    }
    if found.is_expired {
        return refuse(codes::expired());
    }
    let Some(invitation) = store::find(reader, project_id, Bound::of(found.data)?).await? else {
        return refuse(codes::not_found());
    };
    let Some(team) = teams::find(reader, project_id, &[invitation.team_id]).await?.pop() else {
        return refuse(codes::not_found());
    };
    let address = EmailAddress::loose(&invitation.recipient_email).map_err(Error::internal)?;
    Ok(Invited { team_display_name: team.display_name, address })
}

async fn way_in(deps: &Deps, actor: &Actor, config: &ProjectConfig, address: &EmailAddress) -> Result<WayIn> {
    if !offers_passwords(config) {
        return Ok(WayIn::Application);
    }
    Ok(match users::credentials_by_email(deps, &actor.project_id, address).await? {
        Some(found) if found.user.has_password && !found.user.requires_totp_mfa => WayIn::Password,
        None if offers_sign_up(deps, actor, config) => WayIn::NewAccount,
        Some(_) | None => WayIn::Application,
    })
}

/// Joins the team that a code invites into: as the user who signs in with the invited address, if `password` is its own, or
/// as a new one with that password. Its address counts as verified, for the code proves it. Being a member already is fine.
///
/// # Errors
/// Those of [`welcome`]; `BAD_REQUEST` where only the application can do it. `RATE_LIMITED`. For a user: `SCHEMA_ERROR`,
/// `EMAIL_PASSWORD_MISMATCH`, `TEAM_INVITATION_RESTRICTED_USER_NOT_ALLOWED`. For a new one: `PASSWORD_TOO_SHORT`,
/// `PASSWORD_TOO_LONG`, `USER_EMAIL_ALREADY_EXISTS`. None of these uses the code up; `VERIFICATION_CODE_MAX_ATTEMPTS_REACHED`
/// after too many that were right about the password.
#[crate::boxed]
pub async fn join_by_page(
    deps: &Deps,
    actor: &Actor,
    code: &OneTimeCode,
    password: &SecretString,
    client: &ClientInfo,
) -> Result<Membership> {
    let Invited { address, .. } = invited(deps, actor, code).await?;
    let config = &*projects::config(deps, &actor.project_id).await?;
    let joiner = &match way_in(deps, actor, config, &address).await? {
        WayIn::Password => Joiner::User(prove_password(deps, actor, &address, password, client).await?),
        WayIn::NewAccount => {
            let hash = new_password(deps, actor, config, password, client).await?;
            let primary = NewPrimaryEmail { address, is_verified: true, used_for_auth: true };
            Joiner::New(Box::new(NewUser {
                primary_email: Some(primary),
                password_hash: Some(hash),
                ..NewUser::default()
            }))
        }
        WayIn::Application => {
            return refuse(Failure::bad_request("This invitation can be accepted in the application only."));
        }
    };
    let ticket = Ticket { kind: CodeKind::TeamInvitation, code, burns_when_refused: |_| false };
    codes::redeem(deps, actor, "teams.join_by_page", ticket, |tx, used| async move {
        let user_id = match joiner {
            Joiner::User(id) => *id,
            Joiner::New(new) => users::create_in(deps, &tx, config, &actor.project_id, new).await?.snapshot.id,
        };
        require_unrestricted(&tx, config, actor, user_id).await?;
        join(deps, &tx, config, actor, Bound::of(used.data)?, user_id).await
    })
    .await
}

/// Who joins.
enum Joiner {
    User(UserId),
    New(Box<NewUser>),
}

/// Whether somebody who was refused may try again at once, with another password.
#[must_use]
pub fn may_try_again(code: Code) -> bool {
    matches!(
        code,
        Code::EmailPasswordMismatch
            | Code::PasswordTooShort
            | Code::PasswordTooLong
            | Code::RateLimited
            | Code::SchemaError
            | Code::UserEmailAlreadyExists
    )
}

#[cfg(test)]
mod tests;
