//! Drafts: mails that somebody writes before they are sent.

use postern_domain::{
    EmailDraftId,
    emails::{
        Theme,
        library::drafts::{self, Draft, NewDraft, UpdateDraft},
    },
    patch::Patch,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::fields::{ThemeInput, ThemeOut, theme};
use crate::rest::{
    call::{ADMIN, Call},
    input::{Empty, Ignored, input},
    reply::{Answer, Reply},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary| About::new("Email drafts", summary, ADMIN);
    let one = "/internal/email-drafts/{id}";
    Routes::new()
        .get("/internal/email-drafts", list, about("Lists drafts"))
        .post("/internal/email-drafts", create, about("Makes a draft").body::<Create>())
        .get(one, get, about("Reads a draft").path::<DraftPath>())
        .patch(one, update, about("Changes a draft").path::<DraftPath>().body::<Update>())
        .delete(one, delete, about("Removes a draft").path::<DraftPath>())
}

input! {
    struct DraftPath { id: EmailDraftId }
}

input! {
    struct Create { display_name: String, theme_id: Patch<ThemeInput>, tsx_source: Option<String> }
}

input! {
    struct Update { display_name: Option<String>, theme_id: Patch<ThemeInput>, tsx_source: Option<String> }
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EmailDrafts")]
struct Drafts {
    drafts: Vec<DraftOut>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EmailDraft")]
struct DraftOut {
    id: EmailDraftId,
    display_name: String,
    tsx_source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    theme_id: Option<ThemeOut>,
    sent_at_millis: Option<i64>,
}

impl From<Draft> for DraftOut {
    fn from(draft: Draft) -> Self {
        Self {
            id: draft.id,
            display_name: draft.display_name,
            tsx_source: draft.source,
            theme_id: ThemeOut::of(draft.theme),
            sent_at_millis: draft.sent_at.map(|at| at.millis()),
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EmailDraftId")]
struct Made {
    id: EmailDraftId,
}

/// The answer of changes of drafts: `{"ok": "ok"}`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EmailDraftDone")]
struct Done {
    ok: &'static str,
}

const DONE: Done = Done { ok: "ok" };

async fn list(mut call: Call) -> Answer<Drafts> {
    let actor = call.actor(ADMIN)?;
    let found = drafts::list(&call.deps, &actor).await?;
    Ok(Reply::ok(Drafts { drafts: found.into_iter().map(Into::into).collect() }))
}

async fn create(mut call: Call) -> Answer<Made> {
    let actor = call.actor(ADMIN)?;
    let Create { display_name, theme_id, tsx_source } = call.body()?;
    let theme = theme(theme_id).set().unwrap_or(Theme::Selected);
    let made = drafts::create(&call.deps, &actor, NewDraft { display_name, source: tsx_source, theme }).await?;
    Ok(Reply::ok(Made { id: made.id }))
}

async fn get(mut call: Call) -> Answer<DraftOut> {
    let actor = call.actor(ADMIN)?;
    let (path, _, _) = call.read::<DraftPath, Empty, Ignored>()?;
    Ok(Reply::ok(drafts::get(&call.deps, &actor, path.id).await?.into()))
}

async fn update(mut call: Call) -> Answer<Done> {
    let actor = call.actor(ADMIN)?;
    let (path, _, Update { display_name, theme_id, tsx_source }) = call.read::<DraftPath, Ignored, Update>()?;
    let change = UpdateDraft { display_name, source: tsx_source, theme: theme(theme_id) };
    drafts::update(&call.deps, &actor, path.id, change).await?;
    Ok(Reply::ok(DONE))
}

async fn delete(mut call: Call) -> Answer<Done> {
    let actor = call.actor(ADMIN)?;
    let (path, _, _) = call.read::<DraftPath, Empty, Ignored>()?;
    drafts::delete(&call.deps, &actor, path.id).await?;
    Ok(Reply::ok(DONE))
}
