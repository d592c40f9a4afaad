//! Sessions, as the schema shows them, and what somebody gets who signs in.

use async_graphql::{Context, ID};
use postern_domain::{
    UserId,
    sessions::{Refreshed, Session, SignedIn},
};
use postern_gateway_macros::guarded;
use secrecy::ExposeSecret;

use crate::graphql::{
    error::Result,
    guard,
    loaders::Loaders,
    scalars::{DateTime, IntoId},
    users::types::UserObject,
};

/// A session of a user.
pub(crate) struct SessionObject(pub(crate) Session);

/// A place where a user is signed in: one refresh token, and the access tokens made from it.
#[guarded(CLIENT, self, owner = self.0.user_id, graphql(name = "Session"))]
impl SessionObject {
    /// The id of the session: `refresh_token_id` in access tokens.
    #[access(CLIENT, self)]
    pub(crate) async fn id(&self) -> ID {
        self.0.id.into_id()
    }

    /// When the user signed in.
    #[access(CLIENT, self)]
    fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When an access token was last made.
    #[access(CLIENT, self)]
    fn last_used_at(&self) -> DateTime {
        self.0.last_used_at.into()
    }

    /// When the session is over.
    #[access(CLIENT, self)]
    fn expires_at(&self) -> DateTime {
        self.0.expires_at.into()
    }

    /// Whether an administrator made the session to act as the user. Such sessions are shown to administrators only.
    #[access(CLIENT, self)]
    fn is_impersonation(&self) -> bool {
        self.0.is_impersonation
    }

    /// Whether the caller's own access token comes from this session.
    #[access(CLIENT, self)]
    fn is_current(&self) -> bool {
        self.0.is_current
    }

    /// From which address a browser last used the session.
    #[access(CLIENT, self)]
    fn last_used_ip(&self) -> Option<String> {
        self.0.last_used_ip.map(|address| address.to_string())
    }

    /// What that browser calls itself.
    #[access(CLIENT, self)]
    fn last_used_user_agent(&self) -> Option<&str> {
        self.0.last_used_user_agent.as_deref()
    }

    /// The country of that address, as ISO 3166-1 alpha-2, where a proxy tells it.
    #[access(CLIENT, self)]
    fn last_used_country(&self) -> Option<&str> {
        self.0.last_used_country.as_deref()
    }

    /// Who is signed in.
    #[access(CLIENT, self)]
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<UserObject>> {
        user(ctx, self.0.user_id).await
    }
}

async fn user(ctx: &Context<'_>, id: UserId) -> Result<Option<UserObject>> {
    Ok(Loaders::of(ctx)?.user(id).await?.map(UserObject))
}

/// Tokens of a session just begun.
pub(crate) struct SignInPayload(SignedIn);

impl SignInPayload {
    /// Notes that the caller has proven to be this user, so that the answer may show it.
    pub(crate) fn new(ctx: &Context<'_>, signed_in: SignedIn) -> Self {
        guard::SignedIn::note(ctx, signed_in.user_id);
        Self(signed_in)
    }
}

/// Tokens of a session just begun, and whose it is.
#[guarded(CLIENT)]
impl SignInPayload {
    /// Proves for some minutes who the user is.
    #[access(CLIENT)]
    fn access_token(&self) -> &str {
        self.0.access_token.expose_secret()
    }

    /// Makes access tokens as long as the session lives. Keep it secret.
    #[access(CLIENT)]
    fn refresh_token(&self) -> &str {
        self.0.refresh_token.expose_secret()
    }

    /// The session.
    #[access(CLIENT)]
    fn session_id(&self) -> ID {
        self.0.session_id.into_id()
    }

    /// Whether the user was made by it, or became a regular one.
    #[access(CLIENT)]
    fn is_new_user(&self) -> bool {
        self.0.is_new_user
    }

    /// The id of the user.
    #[access(CLIENT)]
    fn user_id(&self) -> ID {
        self.0.user_id.into_id()
    }

    /// The user.
    #[access(CLIENT)]
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<UserObject>> {
        user(ctx, self.0.user_id).await
    }
}

/// A fresh access token.
pub(crate) struct RefreshSessionPayload(Refreshed);

impl RefreshSessionPayload {
    /// Notes that the caller has proven to be this user, so that the answer may show it.
    pub(crate) fn new(ctx: &Context<'_>, refreshed: Refreshed) -> Self {
        guard::SignedIn::note(ctx, refreshed.user_id);
        Self(refreshed)
    }
}

/// A fresh access token, and whose it is.
#[guarded(CLIENT)]
impl RefreshSessionPayload {
    /// Proves for some minutes who the user is.
    #[access(CLIENT)]
    fn access_token(&self) -> &str {
        self.0.access_token.expose_secret()
    }

    /// The session.
    #[access(CLIENT)]
    fn session_id(&self) -> ID {
        self.0.session_id.into_id()
    }

    /// The id of the user.
    #[access(CLIENT)]
    fn user_id(&self) -> ID {
        self.0.user_id.into_id()
    }

    /// The user.
    #[access(CLIENT)]
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<UserObject>> {
        user(ctx, self.0.user_id).await
    }
}
