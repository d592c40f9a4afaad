//! The older, flat view of a config: reading it from the rendered config, and what writing it sets
//! (wire: projects-config-webhooks §2.2). New rules belong to the config; nothing is decided here.

use std::collections::BTreeSet;

use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    ConfigChange, OAUTH_PROVIDERS, OAuthProvider, PermissionScope, ProjectConfig,
    config::EmailServer,
    wire::{
        AdminConfig, ClientConfig, Domain, EmailConfig, IdOnly, OAuthProviderObject, OAuthProviderSettings, Sharing,
        ShownSecret,
    },
};
use crate::{ci_order, permissions::Catalog};

impl ConfigChange {
    /// What this sets at the environment level, by path.
    pub(super) fn settings(&self) -> Map<String, Value> {
        let mut settings = Map::new();
        let mut set = |path: &str, value: Option<Value>| {
            if let Some(value) = value {
                settings.insert(path.to_owned(), value);
            }
        };
        let flag = |flag: Option<bool>| flag.map(Value::from);
        let text = |text: &Option<String>| text.as_deref().map(Value::from);
        set("domains.allowLocalhost", flag(self.allow_localhost));
        set("auth.allowSignUp", flag(self.sign_up_enabled));
        set("auth.password.allowSignIn", flag(self.credential_enabled));
        set("auth.otp.allowSignIn", flag(self.magic_link_enabled));
        set("auth.passkey.allowSignIn", flag(self.passkey_enabled));
        set("teams.allowClientTeamCreation", flag(self.client_team_creation_enabled));
        set("users.allowClientUserDeletion", flag(self.client_user_deletion_enabled));
        set("apiKeys.enabled.user", flag(self.allow_user_api_keys));
        set("apiKeys.enabled.team", flag(self.allow_team_api_keys));
        set("teams.createPersonalTeamOnSignUp", flag(self.create_team_on_sign_up));
        set("onboarding.requireEmailVerification", flag(self.require_email_verification));
        set("auth.oauth.accountMergeStrategy", text(&self.oauth_account_merge_strategy));
        set("emails.selectedThemeId", text(&self.email_theme));
        set("domains.trustedDomains", self.domains.as_deref().map(trusted_domains));
        set("auth.oauth.providers", self.oauth_providers.as_deref().map(oauth_providers));
        set("emails.server", self.email_config.as_ref().map(email_server));
        set("rbac.defaultPermissions.teamCreator", self.team_creator_default_permissions.as_deref().map(granted));
        set("rbac.defaultPermissions.teamMember", self.team_member_default_permissions.as_deref().map(granted));
        set("rbac.defaultPermissions.signUp", self.user_default_permissions.as_deref().map(granted));
        settings
    }
}

/// Adds to the providers among `settings`, which replace the whole set, what this view has no words for and would be lost
/// therefore: those that are found by an issuer, and whose key an Apple client secret is.
pub(super) fn keep_what_is_not_shown(settings: &mut Map<String, Value>, current: &ProjectConfig) {
    let Some(Value::Object(providers)) = settings.get_mut("auth.oauth.providers") else { return };
    for (key, provider) in &current.auth.oauth.providers {
        if !is_shown(provider) {
            providers.entry(key.clone()).or_insert_with(|| {
                json!({
                    "type": provider.kind,
                    "allowSignIn": provider.allow_sign_in,
                    "allowConnectedAccounts": provider.allow_connected_accounts,
                    "isShared": provider.is_shared,
                    "clientId": provider.client_id,
                    "clientSecret": provider.client_secret.as_ref().map(ExposeSecret::expose_secret),
                    "issuerUrl": provider.issuer_url,
                })
            });
        } else if let Some(Value::Object(entry)) = providers.get_mut(key) {
            entry.insert("appleTeamId".to_owned(), provider.apple_team_id.clone().into());
            entry.insert("appleKeyId".to_owned(), provider.apple_key_id.clone().into());
        }
    }
}

/// Whether this view has words for a provider.
fn is_shown(provider: &OAuthProvider) -> bool {
    OAUTH_PROVIDERS.contains(&provider.kind.as_str())
}

/// Each under a fresh key: the set is replaced whole.
fn trusted_domains(domains: &[Domain]) -> Value {
    let entry = |domain: &Domain| json!({ "baseUrl": domain.domain, "handlerPath": domain.handler_path });
    domains.iter().map(|domain| (Uuid::new_v4().to_string(), entry(domain))).collect::<Map<_, _>>().into()
}

fn oauth_providers(providers: &[OAuthProviderSettings]) -> Value {
    let entry = |provider: &OAuthProviderSettings| {
        let bundles = provider.apple_bundle_ids.iter().flatten();
        let bundles: Map<_, _> = bundles.map(|id| (Uuid::new_v4().to_string(), json!({ "bundleId": id }))).collect();
        json!({
            "type": provider.id,
            "allowSignIn": true,
            "allowConnectedAccounts": true,
            "isShared": provider.kind == Sharing::Shared,
            "clientId": provider.client_id,
            "clientSecret": provider.client_secret.as_ref().map(|secret| &secret.0),
            "facebookConfigId": provider.facebook_config_id,
            "microsoftTenantId": provider.microsoft_tenant_id,
            "appleBundles": bundles,
        })
    };
    providers.iter().map(|provider| (provider.id.clone(), entry(provider))).collect::<Map<_, _>>().into()
}

fn email_server(config: &EmailConfig) -> Value {
    match config {
        EmailConfig::Shared => json!({ "isShared": true }),
        EmailConfig::Standard { host, port, username, password, sender_name, sender_email } => json!({
            "isShared": false,
            "provider": "smtp",
            "host": host,
            "port": port,
            "username": username,
            "password": password.0,
            "senderName": sender_name,
            "senderEmail": sender_email,
        }),
    }
}

fn granted(permissions: &[IdOnly]) -> Value {
    permissions.iter().map(|permission| (permission.id.clone(), Value::Bool(true))).collect::<Map<_, _>>().into()
}

/// What everybody may see.
pub(super) fn client_config(config: &ProjectConfig) -> ClientConfig {
    ClientConfig {
        sign_up_enabled: config.auth.allow_sign_up,
        credential_enabled: config.auth.password.allow_sign_in,
        magic_link_enabled: config.auth.otp.allow_sign_in,
        passkey_enabled: config.auth.passkey.allow_sign_in,
        client_team_creation_enabled: config.teams.allow_client_team_creation,
        client_user_deletion_enabled: config.users.allow_client_user_deletion,
        allow_localhost: config.domains.allow_localhost,
        allow_user_api_keys: config.api_keys.enabled.user,
        allow_team_api_keys: config.api_keys.enabled.team,
        enabled_oauth_providers: enabled_ids(config),
        domains: domains(config),
    }
}

/// What administrators see; secrets are shown.
pub(super) fn admin_config(config: &ProjectConfig) -> AdminConfig {
    let defaults = &config.rbac.default_permissions;
    AdminConfig {
        allow_localhost: config.domains.allow_localhost,
        sign_up_enabled: config.auth.allow_sign_up,
        credential_enabled: config.auth.password.allow_sign_in,
        magic_link_enabled: config.auth.otp.allow_sign_in,
        passkey_enabled: config.auth.passkey.allow_sign_in,
        client_team_creation_enabled: config.teams.allow_client_team_creation,
        client_user_deletion_enabled: config.users.allow_client_user_deletion,
        allow_user_api_keys: config.api_keys.enabled.user,
        allow_team_api_keys: config.api_keys.enabled.team,
        enabled_oauth_providers: enabled_ids(config),
        oauth_providers: shown_providers(config),
        domains: domains(config),
        email_config: email_config(&config.emails.server),
        email_theme: config.emails.selected_theme_id.clone(),
        create_team_on_sign_up: config.teams.create_personal_team_on_sign_up,
        team_creator_default_permissions: defined(config, &defaults.team_creator, PermissionScope::Team),
        team_member_default_permissions: defined(config, &defaults.team_member, PermissionScope::Team),
        user_default_permissions: defined(config, &defaults.sign_up, PermissionScope::Project),
        oauth_account_merge_strategy: config.auth.oauth.account_merge_strategy.as_str().to_owned(),
    }
}

/// Those that people sign in with.
fn enabled_providers(config: &ProjectConfig) -> impl Iterator<Item = (&String, &OAuthProvider)> {
    config.auth.oauth.providers.iter().filter(|(_, provider)| provider.allow_sign_in)
}

/// Those of them that the contract has words for.
fn shown_providers(config: &ProjectConfig) -> Vec<OAuthProviderObject> {
    let shown = enabled_providers(config).filter(|(_, provider)| is_shown(provider));
    let mut providers: Vec<_> = shown.map(|(key, provider)| provider_object(key, provider)).collect();
    providers.sort_by(|a, b| ci_order::compare(&a.provider.id, &b.provider.id));
    providers
}

fn provider_object(key: &str, provider: &OAuthProvider) -> OAuthProviderObject {
    let bundles: Vec<String> = provider.apple_bundles.values().filter_map(|bundle| bundle.bundle_id.clone()).collect();
    OAuthProviderObject {
        provider_config_id: key.to_owned(),
        provider: OAuthProviderSettings {
            id: provider.kind.clone(),
            kind: if provider.is_shared { Sharing::Shared } else { Sharing::Standard },
            client_id: provider.client_id.clone(),
            client_secret: provider.client_secret.as_ref().map(|secret| ShownSecret(secret.expose_secret().to_owned())),
            facebook_config_id: provider.facebook_config_id.clone(),
            microsoft_tenant_id: provider.microsoft_tenant_id.clone(),
            apple_bundle_ids: (!bundles.is_empty()).then_some(bundles),
        },
    }
}

fn enabled_ids(config: &ProjectConfig) -> Vec<IdOnly> {
    let mut ids: Vec<_> = enabled_providers(config).map(|(key, _)| IdOnly { id: key.clone() }).collect();
    ids.sort_by(|a, b| ci_order::compare(&a.id, &b.id));
    ids
}

fn domains(config: &ProjectConfig) -> Vec<Domain> {
    let mut domains: Vec<Domain> = config
        .domains
        .trusted_domains
        .values()
        .filter_map(|domain| {
            Some(Domain { domain: domain.base_url.clone()?, handler_path: domain.handler_path.clone() })
        })
        .collect();
    domains.sort_by(|a, b| ci_order::compare(&a.domain, &b.domain));
    domains
}

/// A server whose settings are incomplete is shown with empty ones: the official clients read every field.
fn email_config(server: &EmailServer) -> EmailConfig {
    if server.is_shared {
        return EmailConfig::Shared;
    }
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    match server.connection() {
        Some(connection) => EmailConfig::Standard {
            host: connection.host,
            port: connection.port,
            username: connection.username,
            password: ShownSecret(connection.password.expose_secret().to_owned()),
            sender_name: connection.sender_name,
            sender_email: connection.sender_email,
        },
        None => EmailConfig::Standard {
            host: text(&server.host),
            port: 0,
            username: text(&server.username),
            password: ShownSecret(
                server.password.as_ref().map(|password| password.expose_secret().to_owned()).unwrap_or_default(),
            ),
            sender_name: text(&server.sender_name),
            sender_email: text(&server.sender_email),
        },
    }
}

/// The ids that are defined in `scope`; a default that dangles is not shown.
fn defined(config: &ProjectConfig, ids: &BTreeSet<String>, scope: PermissionScope) -> Vec<IdOnly> {
    let catalog = Catalog::of(config);
    let mut ids: Vec<&String> = ids.iter().filter(|id| catalog.defines(scope, id)).collect();
    ids.sort_by(|a, b| ci_order::compare(a, b));
    ids.into_iter().map(|id| IdOnly { id: id.clone() }).collect()
}
