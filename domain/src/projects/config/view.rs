//! The rendered config as rules read it: typed, complete, with the field names of the schema. A field is here once a rule
//! needs it; everything else is in the rendered JSON only.

mod auth;
mod payments;

use std::collections::{BTreeMap, BTreeSet};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize};

pub use self::{
    auth::{
        AppleBundle, Auth, MergeStrategy, OAuth, OAuthProvider, SignInMethod, SignUpAction, SignUpRule,
        SignUpRuleAction,
    },
    payments::{
        AddOnTo, CustomerType, IncludedItemConfig, ItemConfig, Payments, Prices, ProductConfig, ProductLineConfig,
    },
};
use crate::webhooks::Secret;

/// What a project allows and how it is set up. Every setting has its effective value.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectConfig {
    /// Keys of the project.
    pub project: ProjectSettings,
    /// Signing up and in.
    pub auth: Auth,
    /// What users may do with themselves.
    pub users: Users,
    /// Teams.
    pub teams: Teams,
    /// What a new user must do first.
    pub onboarding: Onboarding,
    /// Keys that users and teams make for themselves.
    pub api_keys: ApiKeys,
    /// Permissions and who gets which unasked.
    pub rbac: Rbac,
    /// Where browsers may be sent.
    pub domains: Domains,
    /// Mails.
    pub emails: Emails,
    /// Items and products.
    pub payments: Payments,
}

/// `project.*`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectSettings {
    /// Client requests must carry a publishable key.
    pub require_publishable_client_key: bool,
}

/// `users.*`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Users {
    /// Users may delete themselves.
    pub allow_client_user_deletion: bool,
}

/// `teams.*`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Teams {
    /// Every new user gets a team of their own, selected.
    pub create_personal_team_on_sign_up: bool,
    /// Users may make teams.
    pub allow_client_team_creation: bool,
}

/// `onboarding.*`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Onboarding {
    /// A user without a verified primary address is restricted.
    pub require_email_verification: bool,
}

/// `apiKeys.*`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeys {
    /// Who may have them.
    pub enabled: ApiKeysEnabled,
}

/// `apiKeys.enabled.*`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeysEnabled {
    /// Users.
    pub user: bool,
    /// Teams.
    pub team: bool,
}

/// `rbac.*`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rbac {
    /// The project's own definitions, by id.
    pub permissions: BTreeMap<String, PermissionDefinition>,
    /// What is granted unasked.
    pub default_permissions: DefaultPermissions,
}

/// `rbac.permissions.<id>`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PermissionDefinition {
    /// For people.
    pub description: Option<String>,
    /// Of a team or of the project; a definition without scope is in neither.
    pub scope: Option<PermissionScope>,
    /// What holding it includes.
    #[serde(deserialize_with = "set")]
    pub contained_permission_ids: BTreeSet<String>,
}

/// Where a permission is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PermissionScope {
    /// In one team.
    Team,
    /// In the whole project.
    Project,
}

impl PermissionScope {
    /// As config and wire spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::Project => "project",
        }
    }
}

/// `rbac.defaultPermissions.*`: ids, not checked to be defined.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DefaultPermissions {
    /// For whoever makes a team.
    #[serde(deserialize_with = "set")]
    pub team_creator: BTreeSet<String>,
    /// For whoever joins a team.
    #[serde(deserialize_with = "set")]
    pub team_member: BTreeSet<String>,
    /// For every new user, in the project.
    #[serde(deserialize_with = "set")]
    pub sign_up: BTreeSet<String>,
}

/// `domains.*`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Domains {
    /// Local addresses count as trusted.
    pub allow_localhost: bool,
    /// By config key.
    pub trusted_domains: BTreeMap<String, TrustedDomain>,
}

/// `domains.trustedDomains.<id>`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrustedDomain {
    /// URL or URL with wildcards; an entry without one is ignored.
    pub base_url: Option<String>,
    /// Path of the application's handler.
    pub handler_path: String,
}

/// `emails.*`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Emails {
    /// Always the id of a theme that is there.
    pub selected_theme_id: String,
    /// Themes by id, the built-in ones among them.
    pub themes: BTreeMap<String, EmailTheme>,
    /// Templates by id, the built-in ones among them.
    pub templates: BTreeMap<String, EmailTemplate>,
    /// Through which server mails leave.
    pub server: EmailServer,
}

/// `emails.themes.*`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EmailTheme {
    /// Its name, for people.
    pub display_name: String,
    /// Its source.
    pub tsx_source: String,
}

/// `emails.templates.*`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EmailTemplate {
    /// Its name, for people.
    pub display_name: String,
    /// Its source.
    pub tsx_source: String,
    /// Its own theme; the selected one when not given.
    pub theme_id: Option<ThemeChoice>,
}

/// `emails.templates.*.themeId`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum ThemeChoice {
    /// This one.
    Id(String),
    /// None; the schema lets only `false` through.
    None(bool),
}

/// `emails.server.*`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EmailServer {
    /// The installation's own server is used; nothing else counts.
    pub is_shared: bool,
    /// `resend`, `smtp` or `managed`.
    pub provider: String,
    /// Host of the server.
    pub host: Option<String>,
    /// As configured; see [`EmailServer::connection`].
    pub port: Option<f64>,
    /// User at the server.
    pub username: Option<String>,
    /// Password at the server.
    pub password: Option<SecretString>,
    /// Display name of the sender.
    pub sender_name: Option<String>,
    /// Address of the sender.
    pub sender_email: Option<String>,
    /// What signs the reports of the provider; our addition.
    pub report_secret: Option<SecretString>,
    /// Managed only: domain of the sender.
    pub managed_subdomain: Option<String>,
    /// Managed only: what stands before the `@`.
    pub managed_sender_local_part: Option<String>,
}

/// A project's own mail server, complete.
#[derive(Clone, Debug)]
pub struct EmailConnection {
    /// Host.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User.
    pub username: String,
    /// Password.
    pub password: SecretString,
    /// Display name of the sender.
    pub sender_name: String,
    /// Address of the sender.
    pub sender_email: String,
}

/// Where and as whom a managed server is reached.
const MANAGED: (&str, u16, &str) = ("smtp.resend.com", 465, "resend");

impl EmailServer {
    /// What signs the reports of the provider of the project's own server.
    #[must_use]
    pub fn report_secret(&self) -> Option<Secret> {
        if self.is_shared {
            return None;
        }
        Secret::parse(self.report_secret.as_ref()?.expose_secret())
    }

    /// The project's own server; `None` when the shared one is used, or the settings are incomplete.
    #[must_use]
    pub fn connection(&self) -> Option<EmailConnection> {
        if self.is_shared {
            return None;
        }
        let (password, sender_name) = (self.password.clone()?, self.sender_name.clone().unwrap_or_default());
        if self.provider == "managed" {
            let (host, port, username) = MANAGED;
            return Some(EmailConnection {
                host: host.to_owned(),
                port,
                username: username.to_owned(),
                password,
                sender_name,
                sender_email: format!(
                    "{}@{}",
                    self.managed_sender_local_part.as_ref()?,
                    self.managed_subdomain.as_ref()?
                ),
            });
        }
        Some(EmailConnection {
            host: self.host.clone()?,
            port: whole_port(self.port?)?,
            username: self.username.clone()?,
            password,
            sender_name,
            sender_email: self.sender_email.clone()?,
        })
    }
}

/// The schema takes any number as a port; only whole ones in range are one.
fn whole_port(port: f64) -> Option<u16> {
    if port.fract() == 0.0 { format!("{port:.0}").parse().ok() } else { None }
}

/// A record of ids to `true` as the set it means.
fn set<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<String>, D::Error> {
    Ok(BTreeMap::<String, bool>::deserialize(deserializer)?.into_keys().collect())
}
