//! Reading the outbox, and what mails are made from.

use std::sync::Arc;

use async_graphql::{Context, ID};
use postern_domain::emails::{
    self, Theme,
    library::{
        drafts,
        preview::{self, TemplateRef, ThemeRef},
        templates, themes,
    },
    outbox::{self, ListEmails, Place},
};
use postern_gateway_macros::guarded;

use super::{
    input::EmailPreviewInput,
    library_types::{
        EmailDeliveryInfoObject, EmailDraftObject, EmailPreviewObject, EmailTemplateObject, EmailThemeObject,
    },
    types::{EmailObject, EmailSimpleStatus, EmailStatus},
};
use crate::graphql::{
    connection::{Connection, Count, connection_of, decode_cursor, encode_cursor, page_cost, page_size},
    error::{Error, Result},
    node::hides,
    scalars::parse_id,
    schema::{actor, deps},
};

/// Queries of mails.
#[derive(Default)]
pub(crate) struct EmailQuery;

#[guarded(root)]
impl EmailQuery {
    /// The mails of the outbox, newest first.
    #[access(SERVER)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn emails(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
        #[graphql(desc = "Only those that stand here.")] status: Option<EmailStatus>,
        #[graphql(desc = "Only those that stand roughly here.")] simple_status: Option<EmailSimpleStatus>,
    ) -> Result<Option<Connection<EmailObject>>> {
        let (deps, actor) = (deps(ctx)?, actor(ctx)?);
        let size = page_size(first)?;
        let wanted = ListEmails {
            status: status.map(Into::into),
            simple_status: simple_status.map(Into::into),
            // An empty page is asked for to learn whether anything follows.
            limit: Some(u32::try_from(size.max(1)).map_err(postern_domain::Error::internal)?),
            cursor: None,
            after: after.as_deref().map(decode_cursor::<Place>).transpose()?,
        };
        let page = outbox::list(deps, actor, &wanted).await?;
        let has_next_page = page.next_cursor.is_some() || (size == 0 && !page.items.is_empty());
        let mut items = Vec::new();
        for email in page.items.into_iter().take(usize::try_from(size).unwrap_or(usize::MAX)) {
            items.push((encode_cursor(&email.place())?, EmailObject(email)));
        }
        let (deps, actor) = (Arc::clone(deps), actor.clone());
        let has_previous_page = wanted.after.is_some();
        let count: Count = Box::new(move || {
            let (deps, actor, wanted) = (Arc::clone(&deps), actor.clone(), wanted.clone());
            Box::pin(async move { outbox::count(&deps, &actor, &wanted).await })
        });
        Ok(Some(Connection::new(items, has_next_page, has_previous_page).counted(count)))
    }

    /// One mail of the outbox.
    #[access(SERVER)]
    async fn email(&self, ctx: &Context<'_>, id: ID) -> Result<Option<EmailObject>> {
        match outbox::get(deps(ctx)?, actor(ctx)?, parse_id(&id, "id")?).await {
            Err(error) if hides(&error) => Ok(None),
            found => Ok(Some(EmailObject(found?))),
        }
    }

    /// What became of the project's mails, and how many may leave.
    #[access(SERVER)]
    #[graphql(complexity = "child_complexity + 10")]
    async fn email_delivery_info(&self, ctx: &Context<'_>) -> Result<Option<EmailDeliveryInfoObject>> {
        Ok(Some(EmailDeliveryInfoObject(emails::delivery_info(deps(ctx)?, actor(ctx)?).await?)))
    }

    /// The project's templates, the built-in ones first.
    #[access(ADMIN)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn email_templates(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<Option<Connection<EmailTemplateObject>>> {
        let found = templates::list(deps(ctx)?, actor(ctx)?).await?;
        connection_of(found, first, after.as_deref(), |template| template.id.clone(), EmailTemplateObject).map(Some)
    }

    /// The project's themes, the built-in ones first.
    #[access(ADMIN)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn email_themes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<Option<Connection<EmailThemeObject>>> {
        let found = themes::list(deps(ctx)?, actor(ctx)?).await?;
        connection_of(found, first, after.as_deref(), |theme| theme.id.clone(), EmailThemeObject).map(Some)
    }

    /// The project's drafts, last changed first.
    #[access(ADMIN)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn email_drafts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<Option<Connection<EmailDraftObject>>> {
        let found = drafts::list(deps(ctx)?, actor(ctx)?).await?;
        connection_of(found, first, after.as_deref(), |draft| draft.id, EmailDraftObject).map(Some)
    }

    /// What a template looks like with the examples that it declares. No mail is made.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn email_preview(&self, ctx: &Context<'_>, input: EmailPreviewInput) -> Result<Option<EmailPreviewObject>> {
        let template = match (input.template_id, input.source) {
            (Some(id), None) => TemplateRef::Id(id.0),
            (None, Some(source)) => TemplateRef::Source(source),
            _ => return Err(Error::bad_input("Give one of `templateId` and `source`.")),
        };
        let theme = match (input.theme_id, input.theme_source, input.no_theme) {
            (None, None, false) => ThemeRef::Of(Theme::Selected),
            (None, None, true) => ThemeRef::Of(Theme::None),
            (Some(id), None, false) => ThemeRef::Of(Theme::Id(id.0)),
            (None, Some(source), false) => ThemeRef::Source(source),
            _ => return Err(Error::bad_input("Give at most one of `themeId`, `themeSource` and `noTheme`.")),
        };
        let seen = preview::render(deps(ctx)?, actor(ctx)?, &template, &theme).await?;
        Ok(Some(EmailPreviewObject(seen)))
    }
}
