//! Users, as the schema shows them.

use async_graphql::{Context, Enum, ID};
use postern_domain::{
    items::Customer,
    permissions::{ProjectGrant, TeamGrant},
    users::{OAuthAccount, RestrictedReason as Reason, RiskScores as Scores, User},
};
use postern_gateway_macros::guarded;
use serde_json::Value;

use crate::graphql::{
    connection::{Connection, connection_of, page_cost},
    contact_channels::types::ContactChannelObject,
    error::Result,
    federation::key,
    items::types::ItemObject,
    linked_accounts::types::LinkedAccountObject,
    loaders::Loaders,
    permissions::types::{ProjectPermissionObject, TeamPermissionObject},
    scalars::{DateTime, IntoId, json},
    teams::types::TeamObject,
};

/// A user of the project.
pub(crate) struct UserObject(pub(crate) User);

/// A user of the application. A client sees its own user only.
#[guarded(CLIENT, self, owner = self.0.id, graphql(name = "User", directive = key::apply("id".to_owned())))]
impl UserObject {
    /// The id of the user: the same as over REST, and the `sub` of the user's tokens.
    #[access(CLIENT, self)]
    pub(crate) async fn id(&self) -> ID {
        self.0.id.into_id()
    }

    /// The name to show.
    #[access(CLIENT, self)]
    fn display_name(&self) -> Option<&str> {
        self.0.display_name.as_deref()
    }

    /// The primary e-mail address.
    #[access(CLIENT, self)]
    fn primary_email(&self) -> Option<&str> {
        self.0.primary_address()
    }

    /// Whether the user has proven to hold the primary address.
    #[access(CLIENT, self)]
    fn primary_email_verified(&self) -> bool {
        self.0.primary_email.as_ref().is_some_and(|email| email.is_verified)
    }

    /// Whether the user can sign in with the primary address.
    #[access(SERVER)]
    fn primary_email_auth_enabled(&self) -> Option<bool> {
        Some(self.0.primary_email.as_ref().is_some_and(|email| email.used_for_auth))
    }

    /// URL of the picture.
    #[access(CLIENT, self)]
    fn profile_image_url(&self) -> Option<&str> {
        self.0.profile_image_url.as_deref()
    }

    /// Data that the user and servers read and write.
    #[access(CLIENT, self)]
    fn client_metadata(&self) -> Option<&Value> {
        json(&self.0.client_metadata)
    }

    /// Data that the user reads and servers write.
    #[access(CLIENT, self)]
    fn client_read_only_metadata(&self) -> Option<&Value> {
        json(&self.0.client_read_only_metadata)
    }

    /// Data that only servers read and write.
    #[access(SERVER)]
    fn server_metadata(&self) -> Option<&Value> {
        json(&self.0.server_metadata)
    }

    /// When the user was made, or stopped being anonymous.
    #[access(CLIENT, self)]
    fn signed_up_at(&self) -> DateTime {
        self.0.signed_up_at.into()
    }

    /// When an access token was last made for the user.
    #[access(SERVER)]
    fn last_active_at(&self) -> Option<DateTime> {
        Some(self.0.last_active_at.into())
    }

    /// Whether the user has a password.
    #[access(CLIENT, self)]
    fn has_password(&self) -> bool {
        self.0.has_password
    }

    /// Whether the user can sign in by a one-time code.
    #[access(CLIENT, self)]
    fn otp_auth_enabled(&self) -> bool {
        self.0.otp_auth_enabled
    }

    /// Whether the user can sign in by a passkey.
    #[access(CLIENT, self)]
    fn passkey_auth_enabled(&self) -> bool {
        self.0.passkey_auth_enabled
    }

    /// Whether signing in asks for a second factor.
    #[access(CLIENT, self)]
    fn requires_totp_mfa(&self) -> bool {
        self.0.requires_totp_mfa
    }

    /// Accounts of other sites that are linked to the user, oldest first.
    #[access(CLIENT, self)]
    fn oauth_providers(&self) -> Vec<OAuthProviderObject<'_>> {
        self.0.oauth_accounts.iter().map(|account| OAuthProviderObject { user: &self.0, account }).collect()
    }

    /// The same accounts with what each is good for, oldest first.
    #[access(CLIENT, self)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn linked_accounts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<Connection<LinkedAccountObject>> {
        let accounts = Loaders::of(ctx)?.linked_accounts_of(self.0.id).await?;
        connection_of(accounts, first, after.as_deref(), |account| account.id.0, LinkedAccountObject)
    }

    /// The team that the user has selected.
    #[access(CLIENT, self)]
    fn selected_team(&self) -> Option<TeamObject> {
        self.0.selected_team.clone().map(TeamObject)
    }

    /// Whether the user was made without any credentials.
    #[access(CLIENT, self)]
    fn is_anonymous(&self) -> bool {
        self.0.is_anonymous
    }

    /// Whether something keeps the user from doing everything.
    #[access(CLIENT, self)]
    fn is_restricted(&self) -> bool {
        self.0.is_restricted()
    }

    /// What keeps the user from doing everything; the first that applies.
    #[access(CLIENT, self)]
    fn restricted_reason(&self) -> Option<RestrictedReason> {
        self.0.restricted_reason.map(Into::into)
    }

    /// Whether an administrator or a sign-up rule restricted the user.
    #[access(CLIENT, self)]
    fn restricted_by_admin(&self) -> bool {
        self.0.restricted_by_admin
    }

    /// What the user is told about that.
    #[access(CLIENT, self)]
    fn restricted_by_admin_reason(&self) -> Option<&str> {
        self.0.restricted_by_admin_reason.as_deref()
    }

    /// What only servers are told about that.
    #[access(SERVER)]
    fn restricted_by_admin_private_details(&self) -> Option<&str> {
        self.0.restricted_by_admin_private_details.as_deref()
    }

    /// The country, as ISO 3166-1 alpha-2.
    #[access(SERVER)]
    fn country_code(&self) -> Option<&str> {
        self.0.country_code.as_deref()
    }

    /// How risky the sign-up looked.
    #[access(SERVER)]
    fn risk_scores(&self) -> Option<RiskScores> {
        Some(self.0.risk_scores.into())
    }

    /// The user's contact channels, the primary one first.
    #[access(CLIENT, self)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn contact_channels(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<Connection<ContactChannelObject>> {
        let channels = Loaders::of(ctx)?.contact_channels_of(self.0.id).await?;
        connection_of(channels, first, after.as_deref(), |channel| channel.id.0, ContactChannelObject)
    }

    /// The teams that the user belongs to, oldest first.
    #[access(CLIENT, self)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn teams(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<Connection<TeamObject>> {
        let teams = Loaders::of(ctx)?.teams_of(self.0.id).await?;
        connection_of(teams, first, after.as_deref(), |team| team.id.0, TeamObject)
    }

    /// What the user holds in its teams, by team and key.
    #[access(CLIENT, self)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn team_permissions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Also what another permission includes.", default)] recursive: bool,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<Connection<TeamPermissionObject>> {
        let held = Loaders::of(ctx)?.team_permissions_of(self.0.id, recursive).await?;
        let place = |grant: &TeamGrant| (grant.team_id, grant.user_id, grant.id.clone());
        connection_of(held, first, after.as_deref(), place, TeamPermissionObject)
    }

    /// What the user has of each item for users, by key.
    #[access(CLIENT, self)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn items(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<Connection<ItemObject>> {
        let items = Loaders::of(ctx)?.items_of(Customer::user(self.0.id)).await?;
        connection_of(items, first, after.as_deref(), |item| item.id.clone(), ItemObject)
    }

    /// What the user holds in the whole project, by key.
    #[access(CLIENT, self)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn project_permissions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Also what another permission includes.", default)] recursive: bool,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<Connection<ProjectPermissionObject>> {
        let held = Loaders::of(ctx)?.project_permissions_of(self.0.id, recursive).await?;
        connection_of(held, first, after.as_deref(), |grant: &ProjectGrant| grant.id.clone(), ProjectPermissionObject)
    }
}

/// What keeps a user from doing everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "Reason")]
pub(crate) enum RestrictedReason {
    /// The user was made without any credentials.
    Anonymous,
    /// The project wants a verified primary address first.
    EmailNotVerified,
    /// An administrator or a sign-up rule did.
    RestrictedByAdministrator,
}

/// A linked account of another site.
pub(crate) struct OAuthProviderObject<'a> {
    user: &'a User,
    account: &'a OAuthAccount,
}

/// An account of another site that is linked to a user.
#[guarded(CLIENT, self, owner = self.user.id, graphql(name = "OAuthProvider"))]
impl OAuthProviderObject<'_> {
    /// The provider, by its key in the project's config.
    #[access(CLIENT, self)]
    fn key(&self) -> &str {
        &self.account.provider_config_id
    }

    /// The id of the account there.
    #[access(CLIENT, self)]
    fn account_id(&self) -> &str {
        &self.account.account_id
    }

    /// The e-mail address of the account there.
    #[access(CLIENT, self)]
    fn email(&self) -> Option<&str> {
        self.account.email.as_deref()
    }
}

/// How risky a sign-up looked: 0 to 100 each.
#[guarded(SERVER)]
pub(crate) struct RiskScores {
    /// Made by a machine.
    #[access(SERVER)]
    bot: u8,
    /// Made to use a free trial once more.
    #[access(SERVER)]
    free_trial_abuse: u8,
}

impl From<Scores> for RiskScores {
    fn from(Scores { bot, free_trial_abuse }: Scores) -> Self {
        Self { bot, free_trial_abuse }
    }
}
