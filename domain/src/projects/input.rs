//! What callers ask of a project, and what is wrong with it. Writing the older view of the config is `legacy.rs`.

use super::{
    MERGE_STRATEGIES, OAUTH_PROVIDERS,
    trusted::is_domain,
    wire::{Domain, EmailConfig, IdOnly, OAuthProviderSettings, OnboardingState, Sharing},
};
use crate::{
    Deps, ProjectId, TeamId,
    error::Result,
    images::{Folder, ImageSource, Picture},
    patch::Patch,
    validation::Violations,
};

/// Longest name of a project.
const MAX_DISPLAY_NAME_CHARS: usize = 256;
/// Longest description of a project.
const MAX_DESCRIPTION_CHARS: usize = 10_000;
/// Longest password of a mail server.
const MAX_MAIL_PASSWORD_CHARS: usize = 70;
/// Longest trusted domain or handler path.
const MAX_DOMAIN_CHARS: usize = 300;
/// Longest single text of other settings.
const MAX_SETTING_CHARS: usize = 10_000;

const ONBOARDING: &[&str] = &[
    "config_choice",
    "apps_selection",
    "auth_setup",
    "domain_setup",
    "email_theme_setup",
    "payments_setup",
    "welcome",
    "completed",
];
const CONFIG_CHOICES: &[&str] = &["create-new", "link-existing"];
const SIGN_IN_METHODS: &[&str] = &["credential", "magicLink", "passkey", "google", "github", "microsoft"];
const PAYMENTS_COUNTRIES: &[&str] = &["US", "OTHER"];

/// A project to be made.
#[derive(Clone, Debug)]
pub struct NewProject {
    /// Shown to people; may be empty.
    pub display_name: String,
    /// The team of project `internal` that will own it.
    pub owner_team_id: TeamId,
    /// A flag for dashboards.
    pub is_development_environment: bool,
    /// Everything else; its `display_name` does not count.
    pub settings: ProjectChange,
}

/// What changes about a project.
#[derive(Clone, Debug, Default)]
pub struct ProjectChange {
    /// Shown to people; may be empty.
    pub display_name: Option<String>,
    /// Null empties it.
    pub description: Patch<String>,
    /// URL of the logo.
    pub logo_url: Patch<String>,
    /// URL of the wide logo.
    pub logo_full_url: Patch<String>,
    /// URL of the logo on dark ground.
    pub logo_dark_mode_url: Patch<String>,
    /// URL of the wide logo on dark ground.
    pub logo_full_dark_mode_url: Patch<String>,
    /// A flag for dashboards.
    pub is_production_mode: Option<bool>,
    /// How far a dashboard has led.
    pub onboarding_status: Option<String>,
    /// What was chosen on the way.
    pub onboarding_state: Patch<OnboardingState>,
    /// Settings of the config, by their older names.
    pub config: ConfigChange,
}

/// Settings of the config by their older names (wire: projects-config-webhooks §2.2). `None`: stays as it is.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the names are the contract; the table in `legacy.rs` says what they mean")]
pub struct ConfigChange {
    pub allow_localhost: Option<bool>,
    pub sign_up_enabled: Option<bool>,
    pub credential_enabled: Option<bool>,
    pub magic_link_enabled: Option<bool>,
    pub passkey_enabled: Option<bool>,
    pub client_team_creation_enabled: Option<bool>,
    pub client_user_deletion_enabled: Option<bool>,
    pub allow_user_api_keys: Option<bool>,
    pub allow_team_api_keys: Option<bool>,
    pub create_team_on_sign_up: Option<bool>,
    pub require_email_verification: Option<bool>,
    pub oauth_account_merge_strategy: Option<String>,
    pub domains: Option<Vec<Domain>>,
    pub oauth_providers: Option<Vec<OAuthProviderSettings>>,
    pub email_config: Option<EmailConfig>,
    pub email_theme: Option<String>,
    pub team_creator_default_permissions: Option<Vec<IdOnly>>,
    pub team_member_default_permissions: Option<Vec<IdOnly>>,
    pub user_default_permissions: Option<Vec<IdOnly>>,
}

impl NewProject {
    pub(super) fn check(&self) -> Result<()> {
        let mut violations = Violations::default();
        violations.text("display_name", &self.display_name, MAX_DISPLAY_NAME_CHARS);
        self.settings.violations(&mut violations);
        violations.finish()
    }
}

impl ProjectChange {
    pub(super) fn check(&self) -> Result<()> {
        let mut violations = Violations::default();
        self.violations(&mut violations);
        violations.finish()
    }

    fn violations(&self, violations: &mut Violations) {
        if let Some(name) = &self.display_name {
            violations.text("display_name", name, MAX_DISPLAY_NAME_CHARS);
        }
        if let Patch::Set(description) = &self.description {
            violations.text("description", description, MAX_DESCRIPTION_CHARS);
        }
        if let Some(status) = &self.onboarding_status {
            one_of(violations, "onboarding_status", status, ONBOARDING);
        }
        if let Patch::Set(state) = &self.onboarding_state {
            let field = |name| format!("onboarding_state.{name}");
            one_of(violations, &field("selected_config_choice"), &state.selected_config_choice, CONFIG_CHOICES);
            one_of(
                violations,
                &field("selected_payments_country"),
                &state.selected_payments_country,
                PAYMENTS_COUNTRIES,
            );
            for app in &state.selected_apps {
                one_of(violations, &field("selected_apps"), app, super::APPS);
            }
            for method in &state.selected_sign_in_methods {
                one_of(violations, &field("selected_sign_in_methods"), method, SIGN_IN_METHODS);
            }
            let texts = state.selected_apps.len() + state.selected_sign_in_methods.len();
            violations.require(texts <= 100, "onboarding_state", "must have at most 100 entries");
            if let Some(theme) = &state.selected_email_theme_id {
                violations.text(&field("selected_email_theme_id"), theme, MAX_DOMAIN_CHARS);
            }
        }
        self.config.violations(violations);
    }

    /// The logos that are mentioned, each with the name of its field.
    ///
    /// # Errors
    /// `SCHEMA_ERROR` and `BAD_REQUEST` for what is no picture.
    pub(super) fn logos(&self, deps: &Deps, project_id: &ProjectId) -> Result<Vec<(&'static str, Patch<Picture>)>> {
        let mut logos = Vec::new();
        for (field, logo) in [
            ("logo_url", &self.logo_url),
            ("logo_full_url", &self.logo_full_url),
            ("logo_dark_mode_url", &self.logo_dark_mode_url),
            ("logo_full_dark_mode_url", &self.logo_full_dark_mode_url),
        ] {
            let picture = logo.as_ref().try_map(|value| {
                Picture::read(deps, project_id, Folder::Projects, field, value, ImageSource::Server)
            })?;
            if !picture.is_keep() {
                logos.push((field, picture));
            }
        }
        Ok(logos)
    }
}

impl ConfigChange {
    fn violations(&self, violations: &mut Violations) {
        if let Some(strategy) = &self.oauth_account_merge_strategy {
            one_of(violations, "config.oauth_account_merge_strategy", strategy, MERGE_STRATEGIES);
        }
        for (at, domain) in self.domains.iter().flatten().enumerate() {
            check_domain(violations, &format!("config.domains[{at}]"), domain);
        }
        for (at, provider) in self.oauth_providers.iter().flatten().enumerate() {
            check_provider(violations, &format!("config.oauth_providers[{at}]"), provider);
        }
        let mut ids: Vec<&str> = self.oauth_providers.iter().flatten().map(|provider| provider.id.as_str()).collect();
        ids.sort_unstable();
        violations.require(
            ids.windows(2).all(|pair| pair.first() != pair.last()),
            "config.oauth_providers",
            "must name each id once",
        );
        if let Some(EmailConfig::Standard { host, username, password, sender_name, sender_email, .. }) =
            &self.email_config
        {
            let texts = [
                ("host", host),
                ("username", username),
                ("password", &password.0),
                ("sender_name", sender_name),
                ("sender_email", sender_email),
            ];
            for (name, text) in texts {
                let field = format!("config.email_config.{name}");
                violations.require(!text.is_empty(), &field, "must not be empty");
                violations.text(
                    &field,
                    text,
                    if name == "password" { MAX_MAIL_PASSWORD_CHARS } else { MAX_SETTING_CHARS },
                );
            }
        }
        let lists = [
            ("config.team_creator_default_permissions", &self.team_creator_default_permissions),
            ("config.team_member_default_permissions", &self.team_member_default_permissions),
            ("config.user_default_permissions", &self.user_default_permissions),
        ];
        for (field, list) in lists {
            for permission in list.iter().flatten() {
                violations.require(
                    crate::permissions::is_permission_id(&permission.id),
                    field,
                    "must have ids of a–z, 0–9, _ and :",
                );
            }
        }
    }
}

fn check_domain(violations: &mut Violations, field: &str, domain: &Domain) {
    let is_web = domain.domain.starts_with("http://") || domain.domain.starts_with("https://");
    violations.require(
        is_web && is_domain(&domain.domain),
        &format!("{field}.domain"),
        "must be a URL that starts with http:// or https://",
    );
    violations.text(&format!("{field}.domain"), &domain.domain, MAX_DOMAIN_CHARS);
    violations.require(domain.handler_path.starts_with('/'), &format!("{field}.handler_path"), "must start with /");
    violations.text(&format!("{field}.handler_path"), &domain.handler_path, MAX_DOMAIN_CHARS);
}

fn check_provider(violations: &mut Violations, field: &str, provider: &OAuthProviderSettings) {
    one_of(violations, &format!("{field}.id"), &provider.id, OAUTH_PROVIDERS);
    let client_secret = provider.client_secret.as_ref().map(|secret| &secret.0);
    if provider.kind == Sharing::Standard {
        for (name, text) in [("client_id", provider.client_id.as_ref()), ("client_secret", client_secret)] {
            let is_given = text.is_some_and(|text| !text.is_empty());
            violations.require(is_given, &format!("{field}.{name}"), "must be given and not empty for type standard");
        }
    }
    let texts = [
        ("client_id", provider.client_id.as_ref()),
        ("client_secret", client_secret),
        ("facebook_config_id", provider.facebook_config_id.as_ref()),
        ("microsoft_tenant_id", provider.microsoft_tenant_id.as_ref()),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            violations.text(&format!("{field}.{name}"), text, MAX_SETTING_CHARS);
        }
    }
    for bundle in provider.apple_bundle_ids.iter().flatten() {
        violations.text(&format!("{field}.apple_bundle_ids"), bundle, MAX_SETTING_CHARS);
    }
}

fn one_of(violations: &mut Violations, field: &str, value: &str, allowed: &[&str]) {
    violations.require(allowed.contains(&value), field, format_args!("must be one of {}", allowed.join(", ")));
}
