//! One call: from a request of async-stripe's to an answer of ours.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use postern_domain::{boxed, ports::stripe::StripeError};
use serde::de::DeserializeOwned;
use stripe::{CustomizedStripeRequest, IdempotencyKey, RequestStrategy, StripeRequest};
use stripe_client_core::RequestBuilder;

use crate::{StripeClient, error};

impl StripeClient {
    /// Asks an account, or the platform itself, without changing anything.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        account_id: Option<&str>,
        request: &impl StripeRequest,
    ) -> Result<T, StripeError> {
        self.send(account_id, request.build(), RequestStrategy::Once).await
    }

    /// Changes something once for each key.
    pub(crate) async fn change<T: DeserializeOwned>(
        &self,
        account_id: Option<&str>,
        request: &impl StripeRequest,
        key: &str,
    ) -> Result<T, StripeError> {
        let key = IdempotencyKey::new(key).map_err(|error| StripeError::Refused {
            code: String::new(),
            message: format!("no idempotency key: {error}"),
        })?;
        self.send(account_id, request.build(), RequestStrategy::Idempotent(key)).await
    }

    /// Changes something as often as it is called.
    pub(crate) async fn change_again<T: DeserializeOwned>(
        &self,
        account_id: Option<&str>,
        request: RequestBuilder,
    ) -> Result<T, StripeError> {
        self.send(account_id, request, RequestStrategy::Once).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        account_id: Option<&str>,
        request: RequestBuilder,
        strategy: RequestStrategy,
    ) -> Result<T, StripeError> {
        let answer = self.fetch(account_id, request, strategy).await?;
        let mut answer = serde_json::Deserializer::from_slice(&answer);
        serde_path_to_error::deserialize(&mut answer).map_err(|error| error::unreadable(&error))
    }

    #[boxed]
    async fn fetch(
        &self,
        account_id: Option<&str>,
        mut request: RequestBuilder,
        strategy: RequestStrategy,
    ) -> Result<Bytes, StripeError> {
        request.body = request.body.map(|body| in_order(&body));
        let mut request = request.customize::<()>().request_strategy(strategy);
        if let Some(account_id) = account_id {
            request = request.account_id(word(account_id)?.into());
        }
        let taking = Taking { client: &self.client, taken: Mutex::default() };
        request.send(&taking).await.map_err(error::failed)?;
        Ok(taking.taken.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Sends requests by async-stripe's client, but keeps the answers as they are.
struct Taking<'a> {
    client: &'a stripe::Client,
    taken: Mutex<Bytes>,
}

impl stripe_client_core::StripeClient for Taking<'_> {
    type Err = stripe::StripeError;

    async fn execute(&self, request: CustomizedStripeRequest) -> Result<Bytes, Self::Err> {
        let answer = stripe_client_core::StripeClient::execute(self.client, request).await?;
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = answer;
        // What async-stripe makes the `()` of that each request is said to answer.
        Ok(Bytes::from_static(b"null"))
    }
}

/// The same parameters in the same order each time: metadata is in a hash map on its way here, and whether Stripe takes another
/// order for other parameters under the same key, it does not say.
fn in_order(body: &str) -> String {
    let mut pairs: Vec<_> = body.split('&').collect();
    pairs.sort_unstable();
    pairs.join("&")
}

/// An id that becomes a part of a path or a header, which nobody escapes. Some come from clients.
pub(crate) fn word(id: &str) -> Result<&str, StripeError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if id.is_empty() || !id.chars().all(fits) {
        return Err(StripeError::NotFound("no id of Stripe's looks like that".to_owned()));
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_in_order_and_ids_are_words() {
        assert_eq!(in_order("b=2&a[1]=1&a[0]=0"), "a[0]=0&a[1]=1&b=2");
        assert_eq!(word("acct_1Aa0"), Ok("acct_1Aa0"));
        for id in ["", "../accounts", "a?b", "a b", "ä", "a\r\nb"] {
            assert!(matches!(word(id), Err(StripeError::NotFound(_))), "{id}");
        }
    }
}
