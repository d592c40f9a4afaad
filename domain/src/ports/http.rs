//! One bounded HTTP request, to a host that a tenant or the operator chose: resolved once, forbidden addresses refused, no
//! redirects.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

/// What is done at the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Something is read.
    Get,
    /// Something is handed over.
    Post,
    /// Something ends.
    Delete,
}

/// A request to send.
#[derive(Clone, Debug)]
pub struct OutgoingRequest {
    /// What is done there.
    pub method: Method,
    /// Absolute `http` or `https` URL.
    pub url: url::Url,
    /// Header names and values, as bytes go out.
    pub headers: Vec<(String, String)>,
    /// The exact body.
    pub body: Bytes,
    /// From connecting to the last byte that is kept.
    pub timeout: Duration,
    /// How much of the answer's body is kept; the rest is not read.
    pub max_response_bytes: usize,
}

/// What came back, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingResponse {
    /// HTTP status.
    pub status: u16,
    /// Header names (lower case) and values; those that are not text are left out.
    pub headers: Vec<(String, String)>,
    /// At most the asked number of bytes.
    pub body: Bytes,
}

/// Why no answer came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The host resolves to an address that outgoing calls may not reach, or the URL is not allowed at all.
    #[error("{0}")]
    Forbidden(String),
    /// The time ran out.
    #[error("no complete answer in time")]
    Timeout,
    /// No connection, or it broke.
    #[error("{0}")]
    Connection(String),
}

/// Sends requests.
#[async_trait]
pub trait HttpClient: Send + Sync {
    /// Sends `request`.
    ///
    /// # Errors
    /// [`HttpError`] when no answer came.
    async fn send(&self, request: OutgoingRequest) -> Result<OutgoingResponse, HttpError>;
}
