//! `/app/{app_id}/endpoint/{endpoint_id}/headers`: the owner's own headers. The values of sensitive ones are never shown.

use std::collections::BTreeMap;

use postern_domain::{
    patch::Patch,
    webhooks::{self, EndpointChange},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    app::{AppCall, endpoint_id},
    endpoints::{ENDPOINT, EndpointPath},
    fields::Headers,
    refusal::{AppAnswer, AppRefusal},
};
use crate::rest::{
    input::{Ignored, input},
    reply::{NoContent, Reply},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary| About::by_token("Webhooks", summary).path::<EndpointPath>();
    let headers = &format!("{ENDPOINT}/headers");
    Routes::new()
        .get(headers, get, about("Reads the headers of a webhook endpoint"))
        .put(headers, replace, about("Replaces the headers of a webhook endpoint").body::<AllBody>().answers(204))
        .patch(headers, change, about("Changes headers of a webhook endpoint").body::<SomeBody>().answers(204))
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SvixEndpointHeaders")]
struct Shown {
    headers: BTreeMap<String, String>,
    /// Names of those whose values are not shown.
    sensitive: Vec<String>,
}

async fn get(mut call: AppCall) -> AppAnswer<Shown> {
    let actor = call.actor().await?;
    let (path, Ignored) = call.asked::<EndpointPath, _>()?;
    let endpoint = webhooks::endpoint(call.deps(), &actor, endpoint_id(&path.endpoint_id)?).await?;
    Ok(Reply::ok(Shown { headers: endpoint.headers, sensitive: endpoint.sensitive_headers }))
}

input! {
    struct AllBody { headers: Headers }
}

async fn replace(mut call: AppCall) -> Result<NoContent, AppRefusal> {
    let actor = call.actor().await?;
    let (path, Ignored, AllBody { headers: Headers(headers) }) = call.read::<EndpointPath, _, _>()?;
    let change = EndpointChange { headers, only_these_headers: true, ..EndpointChange::default() };
    webhooks::update(call.deps(), &actor, endpoint_id(&path.endpoint_id)?, change).await?;
    Ok(NoContent)
}

input! {
    /// Those that are not named stay; null removes one.
    struct SomeBody { headers: Option<Headers>, delete_headers as "deleteHeaders": Option<Vec<String>> }
}

async fn change(mut call: AppCall) -> Result<NoContent, AppRefusal> {
    let actor = call.actor().await?;
    let (path, Ignored, body) = call.read::<EndpointPath, _, SomeBody>()?;
    let mut headers = body.headers.map(|Headers(headers)| headers).unwrap_or_default();
    headers.extend(body.delete_headers.unwrap_or_default().into_iter().map(|name| (name, Patch::Clear)));
    let change = EndpointChange { headers, ..EndpointChange::default() };
    webhooks::update(call.deps(), &actor, endpoint_id(&path.endpoint_id)?, change).await?;
    Ok(NoContent)
}
