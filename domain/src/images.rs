//! Pictures of users, teams and projects: which ones a caller may name. Uploading pictures (data URLs) is not available:
//! a picture is the URL of one that is kept elsewhere.

use url::Url;

use crate::{
    Actor, Failure,
    error::{Result, refuse},
};

/// The longest picture field, in characters.
pub const MAX_IMAGE_CHARS: usize = 1_000_000;

/// Who names the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageSource {
    /// May only upload.
    Client,
    /// May also name a URL.
    Server,
}

impl ImageSource {
    /// By the caller's level.
    #[must_use]
    pub fn of(actor: &Actor) -> Self {
        if actor.is_server() { Self::Server } else { Self::Client }
    }
}

/// Checks a picture that is to be stored as given.
///
/// # Errors
/// `SCHEMA_ERROR` when it is no URL; `BAD_REQUEST` when it is one that the caller may not name, or an upload.
pub fn check(field: &str, value: &str, source: ImageSource) -> Result<()> {
    let parsed = Url::parse(value)
        .ok()
        .filter(|_| !value.chars().any(|c| c.is_whitespace() || c == '\0') && value.chars().count() <= MAX_IMAGE_CHARS);
    let Some(url) = parsed else {
        return refuse(Failure::schema(format!(
            "{field} must be a URL without spaces of at most {MAX_IMAGE_CHARS} characters"
        )));
    };
    match (url.scheme(), source) {
        ("http" | "https", ImageSource::Server) => Ok(()),
        ("data", _) => refuse(Failure::bad_request(format!(
            "{field}: uploading pictures is not available on this server; give the http(s) URL of a picture"
        ))),
        (_, ImageSource::Client) => {
            refuse(Failure::bad_request(format!("{field}: only servers can name the URL of a picture")))
        }
        _ => refuse(Failure::bad_request(format!("{field}: must be an http or https URL"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;

    #[test]
    fn servers_may_name_web_addresses_and_nothing_else() {
        assert!(check("f", "https://example.com/a.png?x=1", ImageSource::Server).is_ok());
        assert!(check("f", "http://localhost/a", ImageSource::Server).is_ok());
        for (value, code) in [
            ("", Code::SchemaError),
            ("picture.png", Code::SchemaError),
            ("https://example.com/a b", Code::SchemaError),
            ("ftp://example.com/a", Code::BadRequest),
            ("javascript:alert(1)", Code::BadRequest),
            ("data:image/png;base64,AA==", Code::BadRequest),
        ] {
            assert!(check("f", value, ImageSource::Server).unwrap_err().is(code), "{value}");
        }
        let long = format!("https://example.com/{}", "a".repeat(MAX_IMAGE_CHARS));
        assert!(check("f", &long, ImageSource::Server).unwrap_err().is(Code::SchemaError));
    }

    #[test]
    fn clients_may_not_name_addresses() {
        for value in ["https://example.com/a.png", "data:image/png;base64,AA=="] {
            assert!(check("f", value, ImageSource::Client).unwrap_err().is(Code::BadRequest));
        }
    }
}
