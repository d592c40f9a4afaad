//! Templates of a project.

use postern_domain::{
    emails::library::templates::{self, Template},
    patch::Patch,
};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::fields::{ThemeInput, ThemeOut, theme};
use crate::rest::{
    call::{ADMIN, Call},
    input::{Empty, Ignored, input},
    reply::{Answer, Nothing, Reply},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary| About::new("Email templates", summary, ADMIN);
    let one = "/internal/email-templates/{id}";
    Routes::new()
        .get("/internal/email-templates", list, about("Lists templates"))
        .post("/internal/email-templates", create, about("Makes a template").body::<Create>())
        .patch(one, update, about("Changes a template").path::<TemplatePath>().body::<Update>())
        .delete(one, delete, about("Removes a template").path::<TemplatePath>())
}

input! {
    struct TemplatePath { id: Uuid }
}

input! {
    struct Create { display_name: String }
}

input! {
    struct Update { tsx_source: String, theme_id: Patch<ThemeInput> }
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EmailTemplates")]
struct Templates {
    templates: Vec<TemplateOut>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EmailTemplate")]
struct TemplateOut {
    id: String,
    display_name: String,
    tsx_source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    theme_id: Option<ThemeOut>,
}

impl From<Template> for TemplateOut {
    fn from(template: Template) -> Self {
        let Template { id, display_name, source, theme } = template;
        Self { id, display_name, tsx_source: source, theme_id: ThemeOut::of(theme) }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EmailTemplateId")]
struct Made {
    id: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RenderedEmail")]
struct Rendered {
    rendered_html: String,
}

async fn list(mut call: Call) -> Answer<Templates> {
    let actor = call.actor(ADMIN)?;
    let found = templates::list(&call.deps, &actor).await?;
    Ok(Reply::ok(Templates { templates: found.into_iter().map(Into::into).collect() }))
}

async fn create(mut call: Call) -> Answer<Made> {
    let actor = call.actor(ADMIN)?;
    let body = call.body::<Create>()?;
    let made = templates::create(&call.deps, &actor, &body.display_name).await?;
    Ok(Reply::ok(Made { id: made.id }))
}

async fn update(mut call: Call) -> Answer<Rendered> {
    let actor = call.actor(ADMIN)?;
    let (path, _, body) = call.read::<TemplatePath, Ignored, Update>()?;
    let (id, theme) = (path.id.to_string(), theme(body.theme_id));
    let (_, rendered_html) = templates::update(&call.deps, &actor, &id, &body.tsx_source, &theme).await?;
    Ok(Reply::ok(Rendered { rendered_html }))
}

async fn delete(mut call: Call) -> Answer<Nothing> {
    let actor = call.actor(ADMIN)?;
    let (path, _, _) = call.read::<TemplatePath, Empty, Ignored>()?;
    templates::delete(&call.deps, &actor, &path.id.to_string()).await?;
    Ok(Reply::ok(Nothing {}))
}
