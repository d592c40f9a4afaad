//! `/event-type`: the types that endpoints can ask for. They are built in, so nobody makes or changes them.

use postern_domain::{
    Failure, Timestamp,
    error::refuse,
    webhooks::{self, EventType},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    app::AppCall,
    list::{AppList, Ascending, DEFAULT_LIMIT, Limit, read_iterator},
    refusal::AppAnswer,
};
use crate::{
    cursor,
    rest::{
        input::{Ignored, OneOf, input},
        reply::{Reply, iso},
        routes::{About, Routes},
    },
};

pub(super) fn routes() -> Routes {
    let about = |summary| About::by_token("Webhooks", summary);
    Routes::new().get("/event-type", list, about("Lists the types of events").query::<ListQuery>()).get(
        "/event-type/{event_type_name}",
        get,
        about("Reads a type of event").path::<TypePath>(),
    )
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "SvixEventType")]
struct EventTypeView {
    name: String,
    description: String,
    archived: bool,
    deprecated: bool,
    /// With an example of a delivery, if it was asked for.
    schemas: Option<Value>,
    group_name: Option<String>,
    /// They are built in: both times are the beginning of time.
    created_at: String,
    updated_at: String,
}

impl EventTypeView {
    fn new(kind: EventType, with_content: bool) -> Self {
        let schema = json!({ "1": { "title": kind.name, "type": "object", "examples": [kind.example] } });
        Self {
            name: kind.name.to_owned(),
            description: kind.description.to_owned(),
            archived: false,
            deprecated: false,
            schemas: with_content.then_some(schema),
            group_name: kind.name.split_once('.').map(|(group, _)| group.to_owned()),
            created_at: iso(Timestamp(0)),
            updated_at: iso(Timestamp(0)),
        }
    }
}

input! {
    struct ListQuery {
        limit: Option<Limit>,
        iterator: Option<String>,
        with_content: Option<bool>,
        #[expect(dead_code, reason = "none is archived")]
        include_archived: Option<bool>,
        #[expect(dead_code, reason = "the only order there is")]
        order: Option<OneOf<Ascending>>,
    }
}

async fn list(mut call: AppCall) -> AppAnswer<AppList<EventTypeView>> {
    call.actor().await?;
    let (Ignored, query) = call.asked::<_, ListQuery>()?;
    let after = query.iterator.as_deref().map(read_iterator::<String>).transpose()?;
    let all = webhooks::event_types();
    let skipped = after.and_then(|after| all.iter().position(|kind| kind.name == after)).map_or(0, |index| index + 1);
    let limit = usize::try_from(query.limit.map_or(DEFAULT_LIMIT, |limit| limit.0)).unwrap_or(usize::MAX);
    let done = all.len() <= skipped.saturating_add(limit);
    let page: Vec<_> = all.into_iter().skip(skipped).take(limit).collect();
    let iterator = page.last().map(|last| cursor::encode(&last.name)).transpose()?;
    let with_content = query.with_content.unwrap_or_default();
    let data = page.into_iter().map(|kind| EventTypeView::new(kind, with_content)).collect();
    Ok(Reply::ok(AppList::new(data, iterator, done)))
}

input! {
    struct TypePath { event_type_name: String }
}

async fn get(mut call: AppCall) -> AppAnswer<EventTypeView> {
    call.actor().await?;
    let (path, Ignored) = call.asked::<TypePath, _>()?;
    match webhooks::event_type(&path.event_type_name) {
        Some(kind) => Ok(Reply::ok(EventTypeView::new(kind, true))),
        None => Ok(refuse(Failure::not_found("There is no such type of event."))?),
    }
}
