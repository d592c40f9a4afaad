//! Putting a mail into the outbox, in the transaction of its cause.

use postern_entity::{EmailId, ProjectId, UserId, email};
use sea_orm::{ActiveValue::Set, EntityTrait, TryInsertResult, sea_query::OnConflict};
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::{
    jobs::SendEmail,
    seal::{Column, SecretVariables, exposed, redact, seal},
    store,
    template::{self, BuiltInTemplate},
    theme::DEFAULT_THEME,
};
use crate::{
    db::Tx,
    deps::Deps,
    error::{Error, Result},
    queue::{self, Enqueue},
};

/// The secrets of a mail are of no use any longer than the codes in them live (wire: 7 days by default).
const SECRETS_LIVE_SECONDS: i64 = 7 * 24 * 60 * 60;
/// How many addresses one mail may go to.
const MAX_ADDRESSES: usize = 50;

/// A mail to be sent.
#[derive(Clone, Debug)]
pub struct NewEmail {
    /// Owner.
    pub project_id: ProjectId,
    /// To whom.
    pub recipient: Recipient,
    /// What it says.
    pub template: Template,
    /// Do not ask a deliverability checker: somebody is waiting for this very mail.
    pub skip_deliverability_check: bool,
    /// Names the cause when the cause may run twice: a second mail with the same key is not enqueued. Unique per project.
    pub dedup_key: Option<String>,
}

impl NewEmail {
    /// A mail from `template` that somebody waits for.
    #[must_use]
    pub fn new(project_id: ProjectId, recipient: Recipient, template: Template) -> Self {
        Self { project_id, recipient, template, skip_deliverability_check: true, dedup_key: None }
    }
}

/// To whom a mail goes. Addresses and the state of the account are looked at when it is sent, not when it is enqueued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// The primary address that the user has at that time.
    UserPrimaryEmail {
        /// Who.
        user_id: UserId,
    },
    /// These addresses of the user; the primary one when the list is empty.
    UserCustomEmails {
        /// Who.
        user_id: UserId,
        /// Where to.
        emails: Vec<String>,
    },
    /// These addresses, whoever holds them.
    CustomEmails {
        /// Where to.
        emails: Vec<String>,
    },
}

impl Recipient {
    fn parts(&self) -> (&'static str, Option<UserId>, &[String]) {
        match self {
            Self::UserPrimaryEmail { user_id } => (store::USER_PRIMARY_EMAIL, Some(*user_id), &[]),
            Self::UserCustomEmails { user_id, emails } => (store::USER_CUSTOM_EMAILS, Some(*user_id), emails),
            Self::CustomEmails { emails } => (store::CUSTOM_EMAILS, None, emails),
        }
    }
}

/// A built-in template with its variables. Links and codes are secrets: whoever holds them is let in.
#[derive(Clone, Debug)]
pub enum Template {
    /// Asks whether an address belongs to the user.
    EmailVerification {
        /// Callback URL with the code in its parameter `code`.
        link: SecretString,
    },
    /// Lets the user set a new password.
    PasswordReset {
        /// Callback URL with the code in its parameter `code`.
        link: SecretString,
    },
    /// Invites somebody into a team.
    TeamInvitation {
        /// Callback URL with the code in its parameter `code`.
        link: SecretString,
        /// Name of the team.
        team_display_name: String,
    },
    /// Tells of an API key that was found in public and revoked.
    ApiKeyRevoked {
        /// What its owner wrote about it.
        description: String,
        /// Its last four characters.
        last_four: String,
        /// The team it was of; none for a key of the recipient's own.
        team_display_name: Option<String>,
    },
}

impl Template {
    /// Its source, and its id among the templates of a project if it is one of those.
    fn source(&self) -> (&'static str, Option<&'static str>) {
        let of_project = |BuiltInTemplate { id, source, .. }| (source, Some(id));
        match self {
            Self::EmailVerification { .. } => of_project(template::EMAIL_VERIFICATION),
            Self::PasswordReset { .. } => of_project(template::PASSWORD_RESET),
            Self::TeamInvitation { .. } => of_project(template::TEAM_INVITATION),
            Self::ApiKeyRevoked { .. } => (template::API_KEY_REVOKED, None),
        }
    }

    /// The variables that may be shown, and those that may not, under their names on the wire.
    fn variables(self) -> (Map<String, Value>, SecretVariables) {
        let (mut shown, mut secret) = (Map::new(), SecretVariables::new());
        match self {
            Self::EmailVerification { link } => drop(secret.insert("emailVerificationLink".to_owned(), link)),
            Self::PasswordReset { link } => drop(secret.insert("passwordResetLink".to_owned(), link)),
            Self::TeamInvitation { link, team_display_name } => {
                shown.insert("teamDisplayName".to_owned(), team_display_name.into());
                secret.insert("teamInvitationLink".to_owned(), link);
            }
            Self::ApiKeyRevoked { description, last_four, team_display_name } => {
                shown.insert("description".to_owned(), description.into());
                shown.insert("lastFour".to_owned(), last_four.into());
                shown.insert("teamDisplayName".to_owned(), team_display_name.into());
            }
        }
        shown.extend(secret.iter().map(|(name, value)| (name.clone(), redact(value).into())));
        (shown, secret)
    }
}

/// Writes the mail into the outbox and enqueues the job that sends it. Answers its id; with a
/// [`NewEmail::dedup_key`] that was used before, the id of the mail that used it.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn enqueue(tx: &Tx, deps: &Deps, new: NewEmail) -> Result<EmailId> {
    let NewEmail { project_id, recipient, template, skip_deliverability_check, dedup_key } = new;
    let (kind, user_id, emails) = recipient.parts();
    if emails.len() > MAX_ADDRESSES {
        return Err(Error::internal(format!("a mail to more than {MAX_ADDRESSES} addresses")));
    }
    let (id, now) = (EmailId::random(), deps.now());
    let (source, template_id) = template.source();
    let (shown, secret) = template.variables();
    let sealed = if secret.is_empty() {
        None
    } else {
        Some(seal(&deps.keyring, (&project_id, id), Column::Variables, &exposed(&secret))?)
    };
    let row = email::ActiveModel {
        id: Set(id),
        project_id: Set(project_id.clone()),
        created_at: Set(now),
        updated_at: Set(now),
        dedup_key: Set(dedup_key.clone()),
        message_id: Set(message_id(deps, id)),
        template_source: Set(source.to_owned()),
        theme_id: Set(Some(DEFAULT_THEME.id.to_owned())),
        uses_selected_theme: Set(true),
        recipient_kind: Set(kind.to_owned()),
        recipient_user_id: Set(user_id),
        recipient_emails: Set(json!(emails)),
        variables: Set(Value::Object(shown)),
        secrets_expire_at: Set(sealed.as_ref().map(|_| now.plus_seconds(SECRETS_LIVE_SECONDS))),
        sealed_variables: Set(sealed),
        skip_deliverability_check: Set(skip_deliverability_check),
        is_high_priority: Set(true),
        scheduled_at: Set(now),
        created_with: Set(store::PROGRAMMATIC_CALL.to_owned()),
        template_id: Set(template_id.map(ToOwned::to_owned)),
        ..Default::default()
    };
    let once = OnConflict::columns([email::Column::ProjectId, email::Column::DedupKey]).do_nothing().to_owned();
    match email::Entity::insert(row).on_conflict(once).try_insert().exec_without_returning(&**tx).await? {
        TryInsertResult::Inserted(1..) => {
            let job = Enqueue::new(&SendEmail { project_id: project_id.clone(), email_id: id })?;
            queue::enqueue(deps, tx, job.project(project_id)).await?;
            Ok(id)
        }
        TryInsertResult::Inserted(0) | TryInsertResult::Conflicted | TryInsertResult::Empty => {
            let earlier = store::by_dedup_key(&**tx, &project_id, &dedup_key.unwrap_or_default()).await?;
            earlier.ok_or_else(|| Error::internal("a mail was neither inserted nor there before"))
        }
    }
}

/// Stable for all tries of the mail (RFC 5322 §3.6.4): the row's id at the host that people know.
fn message_id(deps: &Deps, id: EmailId) -> String {
    format!("{id}@{}", deps.settings.public_url.host_str().unwrap_or("localhost"))
}
