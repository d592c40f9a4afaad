//! Attempts: those on an endpoint, those of a message, one of them, and forgetting what was answered to it.

use std::collections::BTreeMap;

use postern_domain::webhooks::{self, Attempt, AttemptFilter, AttemptOutcome, AttemptsOf};

use super::{
    app::{AppCall, attempt_id, endpoint_id, message_id},
    endpoints::EndpointPath,
    fields::{StatusClass, StatusWord},
    list::{AppList, Limit, page},
    messages::MessagePath,
    refusal::{AppAnswer, AppRefusal},
    view::{AttemptView, MessageView},
};
use crate::rest::{
    input::{Ignored, Time, input},
    reply::{NoContent, Reply},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary| About::by_token("Webhooks", summary);
    let attempt = "/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}";
    Routes::new()
        .get(
            "/app/{app_id}/attempt/endpoint/{endpoint_id}",
            of_endpoint,
            about("Lists the attempts on a webhook endpoint").path::<EndpointPath>().query::<ListQuery>(),
        )
        .get(
            "/app/{app_id}/attempt/msg/{msg_id}",
            of_message,
            about("Lists the attempts to deliver a message").path::<MessagePath>().query::<ListQuery>(),
        )
        .get(attempt, get, about("Reads an attempt").path::<AttemptPath>().query::<OneQuery>())
        .delete(
            &format!("{attempt}/content"),
            expunge,
            about("Forgets what was answered to an attempt").path::<AttemptPath>().answers(204),
        )
}

input! {
    struct ListQuery {
        limit: Option<Limit>,
        iterator: Option<String>,
        status: Option<StatusWord>,
        status_code_class: Option<StatusClass>,
        channel: Option<String>,
        #[expect(dead_code, reason = "read apart, because it may be repeated")]
        event_types: Option<String>,
        endpoint_id: Option<String>,
        before: Option<Time>,
        after: Option<Time>,
        with_content: Option<bool>,
        with_msg: Option<bool>,
        #[expect(dead_code, reason = "what is tried again always shows as such")]
        expanded_statuses: Option<bool>,
    }
}

async fn of_endpoint(mut call: AppCall) -> AppAnswer<AppList<AttemptView>> {
    let actor = call.actor().await?;
    let (path, query) = call.asked::<EndpointPath, ListQuery>()?;
    let id = endpoint_id(&path.endpoint_id)?;
    // Refused when there is no such endpoint.
    webhooks::endpoint(call.deps(), &actor, id).await?;
    list(call, &actor, AttemptsOf::Endpoint(id), query).await
}

async fn of_message(mut call: AppCall) -> AppAnswer<AppList<AttemptView>> {
    let actor = call.actor().await?;
    let (path, query) = call.asked::<MessagePath, ListQuery>()?;
    let id = message_id(&path.msg_id)?;
    // Refused when there is no such message.
    webhooks::message(call.deps(), &actor, id).await?;
    let of = match &query.endpoint_id {
        Some(endpoint) => AttemptsOf::Delivery(id, endpoint_id(endpoint)?),
        None => AttemptsOf::Message(id),
    };
    list(call, &actor, of, query).await
}

async fn list(
    mut call: AppCall,
    actor: &postern_domain::Actor,
    of: AttemptsOf,
    query: ListQuery,
) -> AppAnswer<AppList<AttemptView>> {
    let asked = page(query.limit, query.iterator.as_deref())?;
    let outcome = match query.status {
        None => None,
        Some(StatusWord::Success) => Some(AttemptOutcome::Succeeded),
        Some(StatusWord::Fail) => Some(AttemptOutcome::Failed),
        Some(StatusWord::Sending) => Some(AttemptOutcome::Retried),
        Some(StatusWord::Pending) => return Ok(Reply::ok(AppList::empty())),
    };
    let filter = AttemptFilter {
        outcome,
        status_class: query.status_code_class.map(|StatusClass(class)| class),
        event_types: call.event_types(),
        channel: query.channel,
        since: query.after.map(|Time(after)| after.plus_millis(1)),
        until: query.before.map(|Time(before)| before),
    };
    let found = webhooks::attempts(call.deps(), actor, of, &filter, asked).await?;
    let with_content = query.with_content.unwrap_or(true);
    let mut messages = BTreeMap::new();
    if query.with_msg.unwrap_or_default() {
        let ids: Vec<_> = found.items.iter().map(|attempt| attempt.message_id).collect();
        let of_page = webhooks::messages_by_ids(call.deps(), actor, &ids).await?;
        messages.extend(of_page.into_iter().map(|message| (message.id, message)));
    }
    let view = |attempt: Attempt| {
        let message = messages.get(&attempt.message_id).cloned();
        AttemptView::new(attempt, with_content, message.map(|message| MessageView::new(message, with_content)))
    };
    Ok(Reply::ok(AppList::of(found, Attempt::place, view)?))
}

input! {
    struct AttemptPath {
        #[expect(dead_code, reason = "the caller's own project, compared before anything is read")]
        app_id: String,
        msg_id: String,
        attempt_id: String,
    }
}

input! {
    struct OneQuery {
        #[expect(dead_code, reason = "what is tried again always shows as such")]
        expanded_statuses: Option<bool>,
    }
}

async fn get(mut call: AppCall) -> AppAnswer<AttemptView> {
    let actor = call.actor().await?;
    let (path, OneQuery { .. }) = call.asked::<AttemptPath, _>()?;
    let (message, id) = (message_id(&path.msg_id)?, attempt_id(&path.attempt_id)?);
    let attempt = webhooks::attempt(call.deps(), &actor, message, id).await?;
    Ok(Reply::ok(AttemptView::new(attempt, true, None)))
}

async fn expunge(mut call: AppCall) -> Result<NoContent, AppRefusal> {
    let actor = call.actor().await?;
    let (path, Ignored) = call.asked::<AttemptPath, _>()?;
    let (message, id) = (message_id(&path.msg_id)?, attempt_id(&path.attempt_id)?);
    webhooks::expunge_response(call.deps(), &actor, message, id).await?;
    Ok(NoContent)
}
