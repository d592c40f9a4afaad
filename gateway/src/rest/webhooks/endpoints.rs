//! `/app/{app_id}/endpoint`: making, changing, deleting and reading endpoints, and how they do.

use postern_domain::{
    patch::Patch,
    webhooks::{self, Endpoint, EndpointChange, MAX_STATISTICS_SECONDS, NewEndpoint, Page, Scheme},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    app::{AppCall, endpoint_id},
    fields::{Headers, NoMetadata, NoUid},
    list::{AppList, Ascending, Limit, page},
    refusal::{AppAnswer, AppRefusal},
    view::EndpointView,
};
use crate::rest::{
    input::{Ignored, OneOf, Time, input},
    reply::{NoContent, Reply},
    routes::{About, Routes},
};

/// One endpoint.
pub(super) const ENDPOINT: &str = "/app/{app_id}/endpoint/{endpoint_id}";

pub(super) fn routes() -> Routes {
    let about = |summary| About::by_token("Webhooks", summary);
    let all = "/app/{app_id}/endpoint";
    Routes::new()
        .get(all, list, about("Lists webhook endpoints").path::<AppPath>().query::<ListQuery>())
        .post(all, create, about("Makes a webhook endpoint").path::<AppPath>().body::<NewBody>().makes())
        .get(ENDPOINT, get, about("Reads a webhook endpoint").path::<EndpointPath>())
        .put(ENDPOINT, replace, about("Replaces a webhook endpoint").path::<EndpointPath>().body::<ReplaceBody>())
        .patch(ENDPOINT, change, about("Changes a webhook endpoint").path::<EndpointPath>().body::<PatchBody>())
        .delete(ENDPOINT, delete, about("Deletes a webhook endpoint").path::<EndpointPath>().answers(204))
        .get(
            &format!("{ENDPOINT}/stats"),
            stats,
            about("Counts the messages of a webhook endpoint").path::<EndpointPath>().query::<StatsQuery>(),
        )
}

input! {
    #[expect(dead_code, reason = "the caller's own project, compared before anything is read")]
    pub(super) struct AppPath { app_id: String }
}

input! {
    pub(super) struct EndpointPath {
        #[expect(dead_code, reason = "the caller's own project, compared before anything is read")]
        app_id: String,
        endpoint_id: String,
    }
}

input! {
    struct ListQuery {
        limit: Option<Limit>,
        iterator: Option<String>,
        #[expect(dead_code, reason = "the only order there is")]
        order: Option<OneOf<Ascending>>,
    }
}

input! {
    /// `rateLimit` is the older name of `throttleRate`. `inOrder` and `selection` are ours.
    struct NewBody {
        url: String,
        description: Option<String>,
        filter_types as "filterTypes": Patch<Vec<String>>,
        channels: Patch<Vec<String>>,
        disabled: Option<bool>,
        rate_limit as "rateLimit": Patch<i64>,
        throttle_rate as "throttleRate": Patch<i64>,
        headers: Patch<Headers>,
        secret: Patch<String>,
        in_order as "inOrder": Option<bool>,
        selection: Patch<String>,
        #[expect(dead_code, reason = "taken while it says nothing")]
        metadata: Option<NoMetadata>,
        #[expect(dead_code, reason = "taken while it says nothing")]
        uid: Option<NoUid>,
        #[expect(dead_code, reason = "clients may send it; it means nothing to Svix either")]
        version: Patch<i64>,
    }
}

input! {
    /// What is not given of the fields of Svix becomes as it is on a new endpoint; ours stay, because clients of Svix cannot
    /// name them.
    struct ReplaceBody {
        url: String,
        description: Option<String>,
        filter_types as "filterTypes": Patch<Vec<String>>,
        channels: Patch<Vec<String>>,
        disabled: Option<bool>,
        rate_limit as "rateLimit": Patch<i64>,
        throttle_rate as "throttleRate": Patch<i64>,
        in_order as "inOrder": Option<bool>,
        selection: Patch<String>,
        #[expect(dead_code, reason = "taken while it says nothing")]
        metadata: Option<NoMetadata>,
        #[expect(dead_code, reason = "taken while it says nothing")]
        uid: Option<NoUid>,
        #[expect(dead_code, reason = "clients may send it; it means nothing to Svix either")]
        version: Patch<i64>,
    }
}

input! {
    struct PatchBody {
        url: Option<String>,
        description: Option<String>,
        filter_types as "filterTypes": Patch<Vec<String>>,
        channels: Patch<Vec<String>>,
        disabled: Option<bool>,
        rate_limit as "rateLimit": Patch<i64>,
        throttle_rate as "throttleRate": Patch<i64>,
        in_order as "inOrder": Option<bool>,
        selection: Patch<String>,
        #[expect(dead_code, reason = "taken while it says nothing")]
        metadata: Option<NoMetadata>,
        #[expect(dead_code, reason = "taken while it says nothing")]
        uid: Option<NoUid>,
        #[expect(dead_code, reason = "clients may send it; it means nothing to Svix either")]
        version: Patch<i64>,
    }
}

/// The rate under either of its names. What is beyond our numbers is beyond the rule for rates as well.
fn rate(newer: Patch<i64>, older: Patch<i64>) -> Patch<i32> {
    let given = if newer.is_keep() { older } else { newer };
    given.map(|rate| i32::try_from(rate).unwrap_or(if rate < 0 { i32::MIN } else { i32::MAX }))
}

/// What a field is that is not given, when everything is replaced.
fn or_clear<T>(patch: Patch<T>) -> Patch<T> {
    if patch.is_keep() { Patch::Clear } else { patch }
}

impl From<NewBody> for NewEndpoint {
    fn from(body: NewBody) -> Self {
        let headers = body.headers.set().map(|Headers(headers)| headers).unwrap_or_default();
        Self {
            url: body.url,
            description: body.description.unwrap_or_default(),
            filter_types: body.filter_types.set(),
            channels: body.channels.set(),
            headers: headers.into_iter().filter_map(|(name, value)| Some((name, value.set()?))).collect(),
            rate_limit: rate(body.throttle_rate, body.rate_limit).set(),
            in_order: body.in_order.unwrap_or_default(),
            selection: body.selection.set(),
            disabled: body.disabled.unwrap_or_default(),
            secret: body.secret.set().map(Into::into),
            scheme: Scheme::default(),
        }
    }
}

impl From<ReplaceBody> for EndpointChange {
    fn from(body: ReplaceBody) -> Self {
        Self {
            url: Some(body.url),
            description: Some(body.description.unwrap_or_default()),
            filter_types: or_clear(body.filter_types),
            channels: or_clear(body.channels),
            rate_limit: or_clear(rate(body.throttle_rate, body.rate_limit)),
            in_order: body.in_order,
            selection: body.selection,
            disabled: Some(body.disabled.unwrap_or_default()),
            ..Self::default()
        }
    }
}

impl From<PatchBody> for EndpointChange {
    fn from(body: PatchBody) -> Self {
        Self {
            url: body.url,
            description: body.description,
            filter_types: body.filter_types,
            channels: body.channels,
            rate_limit: rate(body.throttle_rate, body.rate_limit),
            in_order: body.in_order,
            selection: body.selection,
            disabled: body.disabled,
            ..Self::default()
        }
    }
}

async fn list(mut call: AppCall) -> AppAnswer<AppList<EndpointView>> {
    let actor = call.actor().await?;
    let (AppPath { .. }, query) = call.asked::<_, ListQuery>()?;
    let asked = page(query.limit, query.iterator.as_deref())?;
    let found: Page<Endpoint> = webhooks::endpoints(call.deps(), &actor, asked).await?;
    Ok(Reply::ok(AppList::of(found, Endpoint::place, EndpointView::from)?))
}

async fn create(mut call: AppCall) -> AppAnswer<EndpointView> {
    let actor = call.actor().await?;
    let (AppPath { .. }, Ignored, body) = call.read::<_, _, NewBody>()?;
    Ok(Reply::created(webhooks::create(call.deps(), &actor, body.into()).await?.into()))
}

async fn get(mut call: AppCall) -> AppAnswer<EndpointView> {
    let actor = call.actor().await?;
    let (path, Ignored) = call.asked::<EndpointPath, _>()?;
    Ok(Reply::ok(webhooks::endpoint(call.deps(), &actor, endpoint_id(&path.endpoint_id)?).await?.into()))
}

async fn replace(mut call: AppCall) -> AppAnswer<EndpointView> {
    let actor = call.actor().await?;
    let (path, Ignored, body) = call.read::<EndpointPath, _, ReplaceBody>()?;
    let id = endpoint_id(&path.endpoint_id)?;
    Ok(Reply::ok(webhooks::update(call.deps(), &actor, id, body.into()).await?.into()))
}

async fn change(mut call: AppCall) -> AppAnswer<EndpointView> {
    let actor = call.actor().await?;
    let (path, Ignored, body) = call.read::<EndpointPath, _, PatchBody>()?;
    let id = endpoint_id(&path.endpoint_id)?;
    Ok(Reply::ok(webhooks::update(call.deps(), &actor, id, body.into()).await?.into()))
}

async fn delete(mut call: AppCall) -> Result<NoContent, AppRefusal> {
    let actor = call.actor().await?;
    let (path, Ignored) = call.asked::<EndpointPath, _>()?;
    webhooks::delete(call.deps(), &actor, endpoint_id(&path.endpoint_id)?).await?;
    Ok(NoContent)
}

input! {
    /// Since when; the longest time that is counted when not given.
    struct StatsQuery { since: Option<Time> }
}

/// Messages by how far they have come.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SvixEndpointStats")]
struct Stats {
    success: u64,
    /// Always 0.
    pending: u64,
    sending: u64,
    fail: u64,
}

async fn stats(mut call: AppCall) -> AppAnswer<Stats> {
    let actor = call.actor().await?;
    let (path, query) = call.asked::<EndpointPath, StatsQuery>()?;
    let id = endpoint_id(&path.endpoint_id)?;
    let since =
        query.since.map_or_else(|| call.deps().now().plus_seconds(-MAX_STATISTICS_SECONDS), |Time(since)| since);
    let counts = webhooks::statistics(call.deps(), &actor, id, since).await?;
    Ok(Reply::ok(Stats {
        success: counts.succeeded,
        pending: 0,
        sending: counts.sending,
        fail: counts.failed + counts.dropped,
    }))
}
