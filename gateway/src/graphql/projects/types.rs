//! The caller's project, as the schema shows it.

use std::sync::Arc;

use async_graphql::ID;
use postern_domain::projects::{Project, ProjectConfig, TrustedDomain};
use postern_gateway_macros::guarded;

use crate::graphql::scalars::{DateTime, IntoId};

/// The caller's project.
pub(crate) struct ProjectObject {
    pub(crate) project: Arc<Project>,
    pub(crate) config: Arc<ProjectConfig>,
}

/// The application that the caller asks for.
#[guarded(CLIENT, graphql(name = "Project"))]
impl ProjectObject {
    /// The id of the project: `internal` or a UUID.
    #[access(CLIENT)]
    async fn id(&self) -> ID {
        self.project.id.to_string().into_id()
    }

    /// The name to show; may be empty.
    #[access(CLIENT)]
    fn display_name(&self) -> &str {
        &self.project.display_name
    }

    /// What the project is; empty when unset.
    #[access(ADMIN)]
    fn description(&self) -> Option<&str> {
        Some(&self.project.description)
    }

    /// URL of the logo.
    #[access(CLIENT)]
    fn logo_url(&self) -> Option<&str> {
        self.project.logo_url.as_deref()
    }

    /// URL of the wide logo.
    #[access(CLIENT)]
    fn logo_full_url(&self) -> Option<&str> {
        self.project.logo_full_url.as_deref()
    }

    /// URL of the logo for dark ground.
    #[access(CLIENT)]
    fn logo_dark_mode_url(&self) -> Option<&str> {
        self.project.logo_dark_mode_url.as_deref()
    }

    /// URL of the wide logo for dark ground.
    #[access(CLIENT)]
    fn logo_full_dark_mode_url(&self) -> Option<&str> {
        self.project.logo_full_dark_mode_url.as_deref()
    }

    /// Whether dashboards treat the project as in production.
    #[access(ADMIN)]
    fn is_production_mode(&self) -> Option<bool> {
        Some(self.project.is_production_mode)
    }

    /// The team of project `internal` whose members administer this project.
    #[access(ADMIN)]
    fn owner_team_id(&self) -> Option<ID> {
        self.project.owner_team_id.map(IntoId::into_id)
    }

    /// When the project was made.
    #[access(ADMIN)]
    fn created_at(&self) -> Option<DateTime> {
        Some(self.project.created_at.into())
    }

    /// What the project allows its users.
    #[access(CLIENT)]
    fn config(&self) -> ProjectConfigObject {
        ProjectConfigObject(Arc::clone(&self.config))
    }
}

/// What a project allows.
pub(crate) struct ProjectConfigObject(Arc<ProjectConfig>);

/// What a project allows its users.
#[guarded(CLIENT, graphql(name = "ProjectConfig"))]
impl ProjectConfigObject {
    /// Whether people can make accounts.
    #[access(CLIENT)]
    fn sign_up_enabled(&self) -> bool {
        self.0.auth.allow_sign_up
    }

    /// Whether users can sign in by password.
    #[access(CLIENT)]
    fn credential_enabled(&self) -> bool {
        self.0.auth.password.allow_sign_in
    }

    /// Whether users can sign in by magic link or one-time code.
    #[access(CLIENT)]
    fn magic_link_enabled(&self) -> bool {
        self.0.auth.otp.allow_sign_in
    }

    /// Whether users can sign in by passkey.
    #[access(CLIENT)]
    fn passkey_enabled(&self) -> bool {
        self.0.auth.passkey.allow_sign_in
    }

    /// Whether users can make teams.
    #[access(CLIENT)]
    fn client_team_creation_enabled(&self) -> bool {
        self.0.teams.allow_client_team_creation
    }

    /// Whether users can delete themselves.
    #[access(CLIENT)]
    fn client_user_deletion_enabled(&self) -> bool {
        self.0.users.allow_client_user_deletion
    }

    /// Whether users can make API keys for themselves.
    #[access(CLIENT)]
    fn allow_user_api_keys(&self) -> bool {
        self.0.api_keys.enabled.user
    }

    /// Whether teams can have API keys.
    #[access(CLIENT)]
    fn allow_team_api_keys(&self) -> bool {
        self.0.api_keys.enabled.team
    }

    /// Whether a user without a verified primary address is restricted.
    #[access(ADMIN)]
    fn require_email_verification(&self) -> Option<bool> {
        Some(self.0.onboarding.require_email_verification)
    }

    /// Whether every new user gets a team of its own.
    #[access(ADMIN)]
    fn create_team_on_sign_up(&self) -> Option<bool> {
        Some(self.0.teams.create_personal_team_on_sign_up)
    }

    /// Other sites by whose accounts users can sign in, by their keys in the config.
    #[access(CLIENT)]
    fn enabled_oauth_providers(&self) -> Vec<&str> {
        let providers = self.0.auth.oauth.providers.iter();
        providers.filter(|(_, provider)| provider.allow_sign_in).map(|(key, _)| key.as_str()).collect()
    }

    /// Whether pages on this machine count as trusted.
    #[access(ADMIN)]
    fn allow_localhost(&self) -> Option<bool> {
        Some(self.0.domains.allow_localhost)
    }

    /// Where browsers may be sent, and whose pages may ask for the project.
    #[access(CLIENT)]
    fn trusted_domains(&self) -> Vec<TrustedDomainObject> {
        self.0.domains.trusted_domains.values().filter_map(TrustedDomainObject::of).collect()
    }
}

/// A domain that a project trusts.
#[guarded(CLIENT, graphql(name = "TrustedDomain"))]
pub(crate) struct TrustedDomainObject {
    /// Scheme and host, perhaps with wildcards.
    #[access(CLIENT)]
    domain: String,
    /// Path of the application's handler.
    #[access(CLIENT)]
    handler_path: String,
}

impl TrustedDomainObject {
    /// None for an entry without a domain, which counts for nothing.
    fn of(entry: &TrustedDomain) -> Option<Self> {
        Some(Self { domain: entry.base_url.clone()?, handler_path: entry.handler_path.clone() })
    }
}
