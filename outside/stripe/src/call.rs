//! One call: from how it is spelled to an answer of ours.

use bytes::Bytes;
use postern_domain::{
    boxed,
    ports::{
        http::{Method, OutgoingRequest},
        stripe::StripeError,
    },
};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use stripe_client_core::{IdempotencyKey, RequestBuilder, StripeMethod, VERSION};
use url::Url;

use crate::{StripeClient, error};

/// How much of an answer is read. A list of a hundred objects has about a megabyte.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
const USER_AGENT: &str = concat!("postern/", env!("CARGO_PKG_VERSION"));

impl StripeClient {
    /// Asks an account, or the platform itself, without changing anything.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        account_id: Option<&str>,
        request: RequestBuilder,
    ) -> Result<T, StripeError> {
        self.send(account_id, request, None).await
    }

    /// Changes something once for each key.
    pub(crate) async fn change<T: DeserializeOwned>(
        &self,
        account_id: Option<&str>,
        request: RequestBuilder,
        key: &str,
    ) -> Result<T, StripeError> {
        // With an empty one it would be done at each call.
        let key =
            IdempotencyKey::new(key).map_err(|error| error::unaskable(&format!("no idempotency key: {error}")))?;
        self.send(account_id, request, Some(key.as_str())).await
    }

    /// Changes something as often as it is called.
    pub(crate) async fn change_again<T: DeserializeOwned>(
        &self,
        account_id: Option<&str>,
        request: RequestBuilder,
    ) -> Result<T, StripeError> {
        self.send(account_id, request, None).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        account_id: Option<&str>,
        request: RequestBuilder,
        key: Option<&str>,
    ) -> Result<T, StripeError> {
        let answer = self.fetch(account_id, request, key).await?;
        let mut answer = serde_json::Deserializer::from_slice(&answer);
        serde_path_to_error::deserialize(&mut answer).map_err(|error| error::unreadable(&error))
    }

    #[boxed]
    async fn fetch(
        &self,
        account_id: Option<&str>,
        request: RequestBuilder,
        key: Option<&str>,
    ) -> Result<Bytes, StripeError> {
        let request = OutgoingRequest {
            method: match request.method {
                StripeMethod::Get => Method::Get,
                StripeMethod::Post => Method::Post,
                StripeMethod::Delete => Method::Delete,
            },
            url: url(&self.api_base, &request)?,
            headers: self.headers(account_id, request.body.is_some(), key)?,
            body: request.body.map(|body| in_order(&body).into()).unwrap_or_default(),
            timeout: self.timeout,
            max_response_bytes: MAX_ANSWER_BYTES,
        };
        let answer = self.http.send(request).await.map_err(error::unanswered)?;
        if (200..300).contains(&answer.status) {
            Ok(answer.body)
        } else {
            Err(error::failed(answer.status, &answer.body))
        }
    }

    /// Versions, accounts and keys: docs.stripe.com/api/versioning, /api/connected-accounts, /api/idempotent_requests.
    fn headers(
        &self,
        account_id: Option<&str>,
        has_body: bool,
        key: Option<&str>,
    ) -> Result<Vec<(String, String)>, StripeError> {
        let authorization = format!("Bearer {}", self.secret_key.expose_secret());
        let mut headers =
            vec![("authorization", &*authorization), ("stripe-version", VERSION.as_str()), ("user-agent", USER_AGENT)];
        if let Some(account_id) = account_id {
            headers.push(("stripe-account", word(account_id)?));
        }
        if has_body {
            headers.push(("content-type", "application/x-www-form-urlencoded"));
        }
        headers.extend(key.map(|key| ("idempotency-key", key)));
        Ok(headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

/// Behind the path of the base, where somebody puts one.
fn url(base: &Url, request: &RequestBuilder) -> Result<Url, StripeError> {
    let base = base.as_str().trim_end_matches('/');
    let mut url: Url =
        format!("{base}/v1{}", request.path).parse().map_err(|error| error::unaskable(&format!("{error}")))?;
    url.set_query(request.query.as_deref());
    Ok(url)
}

/// The same parameters in the same order each time, however they are spelled: whether Stripe takes another order for other
/// parameters under the same key, it does not say.
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
    fn what_is_asked_is_behind_the_base_as_it_was_spelled() {
        let mut request = RequestBuilder::new(StripeMethod::Get, "/customers/search");
        for (base, asked) in [
            ("https://api.stripe.com", "https://api.stripe.com/v1/customers/search"),
            ("http://localhost:9000/stripe/", "http://localhost:9000/stripe/v1/customers/search"),
        ] {
            assert_eq!(url(&base.parse().unwrap(), &request).unwrap().as_str(), asked);
        }
        request.query = Some("query=metadata%5B%27a%27%5D%3A%27b+c%26d%27&limit=100".to_owned());
        let asked = url(&"https://api.stripe.com".parse().unwrap(), &request).unwrap();
        assert_eq!(asked.query(), request.query.as_deref());
    }

    #[test]
    fn parameters_are_in_order_and_ids_are_words() {
        assert_eq!(in_order("b=2&a[1]=1&a[0]=0"), "a[0]=0&a[1]=1&b=2");
        assert_eq!(word("acct_1Aa0"), Ok("acct_1Aa0"));
        for id in ["", "../accounts", "a?b", "a b", "ä", "a\r\nb"] {
            assert!(matches!(word(id), Err(StripeError::NotFound(_))), "{id}");
        }
    }
}
