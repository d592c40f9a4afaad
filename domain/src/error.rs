//! The failures both doors know: one catalogue of codes, each with its status and kind. What a caller may be told is a
//! [`Failure`]; everything else is logged at the door and shown as a request id only.

use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc};

use sea_orm::DbErr;
use serde_json::{Value, json};

use crate::{
    codes::{Code, Kind},
    db,
};

/// It may have been a commit whose answer got lost.
const UNAVAILABLE: &str = "The database is out of reach for the moment. Try again; what was asked for may have been done \
                           all the same, so give changes an idempotency key.";
/// A database that restarts, or a queue for its connections, takes about this long.
const RETRY_AFTER_SECONDS: u64 = 2;

/// What every operation answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Told to the caller.
    #[error(transparent)]
    Refused(#[from] Failure),
    /// The database failed; never told.
    #[error("database: {0}")]
    Database(#[from] DbErr),
    /// What failed was done for several at once, and each of them is told.
    #[error(transparent)]
    Shared(Arc<Error>),
    /// Anything else that is our fault or our surroundings'; never told.
    #[error("{0}")]
    Internal(#[source] Box<dyn StdError + Send + Sync>),
}

impl Error {
    /// A failure that the caller learns nothing about.
    pub fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }

    /// The failure, when the caller may know it.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Refused(failure) => Some(failure),
            Self::Shared(error) => error.failure(),
            Self::Database(_) | Self::Internal(_) => None,
        }
    }

    /// What the caller is told: the failure, or that the database is out of reach for now, which is logged here. Everything
    /// else comes back: it is told by no more than an id.
    ///
    /// # Errors
    /// What is not told.
    pub fn told(self) -> Result<Failure> {
        match self {
            Self::Refused(failure) => Ok(failure),
            error => match error.failure() {
                Some(failure) => Ok(failure.clone()),
                None if db::may_come_back(&error) => {
                    tracing::warn!(%error, "a request could not be served: the database is out of reach");
                    Ok(Failure::new(Code::Unavailable, UNAVAILABLE).retry_after(RETRY_AFTER_SECONDS))
                }
                None => Err(error),
            },
        }
    }

    /// Whether this is the failure with `code`.
    #[must_use]
    pub fn is(&self, code: Code) -> bool {
        self.failure().is_some_and(|failure| failure.code == code)
    }
}

/// A refusal: a code of the contract, a sentence for people, and details for programs.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The stable code, with its status and kind.
    pub code: Code,
    /// A sentence that says what is wrong; never holds secrets.
    pub message: Cow<'static, str>,
    /// What the contract lists for this code; absent where it lists nothing.
    pub details: Option<Value>,
    /// After how many seconds to try again; only for [`Kind::Limit`] and [`Kind::Unavailable`].
    pub retry_after_seconds: Option<u64>,
}

impl Failure {
    /// A refusal without details.
    #[must_use]
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), details: None, retry_after_seconds: None }
    }

    /// The same with details.
    #[must_use]
    pub fn with(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// The same with the number of seconds to wait.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// What sort of failure it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.code.kind()
    }

    /// The input does not fit; `message` names every violation (wire: SCHEMA_ERROR).
    #[must_use]
    pub fn schema(message: impl Into<String>) -> Self {
        let message = message.into();
        Self::new(Code::SchemaError, message.clone()).with(json!({ "message": message }))
    }

    /// A value that makes no sense where the contract has no code for it.
    #[must_use]
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::BadRequest, message)
    }

    /// The caller sees it but may not.
    #[must_use]
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Forbidden, message)
    }

    /// There is no such thing, or the caller may not know of it.
    #[must_use]
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::NotFound, message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl StdError for Failure {}

/// Ends an operation with a refusal: `return refuse(Failure::…)`.
///
/// # Errors
/// Always: the refusal.
pub fn refuse<T>(failure: Failure) -> Result<T> {
    Err(Error::Refused(failure))
}
