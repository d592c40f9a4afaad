//! Sending again, by hand and by the stretch, and sending examples (wire/webhooks §7.2).

use postern_domain::{
    Failure, Timestamp,
    error::refuse,
    patch::Patch,
    webhooks::{self, Recovery, Stretch, Which},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    app::{AppCall, endpoint_id, message_id},
    endpoints::{AppPath, ENDPOINT, EndpointPath},
    refusal::AppAnswer,
    view::MessageView,
};
use crate::rest::{
    input::{Ignored, Time, input},
    reply::{Nothing, Reply, iso},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary| About::by_token("Webhooks", summary);
    Routes::new()
        .post("/app/{app_id}/msg", refuse_sending, about("Refuses: messages are made of events").path::<AppPath>())
        .post(
            &format!("{ENDPOINT}/recover"),
            recover,
            about("Sends what a webhook endpoint missed").path::<EndpointPath>().body::<WindowBody>().answers(202),
        )
        .post(
            &format!("{ENDPOINT}/replay-missing"),
            replay_missing,
            about("Sends what a webhook endpoint never got").path::<EndpointPath>().body::<WindowBody>().answers(202),
        )
        .post(
            &format!("{ENDPOINT}/send-example"),
            send_example,
            about("Sends an example to a webhook endpoint").path::<EndpointPath>().body::<ExampleBody>(),
        )
        .post(
            "/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/resend",
            resend,
            about("Sends a webhook message once more").path::<ResendPath>().answers(202),
        )
}

async fn refuse_sending(mut call: AppCall) -> AppAnswer<Nothing> {
    call.actor().await?;
    Ok(refuse(Failure::forbidden("Messages are made by what happens in the project. Nobody else makes any."))?)
}

input! {
    /// Messages made within; until now when no end is given.
    struct WindowBody { since: Time, until: Patch<Time> }
}

/// A recovery that has begun.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "SvixTask")]
struct Task {
    id: String,
    status: &'static str,
    task: &'static str,
    updated_at: String,
}

impl Task {
    fn running(recovery: Recovery, task: &'static str, now: Timestamp) -> Reply<Self> {
        let id = format!("qtask_{}", recovery.id.simple());
        Reply::accepted(Self { id, status: "running", task, updated_at: iso(now) })
    }
}

async fn recover(call: AppCall) -> AppAnswer<Task> {
    replay(call, Which::Failed, "endpoint.recover").await
}

async fn replay_missing(call: AppCall) -> AppAnswer<Task> {
    replay(call, Which::Missing, "endpoint.replay").await
}

async fn replay(mut call: AppCall, which: Which, task: &'static str) -> AppAnswer<Task> {
    let actor = call.actor().await?;
    let (path, Ignored, body) = call.read::<EndpointPath, _, WindowBody>()?;
    let id = endpoint_id(&path.endpoint_id)?;
    let until = body.until.set().map(|Time(until)| until);
    let stretch = Stretch { since: body.since.0, until, which, event_types: Vec::new() };
    let recovery = webhooks::replay(call.deps(), &actor, id, stretch).await?;
    Ok(Task::running(recovery, task, call.deps().now()))
}

input! {
    struct ExampleBody {
        event_type as "eventType": String,
        #[expect(dead_code, reason = "there is one example of each type")]
        example_index as "exampleIndex": Patch<i64>,
    }
}

async fn send_example(mut call: AppCall) -> AppAnswer<MessageView> {
    let actor = call.actor().await?;
    let (path, Ignored, body) = call.read::<EndpointPath, _, ExampleBody>()?;
    let id = endpoint_id(&path.endpoint_id)?;
    let sent = webhooks::send_example(call.deps(), &actor, id, &body.event_type).await?;
    let message = webhooks::message(call.deps(), &actor, sent.message_id).await?;
    Ok(Reply::ok(MessageView::new(message, true)))
}

input! {
    struct ResendPath {
        #[expect(dead_code, reason = "the caller's own project, compared before anything is read")]
        app_id: String,
        msg_id: String,
        endpoint_id: String,
    }
}

async fn resend(mut call: AppCall) -> AppAnswer<Nothing> {
    let actor = call.actor().await?;
    let (path, Ignored) = call.asked::<ResendPath, _>()?;
    let (message, endpoint) = (message_id(&path.msg_id)?, endpoint_id(&path.endpoint_id)?);
    webhooks::resend(call.deps(), &actor, message, endpoint).await?;
    Ok(Reply::accepted(Nothing {}))
}
