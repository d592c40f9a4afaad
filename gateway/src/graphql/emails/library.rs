//! Changing what mails are made from: templates, themes and drafts.

use async_graphql::{Context, ID, InputObject, MaybeUndefined};
use postern_domain::{
    EmailDraftId,
    emails::{
        Theme,
        library::{
            drafts::{self, NewDraft, UpdateDraft},
            templates, themes,
        },
    },
    patch::Patch,
};
use postern_gateway_macros::guarded;

use super::{
    input::own_theme,
    library_types::{EmailDraftObject, EmailTemplateObject, EmailThemeObject},
};
use crate::graphql::{
    error::{Error, Result},
    repeat,
    scalars::{IntoId, parse_id, patch},
    schema::deps,
};

/// Mutations of templates, themes and drafts.
#[derive(Default)]
pub(crate) struct EmailLibraryMutation;

#[guarded(root)]
impl EmailLibraryMutation {
    /// Makes a template, to be edited. Needs a mail server of the project's own.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn create_email_template(
        &self,
        ctx: &Context<'_>,
        input: CreateEmailTemplateInput,
    ) -> Result<Option<EmailTemplatePayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let template = templates::create(deps(ctx)?, &actor, &input.display_name).await?;
        Ok(Some(EmailTemplatePayload { email_template: EmailTemplateObject(template) }))
    }

    /// Changes a template, once it is seen to render with a subject and a category.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn update_email_template(
        &self,
        ctx: &Context<'_>,
        input: UpdateEmailTemplateInput,
    ) -> Result<Option<EmailTemplatePayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let theme = theme(input.theme_id, input.no_theme)?;
        let (template, _) = templates::update(deps(ctx)?, &actor, &input.id, &input.source, &theme).await?;
        Ok(Some(EmailTemplatePayload { email_template: EmailTemplateObject(template) }))
    }

    /// Removes a template; a built-in one becomes what it was at first.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn delete_email_template(
        &self,
        ctx: &Context<'_>,
        input: DeleteEmailTemplateInput,
    ) -> Result<Option<DeleteEmailTemplatePayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        templates::delete(deps(ctx)?, &actor, &input.id).await?;
        Ok(Some(DeleteEmailTemplatePayload { id: input.id }))
    }

    /// Makes a theme that looks like the default one, to be edited.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn create_email_theme(
        &self,
        ctx: &Context<'_>,
        input: CreateEmailThemeInput,
    ) -> Result<Option<EmailThemePayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let theme = themes::create(deps(ctx)?, &actor, &input.display_name).await?;
        Ok(Some(EmailThemePayload { email_theme: EmailThemeObject(theme) }))
    }

    /// Changes a theme, once a mail is seen to render in it.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn update_email_theme(
        &self,
        ctx: &Context<'_>,
        input: UpdateEmailThemeInput,
    ) -> Result<Option<EmailThemePayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let theme = themes::update(deps(ctx)?, &actor, &input.id, &input.source).await?;
        Ok(Some(EmailThemePayload { email_theme: EmailThemeObject(theme) }))
    }

    /// Removes a theme that is not selected; a built-in one becomes what it was at first.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn delete_email_theme(
        &self,
        ctx: &Context<'_>,
        input: DeleteEmailThemeInput,
    ) -> Result<Option<DeleteEmailThemePayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        themes::delete(deps(ctx)?, &actor, &input.id).await?;
        Ok(Some(DeleteEmailThemePayload { id: input.id }))
    }

    /// Makes a draft.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn create_email_draft(
        &self,
        ctx: &Context<'_>,
        input: CreateEmailDraftInput,
    ) -> Result<Option<EmailDraftPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let theme = theme(input.theme_id, input.no_theme)?.set().unwrap_or(Theme::Selected);
        let new = NewDraft { display_name: input.display_name, source: input.source, theme };
        let draft = drafts::create(deps(ctx)?, &actor, new).await?;
        Ok(Some(EmailDraftPayload { email_draft: EmailDraftObject(draft) }))
    }

    /// Changes a draft.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn update_email_draft(
        &self,
        ctx: &Context<'_>,
        input: UpdateEmailDraftInput,
    ) -> Result<Option<EmailDraftPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let theme = theme(input.theme_id, input.no_theme)?;
        let change = UpdateDraft { display_name: input.display_name, source: input.source, theme };
        let draft = drafts::update(deps(ctx)?, &actor, parse_id(&input.id, "id")?, change).await?;
        Ok(Some(EmailDraftPayload { email_draft: EmailDraftObject(draft) }))
    }

    /// Removes a draft. Mails made from it stay.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn delete_email_draft(
        &self,
        ctx: &Context<'_>,
        input: DeleteEmailDraftInput,
    ) -> Result<Option<DeleteEmailDraftPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let id: EmailDraftId = parse_id(&input.id, "id")?;
        drafts::delete(deps(ctx)?, &actor, id).await?;
        Ok(Some(DeleteEmailDraftPayload { id: id.into_id() }))
    }
}

/// What an input says of a theme: an id, null for the selected one, or none at all.
fn theme(id: MaybeUndefined<ID>, none: bool) -> Result<Patch<Theme>> {
    match (patch(id), none) {
        (theme, false) => theme.try_map(|id| own_theme(&id)),
        (Patch::Keep, true) => Ok(Patch::Set(Theme::None)),
        _ => Err(Error::bad_input("Give at most one of `themeId` and `noTheme`.")),
    }
}

/// A template to make.
#[derive(InputObject)]
pub(crate) struct CreateEmailTemplateInput {
    /// Its name, for people.
    display_name: String,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// What to change of a template.
#[derive(InputObject)]
pub(crate) struct UpdateEmailTemplateInput {
    /// The template.
    id: ID,
    /// Its source: MiniJinja over MJML.
    source: String,
    /// Its theme; null for the selected one.
    theme_id: MaybeUndefined<ID>,
    /// No theme at all.
    #[graphql(default)]
    no_theme: bool,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A template to remove.
#[derive(InputObject)]
pub(crate) struct DeleteEmailTemplateInput {
    /// The template.
    id: ID,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A theme to make.
#[derive(InputObject)]
pub(crate) struct CreateEmailThemeInput {
    /// Its name, for people.
    display_name: String,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// What to change of a theme.
#[derive(InputObject)]
pub(crate) struct UpdateEmailThemeInput {
    /// The theme.
    id: ID,
    /// Its source: MiniJinja over MJML.
    source: String,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A theme to remove.
#[derive(InputObject)]
pub(crate) struct DeleteEmailThemeInput {
    /// The theme.
    id: ID,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A draft to make.
#[derive(InputObject)]
pub(crate) struct CreateEmailDraftInput {
    /// Its name, for people.
    display_name: String,
    /// Its source; a mail to begin with when not given.
    source: Option<String>,
    /// Its theme; null for the selected one.
    theme_id: MaybeUndefined<ID>,
    /// No theme at all.
    #[graphql(default)]
    no_theme: bool,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// What to change of a draft: what is not given stays.
#[derive(InputObject)]
pub(crate) struct UpdateEmailDraftInput {
    /// The draft.
    id: ID,
    /// Its name, for people.
    display_name: Option<String>,
    /// Its source: MiniJinja over MJML.
    source: Option<String>,
    /// Its theme; null for the selected one.
    theme_id: MaybeUndefined<ID>,
    /// No theme at all.
    #[graphql(default)]
    no_theme: bool,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A draft to remove.
#[derive(InputObject)]
pub(crate) struct DeleteEmailDraftInput {
    /// The draft.
    id: ID,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A template was made or changed.
#[guarded(ADMIN)]
pub(crate) struct EmailTemplatePayload {
    /// The template as it is now.
    #[access(ADMIN)]
    email_template: EmailTemplateObject,
}

/// A template was removed.
#[guarded(ADMIN)]
pub(crate) struct DeleteEmailTemplatePayload {
    /// Its id.
    #[access(ADMIN)]
    id: ID,
}

/// A theme was made or changed.
#[guarded(ADMIN)]
pub(crate) struct EmailThemePayload {
    /// The theme as it is now.
    #[access(ADMIN)]
    email_theme: EmailThemeObject,
}

/// A theme was removed.
#[guarded(ADMIN)]
pub(crate) struct DeleteEmailThemePayload {
    /// Its id.
    #[access(ADMIN)]
    id: ID,
}

/// A draft was made or changed.
#[guarded(ADMIN)]
pub(crate) struct EmailDraftPayload {
    /// The draft as it is now.
    #[access(ADMIN)]
    email_draft: EmailDraftObject,
}

/// A draft was removed.
#[guarded(ADMIN)]
pub(crate) struct DeleteEmailDraftPayload {
    /// Its id.
    #[access(ADMIN)]
    id: ID,
}
