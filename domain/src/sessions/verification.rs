//! Proving that a user holds an e-mail address: a code goes there, and whoever brings it back has proven it
//! (wire/users-teams-permissions §2).

use postern_entity::{ContactChannelId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    activity::ClientInfo,
    begin::user_id_does_not_exist,
    codes::{self, CodeKind, NewCode, OneTimeCode, Ticket},
    links::{LinkTarget, TrustedTarget},
};
use crate::{
    Actor, Code, Deps, ProjectId,
    db::Tx,
    email_address::EmailAddress,
    emails::{self, NewEmail, Recipient, Template},
    error::{Error, Failure, Result, refuse},
    identity::require_user_in_schema,
    limits, projects,
    users::{
        self,
        channels::{self, ContactChannel},
    },
};

/// Our own page that verifies an address.
pub const VERIFY_EMAIL_PAGE: &str = "/verify/email";

/// What a code for an address is bound to, beside its user.
#[derive(Serialize, Deserialize)]
struct Bound {
    email: EmailAddress,
}

/// Sends a code to a contact channel of a user.
///
/// # Errors
/// In this order: `REDIRECT_URL_NOT_WHITELISTED`; `BAD_REQUEST` for clients that name another user;
/// `USER_ID_DOES_NOT_EXIST`; `NOT_FOUND` when the user has no such channel; `EMAIL_ALREADY_VERIFIED`; `RATE_LIMITED`.
#[crate::boxed]
pub async fn send_verification(
    deps: &Deps,
    actor: &Actor,
    user_id: UserId,
    channel_id: ContactChannelId,
    target: LinkTarget,
    client: &ClientInfo,
) -> Result<()> {
    let target = resolve(deps, &actor.project_id, &target).await?;
    if !actor.is_server() && !actor.is_user(user_id) {
        return refuse(Failure::bad_request("A user can verify its own contact channels only."));
    }
    if users::find(deps, &actor.project_id, user_id).await?.is_none() {
        return refuse(user_id_does_not_exist(user_id));
    }
    let channel = channels::get(deps, actor, user_id, channel_id).await?;
    send_to(deps, actor, user_id, (&channel.value, channel.is_verified), &target, client).await
}

/// Sends a code to the primary address of the user the caller speaks for, if `email` is that address: the way of older
/// clients.
///
/// # Errors
/// In this order: `SCHEMA_ERROR`, also without a user; `REDIRECT_URL_NOT_WHITELISTED`; `EMAIL_IS_NOT_PRIMARY_EMAIL`;
/// `EMAIL_ALREADY_VERIFIED`; `RATE_LIMITED`.
#[crate::boxed]
pub async fn send_verification_to_primary(
    deps: &Deps,
    actor: &Actor,
    email: &str,
    target: LinkTarget,
    client: &ClientInfo,
) -> Result<()> {
    let user_id = require_user_in_schema(actor)?.id;
    let email = match EmailAddress::strict(email) {
        Ok(email) => email,
        Err(rule) => return refuse(Failure::schema(format!("email {rule}"))),
    };
    let target = resolve(deps, &actor.project_id, &target).await?;
    let user = users::get_own(deps, actor).await?;
    match &user.primary_email {
        Some(primary) if primary.address == email.as_str() => {
            send_to(deps, actor, user_id, (&primary.address, primary.is_verified), &target, client).await
        }
        primary => {
            let primary = primary.as_ref().map(|primary| &primary.address);
            refuse(
                Failure::new(Code::EmailIsNotPrimaryEmail, "This is not the primary e-mail address of the user.")
                    .with(json!({ "email": email, "primary_email": primary })),
            )
        }
    }
}

async fn resolve(deps: &Deps, project_id: &ProjectId, target: &LinkTarget) -> Result<TrustedTarget> {
    target.resolve(deps, &*projects::config(deps, project_id).await?, project_id, VERIFY_EMAIL_PAGE)
}

async fn send_to(
    deps: &Deps,
    actor: &Actor,
    user_id: UserId,
    (address, is_verified): (&str, bool),
    target: &TrustedTarget,
    client: &ClientInfo,
) -> Result<()> {
    if is_verified {
        return refuse(Failure::new(Code::EmailAlreadyVerified, "This e-mail address is verified already."));
    }
    let address = &EmailAddress::loose(address).map_err(Error::internal)?;
    limits::code_mailed(deps, actor, client, address).await?;
    deps.mutate(actor, "sessions.send_verification", |tx| async move {
        if !users::lock_in(&tx, &actor.project_id, user_id).await? {
            return refuse(user_id_does_not_exist(user_id));
        }
        send_in(deps, &tx, &actor.project_id, user_id, address, target).await
    })
    .await
}

/// Makes a code for an address of a user that the caller holds, and the mail that carries it.
pub(super) async fn send_in(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    user_id: UserId,
    address: &EmailAddress,
    target: &TrustedTarget,
) -> Result<()> {
    let new = NewCode {
        project_id: project_id.clone(),
        kind: CodeKind::EmailVerification,
        user_id: Some(user_id),
        data: serde_json::to_value(Bound { email: address.clone() }).map_err(Error::internal)?,
        ttl_seconds: deps.settings.code_seconds,
    };
    let issued = codes::issue(deps, tx, new).await?;
    let recipient = Recipient::UserCustomEmails { user_id, emails: vec![address.as_str().to_owned()] };
    let template = Template::EmailVerification { link: target.with_code(&issued.code) };
    emails::enqueue(tx, deps, NewEmail::new(project_id.clone(), recipient, template)).await?;
    Ok(())
}

/// Marks the address that a code was sent to as verified, on the user it was sent for; who brings the code does not matter.
///
/// # Errors
/// Those of codes; `BAD_REQUEST` when the user has no such address any more.
#[crate::boxed]
pub async fn verify_email(deps: &Deps, actor: &Actor, code: &OneTimeCode) -> Result<ContactChannel> {
    let ticket = Ticket { kind: CodeKind::EmailVerification, code, burns_when_refused: |_| true };
    codes::redeem(deps, actor, "sessions.verify_email", ticket, |tx, used| async move {
        let Some(user_id) = used.user_id else { return Err(Error::internal("a verification code without a user")) };
        let bound: Bound = serde_json::from_value(used.data).map_err(Error::internal)?;
        match channels::mark_verified(deps, &tx, &actor.project_id, user_id, &bound.email).await? {
            Some(channel) => Ok(channel),
            None => refuse(Failure::bad_request("The user does not have this e-mail address any more.")),
        }
    })
    .await
}

#[cfg(test)]
mod tests;
