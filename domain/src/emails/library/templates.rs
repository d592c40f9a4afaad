//! Templates of a project (wire: emails §5).

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    check_name, check_source, config_for_admin, own_theme, preview, rendering_error, require_own_server, theme_id,
    theme_source,
};
use crate::{
    Actor, Deps, Failure,
    emails::{BUILT_IN_TEMPLATES, compose::Theme, render::Source},
    error::{Result, refuse},
    patch::Patch,
    projects::{self, EmailTemplate, Emails},
};

/// What a new template says until it is edited.
const STARTER: &str = include_str!("starter.mjml");

/// A template of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its id: a UUID.
    pub id: String,
    /// Its name, for people.
    pub display_name: String,
    /// Its source.
    pub source: String,
    /// Its theme.
    pub theme: Theme,
}

impl Template {
    fn new(id: &str, template: &EmailTemplate) -> Self {
        Self {
            id: id.to_owned(),
            display_name: template.display_name.clone(),
            source: template.tsx_source.clone(),
            theme: own_theme(template.theme_id.as_ref()),
        }
    }
}

/// All templates, the built-in ones first.
///
/// # Errors
/// `FORBIDDEN` below ADMIN.
#[crate::boxed]
pub async fn list(deps: &Deps, actor: &Actor) -> Result<Vec<Template>> {
    let config = config_for_admin(deps, actor).await?;
    let templates = &config.emails.templates;
    let built_in = BUILT_IN_TEMPLATES.iter().map(|template| template.id);
    let built_in = built_in.filter_map(|id| Some(Template::new(id, templates.get(id)?)));
    let own = templates.iter().filter(|(id, _)| !BUILT_IN_TEMPLATES.iter().any(|template| template.id == *id));
    Ok(built_in.chain(own.map(|(id, template)| Template::new(id, template))).collect())
}

/// Makes a template, to be edited.
///
/// # Errors
/// `FORBIDDEN` below ADMIN; `REQUIRES_CUSTOM_EMAIL_SERVER`; `SCHEMA_ERROR` for the name.
#[crate::boxed]
pub async fn create(deps: &Deps, actor: &Actor, display_name: &str) -> Result<Template> {
    require_own_server(&config_for_admin(deps, actor).await?.emails)?;
    check_name(display_name)?;
    let template = &Template {
        id: Uuid::new_v4().to_string(),
        display_name: display_name.to_owned(),
        source: STARTER.to_owned(),
        theme: Theme::Selected,
    };
    let id = deps
        .mutate(actor, "emails.create_template", |tx| async move {
            projects::change_environment_in(deps, &tx, actor, |_| {
                let entry = json!({ "displayName": template.display_name, "tsxSource": template.source });
                Ok(Map::from_iter([(path(&template.id), entry)]))
            })
            .await?;
            Ok(template.id.clone())
        })
        .await?;
    Ok(Template { id, ..template.clone() })
}

/// Changes a template, once it is seen to render with a subject and a category. Answers the HTML of that.
///
/// # Errors
/// `FORBIDDEN` below ADMIN; `REQUIRES_CUSTOM_EMAIL_SERVER`; `NOT_FOUND`; `SCHEMA_ERROR` for a source too long;
/// `BAD_REQUEST` for an unknown theme; `EMAIL_RENDERING_ERROR`.
#[crate::boxed]
pub async fn update(
    deps: &Deps,
    actor: &Actor,
    id: &str,
    source: &str,
    theme: &Patch<Theme>,
) -> Result<(Template, String)> {
    let config = config_for_admin(deps, actor).await?;
    require_own_server(&config.emails)?;
    let Some(current) = config.emails.templates.get(id) else { return refuse(not_found()) };
    check_source(source)?;
    let changed = match theme {
        Patch::Keep => own_theme(current.theme_id.as_ref()),
        Patch::Clear => Theme::Selected,
        Patch::Set(theme) => theme.clone(),
    };
    require_theme(&config.emails, &changed)?;
    let worn = theme_id(&config.emails, &changed).map(|id| theme_source(&config.emails, &id));
    let seen = preview::try_out(deps, actor, Source { template: source.to_owned(), theme: worn }).await?;
    if seen.category.is_none() || seen.content.subject.is_empty() {
        return refuse(rendering_error("the template must have a block `subject` and a block `category`"));
    }
    let theme = &theme;
    deps.mutate(actor, "emails.update_template", |tx| async move {
        projects::change_environment_in(deps, &tx, actor, |config| {
            // It may be gone by now.
            if config.pointer(&format!("/emails/templates/{id}")).is_none() {
                return refuse(not_found());
            }
            let mut settings = Map::from_iter([(format!("{}.tsxSource", path(id)), json!(source))]);
            if let Some(theme) = theme.as_ref().mentioned() {
                let choice = match theme {
                    None | Some(Theme::Selected) => Value::Null,
                    Some(Theme::None) => json!(false),
                    Some(Theme::Id(id)) => json!(id),
                };
                settings.insert(format!("{}.themeId", path(id)), choice);
            }
            Ok(settings)
        })
        .await
    })
    .await?;
    let display_name = current.display_name.clone();
    let template = Template { id: id.to_owned(), display_name, source: source.to_owned(), theme: changed };
    Ok((template, seen.content.html))
}

/// Removes a template; a built-in one becomes what it was at first.
///
/// # Errors
/// `FORBIDDEN` below ADMIN; `REQUIRES_CUSTOM_EMAIL_SERVER`; `NOT_FOUND`.
#[crate::boxed]
pub async fn delete(deps: &Deps, actor: &Actor, id: &str) -> Result<()> {
    let config = config_for_admin(deps, actor).await?;
    require_own_server(&config.emails)?;
    if !config.emails.templates.contains_key(id) {
        return refuse(not_found());
    }
    deps.mutate(actor, "emails.delete_template", |tx| async move {
        projects::change_environment_in(deps, &tx, actor, |_| Ok(Map::from_iter([(path(id), Value::Null)]))).await
    })
    .await
}

/// A theme that is chosen must be there.
pub(super) fn require_theme(emails: &Emails, theme: &Theme) -> Result<()> {
    match theme {
        Theme::Id(id) if !emails.themes.contains_key(id) => {
            refuse(Failure::bad_request("theme_id: there is no such theme"))
        }
        _ => Ok(()),
    }
}

fn path(id: &str) -> String {
    format!("emails.templates.{id}")
}

fn not_found() -> Failure {
    Failure::not_found("There is no such template.")
}
