//! Seeing what a template looks like, without a mail (wire: emails §3).

use super::{config_for_admin, rendering_error, theme_id, theme_source};
use crate::{
    Actor, Code, Deps, Failure,
    emails::{
        compose,
        prepare::logos,
        render::{self, Answer, RenderError, Rendered, Source, View},
    },
    error::{Error, Result, refuse},
    projects,
};

/// The name that previews call the recipient by (wire: emails §3).
const NAME: &str = "John Doe";

/// A template to be seen.
#[derive(Clone, Debug)]
pub enum TemplateRef {
    /// One of the project's.
    Id(String),
    /// This source.
    Source(String),
}

/// The theme it is to be seen in.
#[derive(Clone, Debug)]
pub enum ThemeRef {
    /// The selected one, none, or one of the project's.
    Of(compose::Theme),
    /// This source.
    Source(String),
}

/// What a template looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// HTML part.
    pub html: String,
    /// Text part.
    pub text: String,
    /// Subject.
    pub subject: String,
    /// Name of the category that it states.
    pub notification_category: Option<String>,
}

/// Renders a template with the examples it declares.
///
/// # Errors
/// `FORBIDDEN` below ADMIN; `BAD_REQUEST` for an unknown template or theme; `EMAIL_RENDERING_ERROR`;
/// `RATE_LIMITED` while others of the project are rendered.
#[crate::boxed]
pub async fn render(deps: &Deps, actor: &Actor, template: &TemplateRef, theme: &ThemeRef) -> Result<Preview> {
    let config = config_for_admin(deps, actor).await?;
    let emails = &config.emails;
    let template = match template {
        TemplateRef::Source(source) => source.clone(),
        TemplateRef::Id(id) => match emails.templates.get(id) {
            Some(template) => template.tsx_source.clone(),
            None => return refuse(Failure::bad_request("template_id: there is no such template")),
        },
    };
    let theme = match theme {
        ThemeRef::Source(source) => Some(source.clone()),
        ThemeRef::Of(theme) => {
            super::templates::require_theme(emails, theme)?;
            theme_id(emails, theme).map(|id| theme_source(emails, &id))
        }
    };
    let Rendered { content, category } = try_out(deps, actor, Source { template, theme }).await?;
    Ok(Preview { html: content.html, text: content.text, subject: content.subject, notification_category: category })
}

/// Renders `source` with the examples it declares.
pub(super) async fn try_out(deps: &Deps, actor: &Actor, source: Source) -> Result<Rendered> {
    let Some(project) = projects::lookup(deps, &actor.project_id).await? else {
        return Err(Error::internal("the project of a caller is gone"));
    };
    let view = View {
        project_display_name: project.display_name.clone(),
        codes_valid_for: deps.settings.codes_valid_for(),
        logos: logos(&project),
        user_display_name: NAME.to_owned(),
        is_preview: true,
        ..View::default()
    };
    match render::render_all(deps, &actor.project_id, source, vec![view]).await? {
        Answer::Done(Ok(rendered)) => {
            rendered.into_iter().next().ok_or_else(|| Error::internal("nothing was rendered"))
        }
        Answer::Done(Err(RenderError(why))) => refuse(rendering_error(&why)),
        Answer::Later => {
            let text = "Other sources of the project are being rendered. Try again in a moment.";
            refuse(Failure { retry_after_seconds: Some(1), ..Failure::new(Code::RateLimited, text) })
        }
    }
}
