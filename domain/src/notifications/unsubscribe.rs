//! Unsubscribing by a link in a mail. Opening the link changes nothing, because programs that check mails for harm open
//! links; a button does, or the one POST by which a mail program unsubscribes (RFC 8058). The upstream contract lets the GET
//! act; its own notes call that a fault.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use super::{category::Category, preferences::choose_in};
use crate::{
    Actor, Code, Deps, Level, ProjectId, UserId,
    db::Tx,
    error::{Error, Result, refuse},
    projects,
    sessions::{
        CodeKind, OneTimeCode,
        codes::{self, NewCode, Ticket},
    },
    users,
};

/// Our page behind the link.
pub const UNSUBSCRIBE_PAGE: &str = "/unsubscribe";
/// How long a link works (wire §7).
const LINK_SECONDS: i64 = 30 * 24 * 60 * 60;

/// What a code is bound to, beside its user.
#[derive(Serialize, Deserialize)]
struct Bound {
    category_id: Uuid,
}

/// What a link is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsubscription {
    /// Name of the project whose mails they are.
    pub project_display_name: String,
    /// Name of the category.
    pub category: &'static str,
    /// Whether the link was used before.
    pub is_done: bool,
}

/// Makes a code that stops mails of a category to a user, and the link that carries it, in the transaction that
/// makes the mail.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn issue_link(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    user_id: UserId,
    category: &Category,
) -> Result<SecretString> {
    let new = NewCode {
        project_id: project_id.clone(),
        kind: CodeKind::Unsubscribe,
        user_id: Some(user_id),
        data: serde_json::to_value(Bound { category_id: category.id }).map_err(Error::internal)?,
        ttl_seconds: LINK_SECONDS,
    };
    let issued = codes::issue(deps, tx, new).await?;
    let mut url: Url = deps.settings.public_url.clone();
    url.set_path(UNSUBSCRIBE_PAGE);
    Ok(crate::sessions::links::TrustedTarget::own(url).with_code(&issued.code))
}

/// What the link with this code is about. Changes nothing.
///
/// # Errors
/// `VERIFICATION_CODE_NOT_FOUND`, `VERIFICATION_CODE_EXPIRED`.
#[crate::boxed]
pub async fn ask(deps: &Deps, code: &OneTimeCode) -> Result<Unsubscription> {
    let found = find(deps, code).await?;
    if !found.is_used && found.is_expired {
        return refuse(codes::expired());
    }
    described(deps, &found.project_id, &found.data, found.is_used).await
}

/// Stops the mails that the link with this code is about. A link that was used before has stopped them already.
///
/// # Errors
/// `VERIFICATION_CODE_NOT_FOUND`, `VERIFICATION_CODE_EXPIRED`.
#[crate::boxed]
pub async fn unsubscribe(deps: &Deps, code: &OneTimeCode) -> Result<Unsubscription> {
    let found = find(deps, code).await?;
    let project_id = &found.project_id;
    let actor = &Actor::new(project_id.clone(), Level::Client, None);
    let ticket = Ticket { kind: CodeKind::Unsubscribe, code, burns_when_refused: |_| false };
    let done = codes::redeem(deps, actor, "notifications.unsubscribe", ticket, |tx, used| async move {
        let Some(user_id) = used.user_id else { return Err(Error::internal("an unsubscribe code without a user")) };
        // A user who is gone gets no mails either.
        if users::lock_in(&tx, project_id, user_id).await? {
            choose_in(deps, &tx, project_id, user_id, category(&used.data)?, false).await?;
        }
        Ok(())
    })
    .await;
    match done {
        Err(Error::Refused(failure)) if failure.code == Code::VerificationCodeAlreadyUsed => {}
        outcome => outcome?,
    }
    described(deps, project_id, &found.data, true).await
}

async fn find(deps: &Deps, code: &OneTimeCode) -> Result<codes::Found> {
    match codes::find_anywhere(deps, CodeKind::Unsubscribe, code).await? {
        Some(found) => Ok(found),
        None => refuse(codes::not_found()),
    }
}

async fn described(
    deps: &Deps,
    project_id: &ProjectId,
    data: &serde_json::Value,
    is_done: bool,
) -> Result<Unsubscription> {
    match projects::lookup(deps, project_id).await? {
        Some(project) => Ok(Unsubscription {
            project_display_name: project.display_name.clone(),
            category: category(data)?.name,
            is_done,
        }),
        None => refuse(codes::not_found()),
    }
}

fn category(data: &serde_json::Value) -> Result<&'static Category> {
    let bound = Bound::deserialize(data).map_err(Error::internal)?;
    Category::of(bound.category_id).ok_or_else(|| Error::internal("an unsubscribe code of an unknown category"))
}
