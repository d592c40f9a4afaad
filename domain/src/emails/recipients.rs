//! Who gets a mail, decided when it is about to be sent.

use postern_entity::email;
use sea_orm::ConnectionTrait;

use super::store;
use crate::{
    error::{Error, Result},
    notifications,
};

/// What the recipient of a row amounts to right now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Recipients {
    /// These addresses; at least one.
    Addresses(Vec<String>),
    /// Nobody, and why.
    Nobody(SkipReason),
}

/// Why a mail is not sent (wire: emails §1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SkipReason {
    UserAccountDeleted,
    UserHasNoPrimaryEmail,
    NoEmailProvided,
    UserUnsubscribed,
}

impl SkipReason {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::UserAccountDeleted => "USER_ACCOUNT_DELETED",
            Self::UserHasNoPrimaryEmail => "USER_HAS_NO_PRIMARY_EMAIL",
            Self::NoEmailProvided => "NO_EMAIL_PROVIDED",
            Self::UserUnsubscribed => "USER_UNSUBSCRIBED",
        }
    }
}

/// The addresses of `email`: the first rule that fits (wire: emails §7).
pub(super) async fn recipients<C: ConnectionTrait>(connection: &C, email: &email::Model) -> Result<Recipients> {
    let given: Vec<String> = serde_json::from_value(email.recipient_emails.clone()).map_err(Error::internal)?;
    let Some(user_id) = email.recipient_user_id else {
        return Ok(some(given, SkipReason::NoEmailProvided));
    };
    if !store::user_exists(connection, &email.project_id, user_id).await? {
        return Ok(Recipients::Nobody(SkipReason::UserAccountDeleted));
    }
    if let Some(category_id) = email.rendered_category_id
        && !notifications::is_wanted(connection, &email.project_id, user_id, category_id).await?
    {
        return Ok(Recipients::Nobody(SkipReason::UserUnsubscribed));
    }
    if !given.is_empty() {
        return Ok(Recipients::Addresses(given));
    }
    let primary = store::primary_email(connection, &email.project_id, user_id).await?;
    let nobody = if email.recipient_kind == store::USER_PRIMARY_EMAIL {
        SkipReason::UserHasNoPrimaryEmail
    } else {
        SkipReason::NoEmailProvided
    };
    Ok(some(primary.into_iter().collect(), nobody))
}

fn some(addresses: Vec<String>, otherwise: SkipReason) -> Recipients {
    if addresses.is_empty() { Recipients::Nobody(otherwise) } else { Recipients::Addresses(addresses) }
}
