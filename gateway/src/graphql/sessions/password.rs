//! Passwords: first ones, changed ones, forgotten ones.

use async_graphql::{Context, InputObject};
use postern_domain::sessions::{self, LinkTarget, OneTimeCode};
use postern_gateway_macros::guarded;

use crate::graphql::{
    error::Result,
    repeat,
    schema::{client_info, deps},
};

/// Mutations of passwords.
#[derive(Default)]
pub(crate) struct PasswordMutation;

#[guarded(root)]
impl PasswordMutation {
    /// Sends a mail with a link to choose a new password, if somebody signs in with the address. The answer does not tell
    /// whether somebody does.
    #[access(CLIENT)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn send_password_reset(
        &self,
        ctx: &Context<'_>,
        input: SendPasswordResetInput,
    ) -> Result<Option<PasswordPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let target = LinkTarget::or_own_page(input.callback_url);
        sessions::send_password_reset(deps(ctx)?, &actor, &input.email, target, &client_info(ctx)).await?;
        Ok(Some(PasswordPayload { success: true }))
    }

    /// Chooses a new password with the code of a mail. All sessions of the user end.
    #[access(CLIENT)]
    #[graphql(complexity = "child_complexity + 100")]
    async fn reset_password(&self, ctx: &Context<'_>, input: ResetPasswordInput) -> Result<Option<PasswordPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let code = OneTimeCode::parse(&input.code)?;
        sessions::reset_password(deps(ctx)?, &actor, &code, &input.password.into(), &client_info(ctx)).await?;
        Ok(Some(PasswordPayload { success: true }))
    }

    /// Gives the signed-in user a first password.
    #[access(CLIENT, self)]
    #[graphql(complexity = "child_complexity + 100")]
    async fn set_password(&self, ctx: &Context<'_>, input: SetPasswordInput) -> Result<Option<PasswordPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        sessions::set_password(deps(ctx)?, &actor, &input.password.into()).await?;
        Ok(Some(PasswordPayload { success: true }))
    }

    /// Changes the password of the signed-in user. All sessions end but the one of the given refresh token.
    #[access(CLIENT, self)]
    #[graphql(complexity = "child_complexity + 100")]
    async fn update_password(&self, ctx: &Context<'_>, input: UpdatePasswordInput) -> Result<Option<PasswordPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let (old, new) = (input.old_password.into(), input.new_password.into());
        let refresh_token = input.refresh_token.map(Into::into);
        sessions::update_password(deps(ctx)?, &actor, &old, &new, refresh_token.as_ref(), &client_info(ctx)).await?;
        Ok(Some(PasswordPayload { success: true }))
    }
}

/// Who forgot a password.
#[derive(InputObject)]
pub(crate) struct SendPasswordResetInput {
    /// The e-mail address to sign in with.
    email: String,
    /// Where the link of the mail leads; the project must trust it. A page of this server when not given.
    callback_url: Option<String>,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A password to choose instead of a forgotten one.
#[derive(InputObject)]
pub(crate) struct ResetPasswordInput {
    /// The code of the mail.
    #[graphql(secret)]
    code: String,
    /// The password, 8 to 70 characters.
    #[graphql(secret)]
    password: String,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A first password.
#[derive(InputObject)]
pub(crate) struct SetPasswordInput {
    /// The password, 8 to 70 characters.
    #[graphql(secret)]
    password: String,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A password to change.
#[derive(InputObject)]
pub(crate) struct UpdatePasswordInput {
    /// The present password.
    #[graphql(secret)]
    old_password: String,
    /// The new password, 8 to 70 characters.
    #[graphql(secret)]
    new_password: String,
    /// That of the session that goes on; all others end.
    #[graphql(secret)]
    refresh_token: Option<String>,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// What became of it.
#[guarded(CLIENT)]
pub(crate) struct PasswordPayload {
    /// Always true: what fails is an error.
    #[access(CLIENT)]
    success: bool,
}
