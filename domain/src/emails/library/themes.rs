//! Themes of a project (wire: emails §5).

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{check_name, check_source, config_for_admin, preview};
use crate::{
    Actor, Deps, Failure,
    emails::{BUILT_IN_THEMES, DEFAULT_THEME, render::Source, template},
    error::{Result, refuse},
    projects,
};

/// A theme of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Its id: a UUID.
    pub id: String,
    /// Its name, for people.
    pub display_name: String,
    /// Its source.
    pub source: String,
    /// Whether mails wear it unless told otherwise.
    pub is_selected: bool,
}

/// All themes, the built-in ones first.
///
/// # Errors
/// `FORBIDDEN` below ADMIN.
#[crate::boxed]
pub async fn list(deps: &Deps, actor: &Actor) -> Result<Vec<Theme>> {
    let config = config_for_admin(deps, actor).await?;
    let emails = &config.emails;
    let theme = |id: &str| {
        let theme = emails.themes.get(id)?;
        Some(Theme {
            id: id.to_owned(),
            display_name: theme.display_name.clone(),
            source: theme.tsx_source.clone(),
            is_selected: emails.selected_theme_id == id,
        })
    };
    let built_in = BUILT_IN_THEMES.iter().filter_map(|built_in| theme(built_in.id));
    let own = emails.themes.keys().filter(|id| !BUILT_IN_THEMES.iter().any(|theme| theme.id == id.as_str()));
    Ok(built_in.chain(own.filter_map(|id| theme(id))).collect())
}

/// One theme.
///
/// # Errors
/// `FORBIDDEN` below ADMIN; `NOT_FOUND`.
#[crate::boxed]
pub async fn get(deps: &Deps, actor: &Actor, id: &str) -> Result<Theme> {
    match list(deps, actor).await?.into_iter().find(|theme| theme.id == id) {
        Some(theme) => Ok(theme),
        None => refuse(not_found()),
    }
}

/// Makes a theme that looks like the default one, to be edited.
///
/// # Errors
/// `FORBIDDEN` below ADMIN; `SCHEMA_ERROR` for the name.
#[crate::boxed]
pub async fn create(deps: &Deps, actor: &Actor, display_name: &str) -> Result<Theme> {
    config_for_admin(deps, actor).await?;
    check_name(display_name)?;
    let theme = &Theme {
        id: Uuid::new_v4().to_string(),
        display_name: display_name.to_owned(),
        source: DEFAULT_THEME.source.to_owned(),
        is_selected: false,
    };
    let id = deps
        .mutate(actor, "emails.create_theme", |tx| async move {
            projects::change_environment_in(deps, &tx, actor, |_| {
                let entry = json!({ "displayName": theme.display_name, "tsxSource": theme.source });
                Ok(Map::from_iter([(path(&theme.id), entry)]))
            })
            .await?;
            Ok(theme.id.clone())
        })
        .await?;
    Ok(Theme { id, ..theme.clone() })
}

/// Changes the source of a theme, once a mail is seen to render in it.
///
/// # Errors
/// `FORBIDDEN` below ADMIN; `NOT_FOUND`; `SCHEMA_ERROR` for a source too long; `EMAIL_RENDERING_ERROR`.
#[crate::boxed]
pub async fn update(deps: &Deps, actor: &Actor, id: &str, source: &str) -> Result<Theme> {
    let theme = get(deps, actor, id).await?;
    check_source(source)?;
    let sample = Source { template: template::EMAIL_VERIFICATION.source.to_owned(), theme: Some(source.to_owned()) };
    preview::try_out(deps, actor, sample).await?;
    deps.mutate(actor, "emails.update_theme", |tx| async move {
        projects::change_environment_in(deps, &tx, actor, |config| {
            if config.pointer(&format!("/emails/themes/{id}")).is_none() {
                return refuse(not_found());
            }
            Ok(Map::from_iter([(format!("{}.tsxSource", path(id)), json!(source))]))
        })
        .await
    })
    .await?;
    Ok(Theme { source: source.to_owned(), ..theme })
}

/// Removes a theme; a built-in one becomes what it was at first.
///
/// # Errors
/// `FORBIDDEN` below ADMIN; `NOT_FOUND`; `BAD_REQUEST` for the selected one.
#[crate::boxed]
pub async fn delete(deps: &Deps, actor: &Actor, id: &str) -> Result<()> {
    get(deps, actor, id).await?;
    deps.mutate(actor, "emails.delete_theme", |tx| async move {
        projects::change_environment_in(deps, &tx, actor, |config| {
            if config.pointer("/emails/selectedThemeId").and_then(Value::as_str) == Some(id) {
                return refuse(Failure::bad_request("The selected theme cannot be removed. Select another one first."));
            }
            Ok(Map::from_iter([(path(id), Value::Null)]))
        })
        .await
    })
    .await
}

fn path(id: &str) -> String {
    format!("emails.themes.{id}")
}

fn not_found() -> Failure {
    Failure::not_found("There is no such theme.")
}
