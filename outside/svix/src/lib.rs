//! The Svix server behind the domain's port, by the official client. A crate of its own, because that client brings a second
//! implementation of TLS's algorithms to compile; the root's feature `svix` leaves it out.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use postern_domain::{
    ProjectId,
    ports::svix::{SvixError, SvixMessage, SvixPortal, SvixServer},
};
use rustls::RootCertStore;
use secrecy::{ExposeSecret, SecretString};
use svix::{
    Error,
    api::{ApplicationListOptions, Svix, SvixOptions},
    models::{AppPortalAccessIn, ApplicationIn, MessageIn},
};
use url::Url;

/// How long one call may take. At most three make one operation, which is well within the time of a job.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How much is told of what the server said.
const MAX_DETAIL_CHARS: usize = 500;

/// A Svix server. Cheap to share; keeps its connections.
#[derive(Clone)]
pub struct SvixClient {
    client: Svix,
    /// Svix's own service, whose pages the portal's link opens; a server of one's own has none.
    is_hosted: bool,
}

/// The client could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Nothing to check a certificate by.
    #[error("Svix: this system has no certificate authorities; install them (Debian: ca-certificates)")]
    NoAuthorities,
}

impl fmt::Debug for SvixClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SvixClient").field("url", &self.client.server_url()).finish_non_exhaustive()
    }
}

impl SvixClient {
    /// The server at `url` (without `/api/v1`), called with a token of the installation's environment there. TLS is that of
    /// the process: whoever calls this has chosen its provider before.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(url: &Url, token: &SecretString) -> Result<Self, SetupError> {
        // The client would panic, for http:// URLs too.
        let found = rustls_native_certs::load_native_certs().certs;
        if RootCertStore::empty().add_parsable_certificates(found).0 == 0 {
            return Err(SetupError::NoAuthorities);
        }
        let options = SvixOptions {
            server_url: Some(url.as_str().to_owned()),
            timeout: Some(TIMEOUT),
            // The queue tries again, and does not lose count when the process ends.
            num_retries: Some(0),
            ..SvixOptions::default()
        };
        Ok(Self {
            client: Svix::new(token.expose_secret().to_owned(), Some(options)),
            is_hosted: url.host_str().is_some_and(|host| host == "svix.com" || host.ends_with(".svix.com")),
        })
    }

    /// Hands the message over once. Each call gets an idempotency key of its own, so a conflict can only mean that the
    /// server has a message of this id already.
    async fn create(&self, application: &ProjectId, message: &MessageIn) -> Result<(), Error> {
        match self.client.message().create(application.0.clone(), message.clone(), None).await {
            Ok(_) => Ok(()),
            Err(error) if has_status(&error, 409) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes the project's application unless it is there.
    async fn make_application(&self, project_id: &ProjectId) -> Result<(), SvixError> {
        let application = ApplicationIn { uid: Some(project_id.0.clone()), ..ApplicationIn::new(project_id.0.clone()) };
        match self.client.application().get_or_create(application, None).await {
            Ok(_) => Ok(()),
            // Somebody else made it at the same moment.
            Err(error) if has_status(&error, 409) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}

#[async_trait]
impl SvixServer for SvixClient {
    async fn send(&self, message: &SvixMessage) -> Result<(), SvixError> {
        let payload = serde_json::from_str(&message.payload)
            .map_err(|error| SvixError::Refused(format!("the payload is no JSON: {error}")))?;
        let create = MessageIn {
            event_id: Some(message.event_id.clone()),
            ..MessageIn::new(message.event_type.clone(), payload)
        };
        match self.create(&message.project_id, &create).await {
            Err(error) if has_status(&error, 404) => {
                self.make_application(&message.project_id).await?;
                self.create(&message.project_id, &create).await.map_err(still_failed)
            }
            other => other.map_err(failed),
        }
    }

    async fn portal(&self, project_id: &ProjectId) -> Result<SvixPortal, SvixError> {
        let open = async || {
            let access = AppPortalAccessIn::new();
            self.client.authentication().app_portal_access(project_id.0.clone(), access, None).await
        };
        let opened = match open().await {
            Err(error) if has_status(&error, 404) => {
                self.make_application(project_id).await?;
                open().await.map_err(still_failed)
            }
            other => other.map_err(failed),
        }?;
        Ok(SvixPortal { token: opened.token.into(), url: self.is_hosted.then_some(opened.url) })
    }

    async fn check(&self) -> Result<(), SvixError> {
        // Asks for nothing that only the hosted service knows.
        let options = ApplicationListOptions { limit: Some(1), ..ApplicationListOptions::default() };
        self.client.application().list(Some(options)).await.map(drop).map_err(failed)
    }
}

fn has_status(error: &Error, status: u16) -> bool {
    matches!(error, Error::Http(answer) if answer.status.as_u16() == status)
}

/// What a failure means after the application was made: that there is none is no fault of the address then, somebody has
/// deleted it again.
fn still_failed(error: Error) -> SvixError {
    if has_status(&error, 404) {
        return unavailable("the application was made, and is gone again");
    }
    failed(error)
}

/// What a failed call means.
fn failed(error: Error) -> SvixError {
    match error {
        Error::Timeout { .. } => unavailable(format!("no answer within {} s", TIMEOUT.as_secs())),
        // No connection, or one that broke; or an answer that cannot be read, which may have come from something else on
        // the way.
        Error::Generic(what) => unavailable(format!("no answer: {}", shortened(&what))),
        Error::Validation(answer) => {
            let details = answer.payload.map(|payload| payload.detail).unwrap_or_default();
            let details: Vec<_> =
                details.iter().map(|detail| format!("{}: {}", detail.loc.join("."), detail.msg)).collect();
            SvixError::Refused(answered(422, &details.join("; ")))
        }
        Error::Http(answer) => {
            let details = answer.payload.map(|payload| format!("{}: {}", payload.code, payload.detail));
            by_status(answer.status.as_u16(), &details.unwrap_or_default())
        }
    }
}

/// What an answer means by its status. That it takes time (408), that it is too much (429) and faults of the server's own
/// pass; everything else, redirects too, stays until somebody changes address, token or message. For how long to wait the
/// server may say in `Retry-After`, which the client does not hand on: the waits of the queue, which grow, must do.
fn by_status(status: u16, details: &str) -> SvixError {
    let reason = answered(status, details);
    match status {
        408 | 429 | 500.. => SvixError::Unavailable(reason),
        401 | 403 => SvixError::Unauthorized(reason),
        _ => SvixError::Refused(reason),
    }
}

fn unavailable(reason: impl Into<String>) -> SvixError {
    SvixError::Unavailable(format!("the Svix server: {}", reason.into()))
}

fn answered(status: u16, details: &str) -> String {
    let hint = match status {
        401 | 403 => " (is POSTERN_SVIX_TOKEN right?)",
        404 => " (is POSTERN_SVIX_URL right?)",
        _ => "",
    };
    format!("the Svix server answered {status}{hint} {}", shortened(details)).trim_end().to_owned()
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_DETAIL_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_tried_again_and_what_stays_is_not() {
        for status in [408, 429, 500, 502, 503, 504] {
            let error = by_status(status, "server_error: oops");
            assert!(matches!(&error, SvixError::Unavailable(_)), "{status}: {error}");
            assert_eq!(error.to_string(), format!("the Svix server answered {status} server_error: oops"));
        }
        for status in [401, 403] {
            assert!(matches!(by_status(status, ""), SvixError::Unauthorized(_)), "{status}");
        }
        for status in [301, 308, 400, 402, 404, 405, 409, 410, 413, 415, 422] {
            assert!(matches!(by_status(status, ""), SvixError::Refused(_)), "{status}");
        }
        assert!(matches!(failed(Error::Generic("reset".to_owned())), SvixError::Unavailable(_)));
        assert!(matches!(failed(Error::Timeout { elapsed: None, timeout: None }), SvixError::Unavailable(_)));
    }

    #[test]
    fn what_is_told_is_bounded_and_names_the_setting_at_fault() {
        let long = by_status(401, &"x".repeat(10_000)).to_string();
        assert!(long.contains("POSTERN_SVIX_TOKEN") && long.chars().count() < 600, "{long}");
        assert!(by_status(404, "").to_string().contains("POSTERN_SVIX_URL"));
    }

    #[test]
    fn only_the_hosted_service_has_pages_and_no_token_shows() {
        // The process chooses; here that is this test.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = |url: &str| SvixClient::new(&url.parse().unwrap(), &"the-token".into());
        for (url, is_hosted) in [
            ("https://api.eu.svix.com", true),
            ("https://svix.com/", true),
            ("https://svix.example.com", false),
            ("http://notsvix.com", false),
            ("http://localhost:8071/below/", false),
        ] {
            let client = client(url).unwrap();
            assert_eq!(client.is_hosted, is_hosted, "{url}");
            assert_eq!(client.client.server_url(), url.trim_end_matches('/'));
            assert!(!format!("{client:?}").contains("the-token"));
        }
    }
}
