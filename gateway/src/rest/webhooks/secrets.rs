//! `/app/{app_id}/endpoint/{endpoint_id}/secret`: what a receiver verifies with.

use postern_domain::{patch::Patch, webhooks};
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::{
    app::{AppCall, endpoint_id},
    endpoints::{ENDPOINT, EndpointPath},
    refusal::{AppAnswer, AppRefusal},
};
use crate::rest::{
    input::{Ignored, input},
    reply::{NoContent, Reply},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary| About::by_token("Webhooks", summary).path::<EndpointPath>();
    Routes::new().get(&format!("{ENDPOINT}/secret"), get, about("Reads the secret of a webhook endpoint")).post(
        &format!("{ENDPOINT}/secret/rotate"),
        rotate,
        about("Replaces the secret of a webhook endpoint").body::<RotateBody>().answers(204),
    )
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SvixEndpointSecret")]
struct Shown {
    key: String,
}

async fn get(mut call: AppCall) -> AppAnswer<Shown> {
    let actor = call.actor().await?;
    let (path, Ignored) = call.asked::<EndpointPath, _>()?;
    let secret = webhooks::secret(call.deps(), &actor, endpoint_id(&path.endpoint_id)?).await?;
    Ok(Reply::ok(Shown { key: secret.expose_secret().to_owned() }))
}

input! {
    struct RotateBody { key: Patch<String>, grace_period_seconds as "gracePeriodSeconds": Patch<i64> }
}

async fn rotate(mut call: AppCall) -> Result<NoContent, AppRefusal> {
    let actor = call.actor().await?;
    let (path, Ignored, body) = call.read::<EndpointPath, _, RotateBody>()?;
    let (key, grace) = (body.key.set().map(SecretString::from), body.grace_period_seconds.set());
    let id = endpoint_id(&path.endpoint_id)?;
    webhooks::rotate_secret(call.deps(), &actor, id, key.as_ref(), None, grace).await?;
    Ok(NoContent)
}
