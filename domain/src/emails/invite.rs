//! Inviting somebody to sign in (wire: emails §11).

use super::{NewEmail, Recipient, Template, enqueue};
use crate::{
    Actor, Deps, Failure,
    email_address::EmailAddress,
    error::{Error, Result, refuse},
    limits, projects,
    sessions::ClientInfo,
};

/// Mails an invitation to sign in to the caller's project, whoever holds the address. The link leads to `callback_url` as it
/// is: there is no code in it.
///
/// # Errors
/// `FORBIDDEN` below server level; `SCHEMA_ERROR`; `REDIRECT_URL_NOT_WHITELISTED`; `RATE_LIMITED`.
#[crate::boxed]
pub async fn invite_to_sign_in(
    deps: &Deps,
    actor: &Actor,
    email: &str,
    callback_url: &str,
    client: &ClientInfo,
) -> Result<()> {
    if !actor.is_server() {
        return refuse(Failure::forbidden("inviting somebody to sign in needs server access"));
    }
    let project_id = &actor.project_id;
    let address = &match EmailAddress::loose(email) {
        Ok(address) => address,
        Err(rule) => return refuse(Failure::schema(format!("email {rule}"))),
    };
    let config = projects::config(deps, project_id).await?;
    let link = &projects::trusted_url(&config, callback_url)?.to_string();
    let Some(project) = projects::lookup(deps, project_id).await? else {
        return Err(Error::internal("the project of a caller is gone"));
    };
    let name = &project.display_name;
    limits::code_mailed(deps, actor, client, address).await?;
    deps.mutate(actor, "emails.invite_to_sign_in", |tx| async move {
        let recipient = Recipient::CustomEmails { emails: vec![address.as_str().to_owned()] };
        let template = Template::SignInInvitation { link: link.clone(), team_display_name: name.clone() };
        enqueue(&tx, deps, NewEmail::new(project_id.clone(), recipient, template)).await.map(drop)
    })
    .await
}
