//! What mail providers report: webhooks of Resend, signed as Svix and the Standard Webhooks specification sign.

use axum::http::HeaderMap;
use postern_domain::{ProjectId, emails, webhooks::Signed};

use crate::rest::{
    call::Call,
    input::{Empty, Ignored, input},
    reply::{Answer, Reply, Success, success},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary| About::new("Emails", summary, &[]);
    Routes::new()
        .post(
            "/integrations/resend/webhooks",
            of_installation,
            about("Takes reports of the installation's account at Resend"),
        )
        .post(
            "/integrations/resend/webhooks/{project_id}",
            of_project,
            about("Takes reports of a project's own account at Resend").path::<ProjectPath>(),
        )
}

input! {
    struct ProjectPath { project_id: String }
}

async fn of_installation(call: Call) -> Answer<Success> {
    receive(&call, None).await
}

async fn of_project(mut call: Call) -> Answer<Success> {
    let (path, _, _) = call.read::<ProjectPath, Empty, Ignored>()?;
    receive(&call, Some(&ProjectId(path.project_id))).await
}

async fn receive(call: &Call, project_id: Option<&ProjectId>) -> Answer<Success> {
    let header = |name: &str| either(&call.headers, name);
    let signed =
        Signed { id: header("id"), timestamp: header("timestamp"), signatures: header("signature"), body: &call.bytes };
    emails::receive_report(&call.deps, project_id, &signed).await?;
    let reply: Reply<Success> = success();
    Ok(reply)
}

/// The header of either family.
fn either<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let found = ["svix", "webhook"].iter().find_map(|family| headers.get(format!("{family}-{name}"))?.to_str().ok());
    found.unwrap_or_default()
}
