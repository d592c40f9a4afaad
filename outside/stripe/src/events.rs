//! Events, for those that a webhook did not bring.

use postern_domain::ports::stripe::{StripeError, StripePage};
use postern_entity::Timestamp;
use serde_json::{Map, Value};

use crate::{StripeClient, read::List, spelling};

pub(crate) async fn between(
    stripe: &StripeClient,
    account_id: &str,
    since: Timestamp,
    until: Option<Timestamp>,
    after: Option<&str>,
) -> Result<StripePage<Value>, StripeError> {
    let page: List<Map<String, Value>> =
        stripe.ask(Some(account_id), spelling::list_event(since, until, after)).await?;
    let posted = page.data.into_iter().map(|mut event| {
        // Posted events say which account they are of; whether a list does that was asked for one account, is not promised.
        event.entry("account").or_insert_with(|| account_id.into());
        Value::Object(event)
    });
    Ok(StripePage { items: posted.collect(), has_more: page.has_more })
}
