//! The config of signing up and in, as rules read it.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize};

use crate::sign_up_rules::Compiled;

/// `auth.*`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// New accounts may be made by their users.
    pub allow_sign_up: bool,
    /// Passwords.
    pub password: SignInMethod,
    /// Magic links and one-time codes.
    pub otp: SignInMethod,
    /// Passkeys.
    pub passkey: SignInMethod,
    /// Other sites' accounts.
    pub oauth: OAuth,
    /// Who may make an account, by config key.
    pub sign_up_rules: BTreeMap<String, SignUpRule>,
    /// What becomes of those of whom no rule says so: allow or reject.
    pub sign_up_rules_default_action: SignUpAction,
}

/// `auth.signUpRules.<id>`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignUpRule {
    /// It is asked.
    pub enabled: bool,
    /// For people.
    pub display_name: Option<String>,
    /// Those with a higher one are asked first.
    #[serde(deserialize_with = "priority")]
    pub priority: i64,
    /// An expression of CEL.
    pub condition: Option<String>,
    /// The same, read.
    #[serde(skip)]
    pub(crate) compiled: Compiled,
    /// What becomes of those for whom it holds.
    pub action: SignUpRuleAction,
}

/// `auth.signUpRules.<id>.action`
#[derive(Clone, Debug, Deserialize)]
pub struct SignUpRuleAction {
    /// What.
    #[serde(rename = "type")]
    pub kind: SignUpAction,
}

/// What a sign-up rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignUpAction {
    /// Lets in, and no further rule is asked.
    Allow,
    /// Keeps out, and no further rule is asked.
    Reject,
    /// Lets in restricted, unless a further rule keeps out.
    Restrict,
    /// Only counts.
    Log,
}

impl SignUpAction {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Allow, Self::Reject, Self::Restrict, Self::Log];

    /// As config and wire spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Reject => "reject",
            Self::Restrict => "restrict",
            Self::Log => "log",
        }
    }
}

/// A number of the config, which may be written with a fraction.
fn priority<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and nobody has that many rules")]
    f64::deserialize(deserializer).map(|number| number as i64)
}

/// A way to sign in.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignInMethod {
    /// Whether it is on.
    pub allow_sign_in: bool,
}

/// `auth.oauth.*`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OAuth {
    /// What happens when the address of a new account is known.
    pub account_merge_strategy: MergeStrategy,
    /// By config key. Every one has a type.
    pub providers: BTreeMap<String, OAuthProvider>,
}

/// What happens when somebody comes in with an account of another site whose address somebody signs in with already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeStrategy {
    /// The account is linked to them, if both sides have proven the address.
    LinkMethod,
    /// It is refused.
    RaiseError,
    /// It makes another user, who does not sign in with the address.
    AllowDuplicates,
}

impl MergeStrategy {
    /// As config and wire spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LinkMethod => "link_method",
            Self::RaiseError => "raise_error",
            Self::AllowDuplicates => "allow_duplicates",
        }
    }
}

/// `auth.oauth.providers.<id>`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OAuthProvider {
    /// Name of a [`crate::oauth::ProviderKind`].
    #[serde(rename = "type")]
    pub kind: String,
    /// Usable to sign in.
    pub allow_sign_in: bool,
    /// Usable to reach the other site in the user's name.
    pub allow_connected_accounts: bool,
    /// The installation's own client is used.
    pub is_shared: bool,
    /// The project's client at the provider.
    pub client_id: Option<String>,
    /// Its secret.
    pub client_secret: Option<SecretString>,
    /// Facebook only.
    pub facebook_config_id: Option<String>,
    /// Microsoft only.
    pub microsoft_tenant_id: Option<String>,
    /// Apple only, by config key.
    pub apple_bundles: BTreeMap<String, AppleBundle>,
    /// Apple only: whose key the client secret is, where it is a key.
    pub apple_team_id: Option<String>,
    /// Apple only: which key.
    pub apple_key_id: Option<String>,
    /// OpenID Connect only: who signs the ID tokens, and tells below `/.well-known` how to reach it.
    pub issuer_url: Option<String>,
}

/// `auth.oauth.providers.<id>.appleBundles.<id>`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppleBundle {
    /// Id of a native app.
    pub bundle_id: Option<String>,
}
