//! Themes of a project.

use postern_domain::emails::library::themes::{self, Theme};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::rest::{
    call::{ADMIN, Call},
    input::{Empty, Ignored, input},
    reply::{Answer, Nothing, Reply},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary| About::new("Email themes", summary, ADMIN);
    let one = "/internal/email-themes/{id}";
    Routes::new()
        .get("/internal/email-themes", list, about("Lists themes"))
        .post("/internal/email-themes", create, about("Makes a theme").body::<Create>())
        .get(one, get, about("Reads a theme").path::<ThemePath>())
        .patch(one, update, about("Changes a theme").path::<ThemePath>().body::<Update>())
        .delete(one, delete, about("Removes a theme").path::<ThemePath>())
}

input! {
    struct ThemePath { id: Uuid }
}

input! {
    struct Create { display_name: String }
}

input! {
    struct Update { tsx_source: String }
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EmailThemes")]
struct Themes {
    themes: Vec<Named>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EmailThemeName")]
struct Named {
    id: String,
    display_name: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EmailTheme")]
struct ThemeOut {
    id: String,
    display_name: String,
    tsx_source: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MadeEmailTheme")]
struct Made {
    id: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EmailThemeChanged")]
struct Changed {
    display_name: String,
}

async fn list(mut call: Call) -> Answer<Themes> {
    let actor = call.actor(ADMIN)?;
    let found = themes::list(&call.deps, &actor).await?.into_iter();
    Ok(Reply::ok(Themes { themes: found.map(|Theme { id, display_name, .. }| Named { id, display_name }).collect() }))
}

async fn create(mut call: Call) -> Answer<Made> {
    let actor = call.actor(ADMIN)?;
    let body = call.body::<Create>()?;
    Ok(Reply::ok(Made { id: themes::create(&call.deps, &actor, &body.display_name).await?.id }))
}

async fn get(mut call: Call) -> Answer<ThemeOut> {
    let actor = call.actor(ADMIN)?;
    let (path, _, _) = call.read::<ThemePath, Empty, Ignored>()?;
    let Theme { id, display_name, source, .. } = themes::get(&call.deps, &actor, &path.id.to_string()).await?;
    Ok(Reply::ok(ThemeOut { id, display_name, tsx_source: source }))
}

async fn update(mut call: Call) -> Answer<Changed> {
    let actor = call.actor(ADMIN)?;
    let (path, _, body) = call.read::<ThemePath, Ignored, Update>()?;
    let changed = themes::update(&call.deps, &actor, &path.id.to_string(), &body.tsx_source).await?;
    Ok(Reply::ok(Changed { display_name: changed.display_name }))
}

async fn delete(mut call: Call) -> Answer<Nothing> {
    let actor = call.actor(ADMIN)?;
    let (path, _, _) = call.read::<ThemePath, Empty, Ignored>()?;
    themes::delete(&call.deps, &actor, &path.id.to_string()).await?;
    Ok(Reply::ok(Nothing {}))
}
