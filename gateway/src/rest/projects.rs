//! `/projects/current` for everybody, `/internal/projects` for owners, `/internal/projects/current` for administrators.

use postern_domain::{
    Failure, ProjectId, TeamId,
    patch::Patch,
    projects::{
        self, APPS, ConfigChange, NewProject, OAUTH_PROVIDERS, ProjectChange,
        wire::{
            AdminProject, ClientProject, Domain, EmailConfig, IdOnly, OAuthProviderSettings, OnboardingState, Sharing,
            ShownSecret,
        },
    },
};

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    call::{ADMIN, Call, OPEN},
    input::{Empty, Ignored, Nullable, OneOf, UrlText, Words, input},
    reply::{Answer, List, Reply, Success, success},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary, allowed| About::new("Projects", summary, allowed);
    Routes::new()
        .get("/projects/current", current_for_clients, about("What everybody may know of the project", OPEN))
        .get("/internal/projects", list, about("The projects that the user's teams own", OPEN))
        .post("/internal/projects", create, about("Makes a project", OPEN).body::<ProjectCreate>().makes())
        .post(
            "/internal/projects/transfer",
            transfer,
            about("Hands a project over to another team", OPEN).body::<ProjectTransfer>(),
        )
        .get("/internal/projects/current", current, about("The project", ADMIN))
        .patch("/internal/projects/current", update, about("Changes the project", ADMIN).body::<ProjectPatch>())
        .delete("/internal/projects/current", delete, about("Deletes the project for good", ADMIN))
}

async fn current_for_clients(mut call: Call) -> Answer<ClientProject> {
    let actor = call.actor(OPEN)?;
    call.read::<Empty, Empty, Ignored>()?;
    Ok(Reply::ok(projects::client_project(&call.deps, &actor).await?))
}

async fn list(mut call: Call) -> Answer<List<AdminProject>> {
    let actor = call.actor(OPEN)?;
    call.read::<Empty, Empty, Ignored>()?;
    Ok(Reply::ok(List::whole(projects::owned_projects(&call.deps, &actor).await?)))
}

async fn create(mut call: Call) -> Answer<AdminProject> {
    let actor = call.actor(OPEN)?;
    let (_, _, body) = call.read::<Empty, Empty, ProjectCreate>()?;
    Ok(Reply::created(projects::create_project(&call.deps, &actor, body.try_into()?).await?))
}

/// What the contract answers here: the word, not the value.
#[derive(Debug, Serialize, JsonSchema)]
struct Transferred {
    success: &'static str,
}

async fn transfer(mut call: Call) -> Answer<Transferred> {
    let actor = call.actor(OPEN)?;
    let body: ProjectTransfer = call.body()?;
    projects::transfer_project(&call.deps, &actor, &ProjectId(body.project_id), body.new_team_id).await?;
    Ok(Reply::ok(Transferred { success: "true" }))
}

async fn current(mut call: Call) -> Answer<AdminProject> {
    let actor = call.actor(ADMIN)?;
    call.read::<Empty, Empty, Ignored>()?;
    Ok(Reply::ok(projects::current_project(&call.deps, &actor).await?))
}

async fn update(mut call: Call) -> Answer<AdminProject> {
    let actor = call.actor(ADMIN)?;
    let (_, _, body) = call.read::<Empty, Empty, ProjectPatch>()?;
    Ok(Reply::ok(projects::update_project(&call.deps, &actor, body.try_into()?).await?))
}

async fn delete(mut call: Call) -> Answer<Success> {
    let actor = call.actor(ADMIN)?;
    call.read::<Empty, Empty, Ignored>()?;
    projects::delete_project(&call.deps, &actor).await?;
    Ok(success())
}

input! {
    struct ProjectTransfer { project_id: String, new_team_id: TeamId }
}

input! {
    /// What may change of a project.
    struct ProjectPatch {
        display_name: Option<String>,
        description: Patch<String>,
        logo_url: Patch<UrlText>,
        logo_full_url: Patch<UrlText>,
        logo_dark_mode_url: Patch<UrlText>,
        logo_full_dark_mode_url: Patch<UrlText>,
        is_production_mode: Option<bool>,
        onboarding_status: Option<String>,
        onboarding_state: Patch<OnboardingStateInput>,
        config: Option<ConfigInput>,
    }
}

input! {
    /// A project as owners make it.
    struct ProjectCreate {
        display_name: String,
        owner_team_id: TeamId,
        is_development_environment: Option<bool>,
        description: Patch<String>,
        logo_url: Patch<UrlText>,
        logo_full_url: Patch<UrlText>,
        logo_dark_mode_url: Patch<UrlText>,
        logo_full_dark_mode_url: Patch<UrlText>,
        is_production_mode: Option<bool>,
        onboarding_status: Option<String>,
        onboarding_state: Patch<OnboardingStateInput>,
        config: Option<ConfigInput>,
    }
}

input! {
    struct OnboardingStateInput {
        selected_config_choice: String,
        selected_apps: Vec<OneOf<App>>,
        selected_sign_in_methods: Vec<String>,
        selected_email_theme_id: Nullable<String>,
        selected_payments_country: String,
    }
}

input! {
    /// Settings of the config by their older names.
    struct ConfigInput {
        allow_localhost: Option<bool>,
        sign_up_enabled: Option<bool>,
        credential_enabled: Option<bool>,
        magic_link_enabled: Option<bool>,
        passkey_enabled: Option<bool>,
        client_team_creation_enabled: Option<bool>,
        client_user_deletion_enabled: Option<bool>,
        allow_user_api_keys: Option<bool>,
        allow_team_api_keys: Option<bool>,
        create_team_on_sign_up: Option<bool>,
        require_email_verification: Option<bool>,
        oauth_account_merge_strategy: Option<String>,
        domains: Option<Vec<DomainInput>>,
        oauth_providers: Option<Vec<ProviderInput>>,
        email_config: Option<EmailConfigInput>,
        email_theme: Option<String>,
        team_creator_default_permissions: Option<Vec<IdInput>>,
        team_member_default_permissions: Option<Vec<IdInput>>,
        user_default_permissions: Option<Vec<IdInput>>,
    }
}

input! {
    struct DomainInput { domain: String, handler_path: String }
}

input! {
    struct ProviderInput {
        id: OneOf<Provider>,
        r#type: OneOf<SharingWord>,
        client_id: Option<String>,
        client_secret: Option<String>,
        facebook_config_id: Option<String>,
        microsoft_tenant_id: Option<String>,
        apple_bundle_ids: Option<Vec<String>>,
    }
}

input! {
    struct EmailConfigInput {
        r#type: OneOf<SharingWord>,
        host: Option<String>,
        port: Option<i64>,
        username: Option<String>,
        password: Option<String>,
        sender_name: Option<String>,
        sender_email: Option<String>,
    }
}

input! {
    struct IdInput { id: String }
}

/// The apps of the catalogue.
#[derive(Debug)]
struct App;

impl Words for App {
    const WORDS: &'static [&'static str] = APPS;
}

/// The sign-in providers.
#[derive(Debug)]
struct Provider;

impl Words for Provider {
    const WORDS: &'static [&'static str] = OAUTH_PROVIDERS;
}

/// Whose client or server is used.
#[derive(Debug)]
struct SharingWord;

impl Words for SharingWord {
    const WORDS: &'static [&'static str] = &["shared", "standard"];
}

impl From<OneOf<SharingWord>> for Sharing {
    fn from(word: OneOf<SharingWord>) -> Self {
        if word.word == "shared" { Self::Shared } else { Self::Standard }
    }
}

impl TryFrom<ProjectPatch> for ProjectChange {
    type Error = Failure;

    fn try_from(patch: ProjectPatch) -> Result<Self, Failure> {
        Ok(Self {
            display_name: patch.display_name,
            description: patch.description,
            logo_url: patch.logo_url.map(|url| url.0),
            logo_full_url: patch.logo_full_url.map(|url| url.0),
            logo_dark_mode_url: patch.logo_dark_mode_url.map(|url| url.0),
            logo_full_dark_mode_url: patch.logo_full_dark_mode_url.map(|url| url.0),
            is_production_mode: patch.is_production_mode,
            onboarding_status: patch.onboarding_status,
            onboarding_state: patch.onboarding_state.map(Into::into),
            config: patch.config.map(TryInto::try_into).transpose()?.unwrap_or_default(),
        })
    }
}

impl TryFrom<ProjectCreate> for NewProject {
    type Error = Failure;

    fn try_from(new: ProjectCreate) -> Result<Self, Failure> {
        let settings = ProjectPatch {
            display_name: None,
            description: new.description,
            logo_url: new.logo_url,
            logo_full_url: new.logo_full_url,
            logo_dark_mode_url: new.logo_dark_mode_url,
            logo_full_dark_mode_url: new.logo_full_dark_mode_url,
            is_production_mode: new.is_production_mode,
            onboarding_status: new.onboarding_status,
            onboarding_state: new.onboarding_state,
            config: new.config,
        };
        Ok(Self {
            display_name: new.display_name,
            owner_team_id: new.owner_team_id,
            is_development_environment: new.is_development_environment.unwrap_or_default(),
            settings: settings.try_into()?,
        })
    }
}

impl From<OnboardingStateInput> for OnboardingState {
    fn from(state: OnboardingStateInput) -> Self {
        Self {
            selected_config_choice: state.selected_config_choice,
            selected_apps: state.selected_apps.into_iter().map(|app| app.word.to_owned()).collect(),
            selected_sign_in_methods: state.selected_sign_in_methods,
            selected_email_theme_id: state.selected_email_theme_id.0,
            selected_payments_country: state.selected_payments_country,
        }
    }
}

impl TryFrom<ConfigInput> for ConfigChange {
    type Error = Failure;

    fn try_from(config: ConfigInput) -> Result<Self, Failure> {
        let ids = |ids: Option<Vec<IdInput>>| ids.map(|ids| ids.into_iter().map(|id| IdOnly { id: id.id }).collect());
        Ok(Self {
            allow_localhost: config.allow_localhost,
            sign_up_enabled: config.sign_up_enabled,
            credential_enabled: config.credential_enabled,
            magic_link_enabled: config.magic_link_enabled,
            passkey_enabled: config.passkey_enabled,
            client_team_creation_enabled: config.client_team_creation_enabled,
            client_user_deletion_enabled: config.client_user_deletion_enabled,
            allow_user_api_keys: config.allow_user_api_keys,
            allow_team_api_keys: config.allow_team_api_keys,
            create_team_on_sign_up: config.create_team_on_sign_up,
            require_email_verification: config.require_email_verification,
            oauth_account_merge_strategy: config.oauth_account_merge_strategy,
            domains: config.domains.map(|domains| domains.into_iter().map(Into::into).collect()),
            oauth_providers: config.oauth_providers.map(|providers| providers.into_iter().map(Into::into).collect()),
            email_config: config.email_config.map(TryInto::try_into).transpose()?,
            email_theme: config.email_theme,
            team_creator_default_permissions: ids(config.team_creator_default_permissions),
            team_member_default_permissions: ids(config.team_member_default_permissions),
            user_default_permissions: ids(config.user_default_permissions),
        })
    }
}

impl From<DomainInput> for Domain {
    fn from(domain: DomainInput) -> Self {
        Self { domain: domain.domain, handler_path: domain.handler_path }
    }
}

impl From<ProviderInput> for OAuthProviderSettings {
    fn from(provider: ProviderInput) -> Self {
        Self {
            id: provider.id.word.to_owned(),
            kind: provider.r#type.into(),
            client_id: provider.client_id,
            client_secret: provider.client_secret.map(ShownSecret),
            facebook_config_id: provider.facebook_config_id,
            microsoft_tenant_id: provider.microsoft_tenant_id,
            apple_bundle_ids: provider.apple_bundle_ids,
        }
    }
}

impl TryFrom<EmailConfigInput> for EmailConfig {
    type Error = Failure;

    /// A text that is missing is empty, which the domain refuses by name.
    fn try_from(config: EmailConfigInput) -> Result<Self, Failure> {
        if Sharing::from(config.r#type) == Sharing::Shared {
            return Ok(Self::Shared);
        }
        let port = config.port.and_then(|port| u16::try_from(port).ok());
        Ok(Self::Standard {
            host: config.host.unwrap_or_default(),
            port: port.ok_or_else(|| Failure::schema("body.config.email_config.port must be 0 to 65535"))?,
            username: config.username.unwrap_or_default(),
            password: ShownSecret(config.password.unwrap_or_default()),
            sender_name: config.sender_name.unwrap_or_default(),
            sender_email: config.sender_email.unwrap_or_default(),
        })
    }
}
