//! `/app/{app_id}/msg`: messages, those of one endpoint, and the endpoints of one.

use std::collections::BTreeMap;

use postern_domain::webhooks::{self, DeliveryState, Message, MessageFilter, Page, SentFilter};

use super::{
    app::{AppCall, endpoint_id, message_id},
    endpoints::{AppPath, ENDPOINT, EndpointPath},
    fields::StatusWord,
    list::{AppList, Limit, Paged, page},
    refusal::AppAnswer,
    view::{EndpointMessageView, MessageEndpointView, MessageView},
};
use crate::rest::{
    input::{Time, input},
    reply::Reply,
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary| About::by_token("Webhooks", summary);
    let message = "/app/{app_id}/msg/{msg_id}";
    Routes::new()
        .get("/app/{app_id}/msg", list, about("Lists webhook messages").path::<AppPath>().query::<ListQuery>())
        .get(message, get, about("Reads a webhook message").path::<MessagePath>().query::<ContentQuery>())
        .get(
            &format!("{message}/endpoint"),
            endpoints,
            about("Lists the webhook endpoints of a message").path::<MessagePath>().query::<Paged>(),
        )
        .get(
            &format!("{ENDPOINT}/msg"),
            of_endpoint,
            about("Lists the messages of a webhook endpoint").path::<EndpointPath>().query::<OfEndpointQuery>(),
        )
}

input! {
    pub(super) struct MessagePath {
        #[expect(dead_code, reason = "the caller's own project, compared before anything is read")]
        app_id: String,
        msg_id: String,
    }
}

input! {
    struct ContentQuery { with_content: Option<bool> }
}

input! {
    struct ListQuery {
        limit: Option<Limit>,
        iterator: Option<String>,
        channel: Option<String>,
        #[expect(dead_code, reason = "read apart, because it may be repeated")]
        event_types: Option<String>,
        before: Option<Time>,
        after: Option<Time>,
        with_content: Option<bool>,
    }
}

async fn list(mut call: AppCall) -> AppAnswer<AppList<MessageView>> {
    let actor = call.actor().await?;
    let (AppPath { .. }, query) = call.asked::<_, ListQuery>()?;
    let asked = page(query.limit, query.iterator.as_deref())?;
    let filter = MessageFilter {
        event_types: call.event_types(),
        channel: query.channel,
        since: query.after.map(|Time(after)| after.plus_millis(1)),
        until: query.before.map(|Time(before)| before),
    };
    let found = webhooks::messages(call.deps(), &actor, &filter, asked).await?;
    let with_content = query.with_content.unwrap_or(true);
    Ok(Reply::ok(AppList::of(found, Message::place, |message| MessageView::new(message, with_content))?))
}

async fn get(mut call: AppCall) -> AppAnswer<MessageView> {
    let actor = call.actor().await?;
    let (path, query) = call.asked::<MessagePath, ContentQuery>()?;
    let message = webhooks::message(call.deps(), &actor, message_id(&path.msg_id)?).await?;
    Ok(Reply::ok(MessageView::new(message, query.with_content.unwrap_or(true))))
}

async fn endpoints(mut call: AppCall) -> AppAnswer<AppList<MessageEndpointView>> {
    let actor = call.actor().await?;
    let (path, query) = call.asked::<MessagePath, Paged>()?;
    let asked = page(query.limit, query.iterator.as_deref())?;
    let id = message_id(&path.msg_id)?;
    // Refused when there is no such message.
    webhooks::message(call.deps(), &actor, id).await?;
    let deliveries = webhooks::deliveries_of(call.deps(), &actor, &[id]).await?;
    let ids: Vec<_> = deliveries.iter().map(|delivery| delivery.endpoint_id).collect();
    let found = webhooks::endpoints_by_ids(call.deps(), &actor, &ids).await?;
    let mut found: BTreeMap<_, _> = found.into_iter().map(|endpoint| (endpoint.id, endpoint)).collect();
    let limit = usize::try_from(asked.limit).unwrap_or(usize::MAX);
    let is_behind = |delivery: &webhooks::Delivery| {
        asked.after.is_none_or(|after| (delivery.created_at, delivery.id.0) > (after.at, after.id))
    };
    // At most one for each endpoint, so the list is short and at hand whole. Deleted endpoints are left out.
    let there = deliveries.into_iter().filter_map(|delivery| Some((found.remove(&delivery.endpoint_id)?, delivery)));
    let mut items: Vec<_> = there.filter(|(_, delivery)| is_behind(delivery)).collect();
    let has_more = items.len() > limit;
    items.truncate(limit);
    let view = |(endpoint, delivery)| MessageEndpointView::new(endpoint, &delivery);
    Ok(Reply::ok(AppList::of(Page { items, has_more }, |(_, delivery)| delivery.place(), view)?))
}

input! {
    struct OfEndpointQuery {
        limit: Option<Limit>,
        iterator: Option<String>,
        status: Option<StatusWord>,
        channel: Option<String>,
        #[expect(dead_code, reason = "read apart, because it may be repeated")]
        event_types: Option<String>,
        before: Option<Time>,
        after: Option<Time>,
        with_content: Option<bool>,
        #[expect(dead_code, reason = "what is still sent always shows as such")]
        expanded_statuses: Option<bool>,
    }
}

async fn of_endpoint(mut call: AppCall) -> AppAnswer<AppList<EndpointMessageView>> {
    let actor = call.actor().await?;
    let (path, query) = call.asked::<EndpointPath, OfEndpointQuery>()?;
    let asked = page(query.limit, query.iterator.as_deref())?;
    let id = endpoint_id(&path.endpoint_id)?;
    let states = match query.status {
        None => Vec::new(),
        Some(StatusWord::Success) => vec![DeliveryState::Succeeded],
        Some(StatusWord::Fail) => vec![DeliveryState::Failed, DeliveryState::Dropped],
        Some(StatusWord::Sending) => vec![DeliveryState::Sending],
        Some(StatusWord::Pending) => return Ok(Reply::ok(AppList::empty())),
    };
    let filter = SentFilter {
        states,
        event_types: call.event_types(),
        channel: query.channel,
        since: query.after.map(|Time(after)| after.plus_millis(1)),
        until: query.before.map(|Time(before)| before),
    };
    let found = webhooks::sent_to(call.deps(), &actor, id, &filter, asked).await?;
    let with_content = query.with_content.unwrap_or(true);
    let view = |sent| EndpointMessageView::new(sent, with_content);
    Ok(Reply::ok(AppList::of(found, |sent| sent.delivery.place(), view)?))
}
