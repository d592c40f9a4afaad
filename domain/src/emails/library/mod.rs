//! Templates, themes and drafts of a project: what mails are made from. Templates and themes live in the project's config,
//! where the built-in ones stand unless they were changed; drafts in a table of their own.

pub mod drafts;
pub mod preview;
mod store;
pub mod templates;
pub mod themes;

use postern_entity::email;
use serde_json::json;

use super::{compose::Theme, render::Source};
use crate::{
    Actor, Code, Deps, Failure, Level,
    error::{Result, refuse},
    projects::{self, Emails, ProjectConfig, ThemeChoice},
    validation::Violations,
};

/// Most characters of the name of a template, theme or draft.
pub const MAX_NAME_CHARS: usize = 200;

/// What `email` is rendered from, and the id of its theme.
pub(super) fn sources(emails: &Emails, email: &email::Model) -> (Source, Option<String>) {
    let mut theme = Theme::of_columns(email.theme_id.as_deref(), email.uses_selected_theme);
    let mut template = email.template_source.clone();
    if template.is_empty()
        && let Some(of_project) = email.template_id.as_ref().and_then(|id| emails.templates.get(id))
    {
        template.clone_from(&of_project.tsx_source);
        if theme == Theme::Selected {
            theme = own_theme(of_project.theme_id.as_ref());
        }
    }
    let theme_id = theme_id(emails, &theme);
    (Source { template, theme: theme_id.as_ref().map(|id| theme_source(emails, id)) }, theme_id)
}

/// The theme that a template or draft asks for.
pub(super) fn own_theme(choice: Option<&ThemeChoice>) -> Theme {
    match choice {
        None => Theme::Selected,
        Some(ThemeChoice::Id(id)) => Theme::Id(id.clone()),
        Some(ThemeChoice::None(_)) => Theme::None,
    }
}

/// The id of the theme to use; `None` for none. The selected one stands in for one that is not there.
pub(super) fn theme_id(emails: &Emails, theme: &Theme) -> Option<String> {
    match theme {
        Theme::None => None,
        Theme::Id(id) if emails.themes.contains_key(id) => Some(id.clone()),
        Theme::Id(_) | Theme::Selected => Some(emails.selected_theme_id.clone()),
    }
}

pub(super) fn theme_source(emails: &Emails, id: &str) -> String {
    emails.themes.get(id).map(|theme| theme.tsx_source.clone()).unwrap_or_default()
}

/// The config of the caller's project, for an administrator.
async fn config_for_admin(deps: &Deps, actor: &Actor) -> Result<std::sync::Arc<ProjectConfig>> {
    if actor.level < Level::Admin {
        return refuse(Failure::forbidden("templates, themes and drafts of mails need admin access"));
    }
    projects::config(deps, &actor.project_id).await
}

/// Projects that send through the installation's server send what the installation lets them.
pub(super) fn require_own_server(emails: &Emails) -> Result<()> {
    if emails.server.is_shared {
        return refuse(Failure::new(
            Code::RequiresCustomEmailServer,
            "This needs a mail server of the project's own; it uses the shared one.",
        ));
    }
    Ok(())
}

pub(super) fn rendering_error(why: &str) -> Failure {
    Failure::new(Code::EmailRenderingError, format!("The email does not render: {why}")).with(json!({ "error": why }))
}

fn check_name(name: &str) -> Result<()> {
    let mut violations = Violations::default();
    violations.require(!name.trim().is_empty(), "display_name", "must not be empty");
    violations.text("display_name", name, MAX_NAME_CHARS);
    violations.finish()
}

fn check_source(source: &str) -> Result<()> {
    let mut violations = Violations::default();
    note_source(&mut violations, source);
    violations.finish()
}

/// Notes a source that is too long, or that no database can hold.
pub(super) fn note_source(violations: &mut Violations, source: &str) {
    let most = super::render::MAX_SOURCE_BYTES;
    violations.require(source.len() <= most, "tsx_source", format_args!("must have at most {most} bytes"));
    violations.storable("tsx_source", source);
}
