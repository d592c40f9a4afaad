//! What is not about any noun: the greeting at the root, and the question of clients whether they are too old.

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    call::Call,
    input::{Empty, Ignored, input},
    reply::{Answer, PlainText, Refusal, Reply},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary| About::new("About", summary, &[]);
    Routes::new().get("/", greeting, about("Says who the caller is taken for")).post(
        "/check-version",
        check_version,
        about("Says whether a client is too old").body::<ClientVersion>(),
    )
}

input! {
    #[expect(dead_code, reason = "every version that sends it is served")]
    struct ClientVersion { client_version as "clientVersion": String }
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct UpToDate {
    up_to_date: bool,
}

async fn greeting(mut call: Call) -> Result<PlainText, Refusal> {
    call.read::<Empty, Empty, Ignored>()?;
    let who = match call.caller() {
        None => "You are not authenticated: the request carries no access type.".to_owned(),
        Some(actor) => format!(
            "You call project {} with access type {}, as {}.",
            actor.project_id,
            actor.level.as_str(),
            actor.user_id().map_or_else(|| "no user".to_owned(), |id| format!("user {id}")),
        ),
    };
    Ok(PlainText(format!("This is Postern's REST API.\n\n{who}\n")))
}

async fn check_version(mut call: Call) -> Answer<UpToDate> {
    call.body::<ClientVersion>()?;
    Ok(Reply::ok(UpToDate { up_to_date: true }))
}
