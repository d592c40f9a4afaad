//! The part of the installation's settings that rules depend on. Read and checked by the root, handed in.

use std::collections::BTreeMap;

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

use crate::{oauth::ProviderKind, ports::mail::MailServer, webhooks::Secret};

/// How long a refresh token lives unless told otherwise.
pub const DEFAULT_SESSION_SECONDS: i64 = 365 * 24 * 60 * 60;

/// Mails per hour that every project may send unless told otherwise (wire: emails §6).
pub const DEFAULT_MAILS_PER_HOUR: f64 = 200.0;

/// Days for which payloads of webhooks are kept unless told otherwise (wire: webhooks §5).
pub const DEFAULT_WEBHOOK_RETENTION_DAYS: i64 = 90;

/// How long codes in mails live unless told otherwise (wire: auth §4).
pub const DEFAULT_CODE_SECONDS: i64 = 7 * 24 * 60 * 60;

/// Settings that rules depend on.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The URL that the outside uses; no slash at its end. In issuers, links and callbacks.
    pub public_url: Url,
    /// Local mode: mailbox page, GraphiQL with demo headers, demo project, loopback targets (design §1).
    pub local_mode: bool,
    /// Life of an access token.
    pub access_token_seconds: i64,
    /// Life of codes that are mailed: to sign in, to reset a password, to verify an address, of invitations.
    pub code_seconds: i64,
    /// Who may become a user of project `internal`.
    pub internal_sign_up: InternalSignUp,
    /// Private networks that outgoing calls may reach.
    pub allowed_subnets: Vec<IpNet>,
    /// Whether webhooks go to `https` URLs only.
    pub webhooks_https_only: bool,
    /// For how many days payloads of webhooks are kept.
    pub webhook_retention_days: i64,
    /// The installation's shared mail server; none in local mode means the local mailbox.
    pub shared_mail_server: Option<MailServer>,
    /// Name and address of the sender of mails through the shared server.
    pub mail_from: (String, String),
    /// Mails per hour that every project may send; more are earned by sending (wire: emails §6).
    pub mails_per_hour: f64,
    /// What signs the reports of the installation's account at its mail provider, newest first; none: there are no reports.
    pub mail_report_secrets: Vec<Secret>,
    /// What signs the events of Stripe, newest first; none: there are no events.
    pub stripe_webhook_secrets: Vec<SecretString>,
    /// What tells people from programs; none: nobody is challenged.
    pub turnstile: Option<Turnstile>,
    /// The installation's clients at providers, which projects share that have none of their own.
    pub shared_oauth: BTreeMap<ProviderKind, SharedOAuthClient>,
    /// Whether access tokens of these are handed out to projects.
    pub shared_oauth_gives_tokens: bool,
    /// Whether requests are rate limited. Attempt counters of codes always count.
    pub rate_limits: bool,
}

impl Settings {
    /// The life of codes that are mailed, for people: `7 days`.
    #[must_use]
    pub fn codes_valid_for(&self) -> String {
        let units = [(24 * 60 * 60, "day"), (60 * 60, "hour"), (60, "minute")];
        let (size, unit) = units.into_iter().find(|(size, _)| self.code_seconds % size == 0).unwrap_or((1, "second"));
        let count = self.code_seconds / size;
        format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
    }

    /// The base of the REST API, `<public URL>/api/v1`, as issuers and callbacks carry it.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("{}/api/v1", self.public_url.as_str().trim_end_matches('/'))
    }
}

/// A client of the installation's at a provider.
#[derive(Clone, Debug)]
pub struct SharedOAuthClient {
    /// Its id there.
    pub id: String,
    /// Its secret.
    pub secret: SecretString,
}

/// Cloudflare Turnstile.
#[derive(Clone, Debug)]
pub struct Turnstile {
    /// The secret key of the site.
    pub secret_key: SecretString,
    /// Where tokens are checked.
    pub verify_url: Url,
    /// Whether callers who say nothing of a challenge are refused.
    pub is_required: bool,
}

/// Who may become a user of project `internal`, and so an owner of projects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InternalSignUp {
    /// Anybody.
    Open,
    /// Only by a one-time link or an owner's invitation.
    Invite,
}
