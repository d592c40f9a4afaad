//! Outgoing HTTP over reqwest: connects only to addresses that [`Addresses`] has checked, follows nothing, uses no proxy,
//! and is bounded in time and size. Connections are kept and used again; each of them leads to the address that was
//! checked when it was made.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use postern_domain::{
    ports::http::{HttpClient, HttpError, Method, OutgoingRequest, OutgoingResponse},
    running_time::within,
};
use reqwest::{Certificate, Client, ClientBuilder, Response, dns};
use rustls::pki_types::CertificateDer;
use url::{Host, Url};

use crate::address::{AddressError, Addresses};

/// How long a connection may take to stand, TLS included; the request's own time limit counts as well.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an unused connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How many unused connections are kept per host.
const MAX_IDLE_PER_HOST: usize = 256;

/// Sends requests to hosts that somebody chose. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OutgoingHttp {
    client: Client,
    addresses: Addresses,
}

/// The client could not be set up: no usable TLS.
#[derive(Debug, thiserror::Error)]
#[error("outgoing HTTP: {0}")]
pub struct SetupError(#[from] reqwest::Error);

impl OutgoingHttp {
    /// A client that reaches what `addresses` lets through. Trusts the certificate authorities of the system, or those of
    /// Mozilla's list when the system has none.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(addresses: Addresses) -> Result<Self, SetupError> {
        install_crypto_provider();
        let client = match builder(&addresses).build() {
            Ok(client) => client,
            Err(error) => {
                tracing::info!(%error, "the system's certificate authorities are not usable; using the built-in list");
                builder(&addresses).tls_certs_only(built_in_authorities()?).build()?
            }
        };
        Ok(Self { client, addresses })
    }

    /// A client that trusts these certificate authorities (DER) only.
    ///
    /// # Errors
    /// [`SetupError`], also for a certificate that cannot be read.
    pub fn trusting(addresses: Addresses, authorities: &[CertificateDer<'_>]) -> Result<Self, SetupError> {
        install_crypto_provider();
        let authorities: Result<Vec<_>, _> =
            authorities.iter().map(|authority| Certificate::from_der(authority)).collect();
        let client = builder(&addresses).tls_certs_only(authorities?).build()?;
        Ok(Self { client, addresses })
    }

    async fn call(&self, request: OutgoingRequest) -> Result<Response, HttpError> {
        check_url(&request.url)?;
        // A URL that holds an address never passes through the resolver.
        match request.url.host() {
            Some(Host::Ipv4(address)) => self.addresses.check(address.into()).map_err(refused)?,
            Some(Host::Ipv6(address)) => self.addresses.check(address.into()).map_err(refused)?,
            Some(Host::Domain(_)) => {}
            None => return Err(HttpError::Forbidden("the URL has no host".to_owned())),
        }
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Delete => reqwest::Method::DELETE,
        };
        self.client
            .request(method, request.url)
            .headers(header_map(&request.headers)?)
            .body(request.body)
            .send()
            .await
            .map_err(failed)
    }

    async fn exchange(&self, request: OutgoingRequest) -> Result<OutgoingResponse, HttpError> {
        let limit = request.max_response_bytes;
        let mut response = self.call(request).await?;
        let status = response.status().as_u16();
        let text =
            |(name, value): (&HeaderName, &HeaderValue)| Some((name.to_string(), value.to_str().ok()?.to_owned()));
        let headers = response.headers().iter().filter_map(text).collect();
        let body = read_body(&mut response, limit).await?;
        Ok(OutgoingResponse { status, headers, body })
    }
}

#[async_trait]
impl HttpClient for OutgoingHttp {
    async fn send(&self, request: OutgoingRequest) -> Result<OutgoingResponse, HttpError> {
        // Not the library's own limit: it takes an answer that came while this process stood still for one that did not come.
        within(request.timeout, self.exchange(request)).await.unwrap_or(Err(HttpError::Timeout))
    }
}

/// Makes ring the process's TLS implementation unless one is chosen already.
pub fn install_crypto_provider() {
    // An error means that another one was installed first, which serves as well.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// Speaks HTTP/1.1, which every server does; its answers are held to 100 header fields by hyper.
fn builder(addresses: &Addresses) -> ClientBuilder {
    Client::builder()
        .dns_resolver(Arc::new(CheckedNames(addresses.clone())))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
}

fn built_in_authorities() -> Result<Vec<Certificate>, reqwest::Error> {
    webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|certificate| Certificate::from_der(certificate)).collect()
}

/// Keeps at most `limit` bytes and reads no further. The library decodes no content encodings, so what is counted is what
/// came over the wire.
async fn read_body(response: &mut Response, limit: usize) -> Result<Bytes, HttpError> {
    let mut body = BytesMut::new();
    while body.len() < limit {
        let Some(chunk) = response.chunk().await.map_err(failed)? else { break };
        body.extend_from_slice(&chunk);
    }
    body.truncate(limit);
    Ok(body.freeze())
}

fn check_url(url: &Url) -> Result<(), HttpError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(HttpError::Forbidden("the URL must begin with http:// or https://".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(HttpError::Forbidden("the URL must not hold credentials".to_owned()));
    }
    Ok(())
}

fn header_map(headers: &[(String, String)]) -> Result<HeaderMap, HttpError> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let name: HeaderName = name.parse().map_err(|_| HttpError::Forbidden(format!("{name:?} is no header name")))?;
        let value = HeaderValue::from_str(value).map_err(|_| {
            HttpError::Forbidden(format!("the value of header {name} has characters that cannot be sent"))
        })?;
        map.append(name, value);
    }
    Ok(map)
}

fn refused(error: AddressError) -> HttpError {
    match error {
        AddressError::Forbidden(_) => HttpError::Forbidden(error.to_string()),
        AddressError::Unknown(_) => HttpError::Connection(error.to_string()),
    }
}

/// What a failed call means. Only the innermost cause is told: the outer ones repeat the URL, which may hold secrets.
fn failed(error: reqwest::Error) -> HttpError {
    if error.is_timeout() {
        return HttpError::Timeout;
    }
    let mut cause: &(dyn StdError + 'static) = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
        if let Some(address) = cause.downcast_ref::<AddressError>() {
            return refused(address.clone());
        }
    }
    if std::ptr::eq(cause, std::ptr::from_ref(&error)) {
        return HttpError::Connection("the call failed".to_owned());
    }
    HttpError::Connection(cause.to_string())
}

/// The resolver inside the client: its answers are the only addresses a name leads to.
struct CheckedNames(Addresses);

impl dns::Resolve for CheckedNames {
    fn resolve(&self, name: dns::Name) -> dns::Resolving {
        let addresses = self.0.clone();
        Box::pin(async move {
            // Port 0 is replaced by the port of the URL.
            let found = addresses.resolve(name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as dns::Addrs)
        })
    }
}

#[cfg(test)]
mod tests;
