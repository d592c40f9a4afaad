//! Putting a mail into the outbox, in the transaction of its cause.

use postern_entity::{EmailId, ProjectId, UserId};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    compose::{self, Composition, Origin, Theme},
    seal::{SecretVariables, redact},
    store,
    template::{self, BuiltInTemplate},
};
use crate::{
    db::Tx,
    deps::Deps,
    error::{Error, Result},
};

/// How many addresses one mail may go to.
pub(super) const MAX_ADDRESSES: usize = 50;

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

/// To whom a mail goes; also its form on the wire. Addresses and the state of the account are looked at when it is sent, not
/// when it is enqueued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[schemars(rename = "EmailTo")]
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
    /// The user, if it goes to one.
    #[must_use]
    pub fn user_id(&self) -> Option<UserId> {
        self.parts().1
    }

    pub(super) fn parts(&self) -> (&'static str, Option<UserId>, &[String]) {
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
    /// Signs the user in, by a link or by a code that is typed.
    MagicLink {
        /// Callback URL with the code in its parameter `code`.
        link: SecretString,
        /// The first characters of the code, in capitals.
        otp: SecretString,
    },
    /// Invites somebody into a team.
    TeamInvitation {
        /// Callback URL with the code in its parameter `code`.
        link: SecretString,
        /// Name of the team.
        team_display_name: String,
    },
    /// Invites somebody to sign in.
    SignInInvitation {
        /// Where to.
        link: String,
        /// To what.
        team_display_name: String,
    },
    /// Tells what was paid.
    PaymentReceipt {
        /// What was bought.
        product_name: String,
        /// How many.
        quantity: i64,
        /// How much was paid, with its currency, for people.
        amount: String,
        /// Where the receipt is.
        receipt_link: Option<String>,
    },
    /// Tells that a payment failed.
    PaymentFailed {
        /// What was to be bought.
        product_name: String,
        /// How much was to be paid, with its currency, for people.
        amount: String,
        /// Where to pay.
        invoice_url: Option<String>,
        /// Why, for people.
        failure_reason: Option<String>,
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
    /// Tells the owner of a project that mails of it failed.
    FailedEmails {
        /// The project.
        project_name: String,
        /// How many.
        count: u64,
        /// Subjects of some of them.
        subjects: Vec<String>,
    },
    /// Tells the owner of a project that a webhook endpoint of it was disabled.
    WebhookEndpointDisabled {
        /// The project.
        project_name: String,
        /// Where it is.
        url: String,
        /// It said so itself, rather than failing for days.
        is_gone: bool,
    },
}

impl Template {
    /// Its source, and what it is made from. One that a project can change has no source yet.
    fn source(&self) -> (&'static str, Origin) {
        let of_project = |BuiltInTemplate { id, .. }| ("", Origin::Template(id.to_owned()));
        match self {
            Self::EmailVerification { .. } => of_project(template::EMAIL_VERIFICATION),
            Self::PasswordReset { .. } => of_project(template::PASSWORD_RESET),
            Self::MagicLink { .. } => of_project(template::MAGIC_LINK),
            Self::TeamInvitation { .. } => of_project(template::TEAM_INVITATION),
            Self::SignInInvitation { .. } => of_project(template::SIGN_IN_INVITATION),
            Self::PaymentReceipt { .. } => of_project(template::PAYMENT_RECEIPT),
            Self::PaymentFailed { .. } => of_project(template::PAYMENT_FAILED),
            Self::ApiKeyRevoked { .. } => (template::API_KEY_REVOKED, Origin::Source),
            Self::FailedEmails { .. } => (template::FAILED_EMAILS, Origin::Source),
            Self::WebhookEndpointDisabled { .. } => (template::WEBHOOK_ENDPOINT_DISABLED, Origin::Source),
        }
    }

    /// The variables that may be shown, and those that may not, under their names on the wire.
    fn variables(self) -> (Map<String, Value>, SecretVariables) {
        let (mut shown, mut secret) = (Map::new(), SecretVariables::new());
        let mut show = |name: &str, value: Value| drop(shown.insert(name.to_owned(), value));
        let mut hide = |name: &str, value: SecretString| drop(secret.insert(name.to_owned(), value));
        match self {
            Self::EmailVerification { link } => hide("emailVerificationLink", link),
            Self::PasswordReset { link } => hide("passwordResetLink", link),
            Self::MagicLink { link, otp } => {
                hide("magicLink", link);
                hide("otp", otp);
            }
            Self::TeamInvitation { link, team_display_name } => {
                show("teamDisplayName", team_display_name.into());
                hide("teamInvitationLink", link);
            }
            Self::SignInInvitation { link, team_display_name } => {
                show("teamDisplayName", team_display_name.into());
                show("signInInvitationLink", link.into());
            }
            Self::PaymentReceipt { product_name, quantity, amount, receipt_link } => {
                show("productName", product_name.into());
                show("quantity", quantity.into());
                show("amount", amount.into());
                show("receiptLink", receipt_link.into());
            }
            Self::PaymentFailed { product_name, amount, invoice_url, failure_reason } => {
                show("productName", product_name.into());
                show("amount", amount.into());
                show("invoiceUrl", invoice_url.into());
                show("failureReason", failure_reason.into());
            }
            Self::ApiKeyRevoked { description, last_four, team_display_name } => {
                show("description", description.into());
                show("lastFour", last_four.into());
                show("teamDisplayName", team_display_name.into());
            }
            Self::FailedEmails { project_name, count, subjects } => {
                show("projectName", project_name.into());
                show("count", count.into());
                show("subjects", subjects.into());
            }
            Self::WebhookEndpointDisabled { project_name, url, is_gone } => {
                show("projectName", project_name.into());
                show("url", url.into());
                show("isGone", is_gone.into());
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
    if recipient.parts().2.len() > MAX_ADDRESSES {
        return Err(Error::internal(format!("a mail to more than {MAX_ADDRESSES} addresses")));
    }
    let (source, origin) = template.source();
    let (variables, secret) = template.variables();
    let composition = Composition {
        source: source.to_owned(),
        origin,
        theme: Theme::Selected,
        subject: None,
        category_id: None,
        is_high_priority: true,
        is_awaited: true,
        scheduled_at: None,
        variables,
        skip_deliverability_check,
    };
    compose::insert(tx, deps, &project_id, &recipient, composition, &secret, dedup_key).await
}
