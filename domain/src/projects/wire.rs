//! The JSON forms of projects and key sets (wire: projects-config-webhooks §2): what REST answers.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CreatedKeySet, KeySet};
use crate::{KeySetId, ProjectId, TeamId, Timestamp};

/// A secret that the contract shows to administrators. `Debug` does not.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ShownSecret(pub String);

impl fmt::Debug for ShownSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// What everybody may know of a project (§2.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are the contract")]
pub struct ClientProject {
    pub id: ProjectId,
    pub display_name: String,
    pub config: ClientConfig,
}

/// What everybody may know of a config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are the contract")]
#[expect(clippy::struct_excessive_bools, reason = "the contract has these flags")]
pub struct ClientConfig {
    pub sign_up_enabled: bool,
    pub credential_enabled: bool,
    pub magic_link_enabled: bool,
    pub passkey_enabled: bool,
    pub client_team_creation_enabled: bool,
    pub client_user_deletion_enabled: bool,
    pub allow_localhost: bool,
    pub allow_user_api_keys: bool,
    pub allow_team_api_keys: bool,
    pub enabled_oauth_providers: Vec<IdOnly>,
    pub domains: Vec<Domain>,
}

/// A project as its administrators see it (§2.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are the contract; the row's fields say what they mean")]
pub struct AdminProject {
    pub id: ProjectId,
    pub display_name: String,
    pub description: String,
    pub logo_url: Option<String>,
    pub logo_full_url: Option<String>,
    pub logo_dark_mode_url: Option<String>,
    pub logo_full_dark_mode_url: Option<String>,
    pub created_at_millis: Timestamp,
    pub is_production_mode: bool,
    pub is_development_environment: bool,
    pub owner_team_id: Option<TeamId>,
    pub onboarding_status: String,
    pub onboarding_state: Option<OnboardingState>,
    pub config: AdminConfig,
}

/// What an owner chose while a dashboard led through set-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names are the contract")]
pub struct OnboardingState {
    pub selected_config_choice: String,
    pub selected_apps: Vec<String>,
    pub selected_sign_in_methods: Vec<String>,
    pub selected_email_theme_id: Option<String>,
    pub selected_payments_country: String,
}

/// The older view of a config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are the contract")]
#[expect(clippy::struct_excessive_bools, reason = "the contract has these flags")]
pub struct AdminConfig {
    pub allow_localhost: bool,
    pub sign_up_enabled: bool,
    pub credential_enabled: bool,
    pub magic_link_enabled: bool,
    pub passkey_enabled: bool,
    pub client_team_creation_enabled: bool,
    pub client_user_deletion_enabled: bool,
    pub allow_user_api_keys: bool,
    pub allow_team_api_keys: bool,
    pub oauth_providers: Vec<OAuthProviderObject>,
    pub enabled_oauth_providers: Vec<IdOnly>,
    pub domains: Vec<Domain>,
    pub email_config: EmailConfig,
    pub email_theme: String,
    pub create_team_on_sign_up: bool,
    pub team_creator_default_permissions: Vec<IdOnly>,
    pub team_member_default_permissions: Vec<IdOnly>,
    pub user_default_permissions: Vec<IdOnly>,
    pub oauth_account_merge_strategy: String,
}

/// Something named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names are the contract")]
pub struct IdOnly {
    pub id: String,
}

/// A trusted domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names are the contract")]
pub struct Domain {
    pub domain: String,
    pub handler_path: String,
}

/// A sign-in provider as it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are the contract")]
pub struct OAuthProviderObject {
    pub provider_config_id: String,
    #[serde(flatten)]
    pub provider: OAuthProviderSettings,
}

/// A sign-in provider as it is written, and read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are the contract")]
pub struct OAuthProviderSettings {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: Sharing,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<ShownSecret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facebook_config_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub microsoft_tenant_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apple_bundle_ids: Option<Vec<String>>,
}

/// Whether the installation's own client or server is used, or the project's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sharing {
    /// The installation's.
    Shared,
    /// The project's.
    Standard,
}

/// Through which server mails leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the contract")]
pub enum EmailConfig {
    Shared,
    Standard {
        host: String,
        port: u16,
        username: String,
        password: ShownSecret,
        sender_name: String,
        sender_email: String,
    },
}

/// A key set (§2.4) whose keys are shown as `K`: [`LastFour`], or in full right after it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KeySetWith{K}")]
#[expect(missing_docs, reason = "the names are the contract; `KeySet` says what they mean")]
pub struct KeySetObject<K> {
    pub id: KeySetId,
    pub description: String,
    pub created_at_millis: Timestamp,
    pub expires_at_millis: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manually_revoked_at_millis: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publishable_client_key: Option<K>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_server_key: Option<K>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub super_secret_admin_key: Option<K>,
}

/// The end of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are the contract")]
pub struct LastFour {
    pub last_four: String,
}

impl<K> KeySetObject<K> {
    fn new(set: KeySet, [publishable_client_key, secret_server_key, super_secret_admin_key]: [Option<K>; 3]) -> Self {
        Self {
            id: set.id,
            description: set.description,
            created_at_millis: set.created_at,
            expires_at_millis: set.expires_at,
            manually_revoked_at_millis: set.revoked_at,
            publishable_client_key,
            secret_server_key,
            super_secret_admin_key,
        }
    }
}

impl From<KeySet> for KeySetObject<LastFour> {
    fn from(mut set: KeySet) -> Self {
        let keys = [
            set.publishable_client_key_last_four.take(),
            set.secret_server_key_last_four.take(),
            set.super_secret_admin_key_last_four.take(),
        ];
        Self::new(set, keys.map(|key| key.map(|last_four| LastFour { last_four })))
    }
}

impl From<CreatedKeySet> for KeySetObject<ShownSecret> {
    fn from(created: CreatedKeySet) -> Self {
        let keys = created.keys;
        let keys = [keys.publishable_client_key, keys.secret_server_key, keys.super_secret_admin_key];
        Self::new(created.key_set, keys.map(|key| key.map(ShownSecret)))
    }
}
