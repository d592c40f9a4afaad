//! Handing events to a Svix server, which delivers them in place of the engine here.

use std::fmt;

use async_trait::async_trait;
use postern_entity::ProjectId;
use secrecy::SecretString;

/// One event on its way to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SvixMessage {
    /// Whose it is: each project has an application of that name.
    pub project_id: ProjectId,
    /// The same for every try of one event, and of no other event of the project: what the server knows it again by.
    /// Letters, digits, `-`, `_` and `.`, at most 256 (wire: webhooks §5).
    pub event_id: String,
    /// Its type.
    pub event_type: String,
    /// The envelope, a JSON object.
    pub payload: String,
}

/// What opens a project's own part of the server.
#[derive(Clone)]
pub struct SvixPortal {
    /// Manages the endpoints of one project and reads their messages; cannot send any.
    pub token: SecretString,
    /// A page that is opened by it, where the server has one. Holds the token.
    pub url: Option<String>,
}

impl fmt::Debug for SvixPortal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SvixPortal").finish_non_exhaustive()
    }
}

/// Why the server did not do what it was asked, in a sentence for operators that never holds the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SvixError {
    /// It may do so later: it was not reached, did not answer in time, is overloaded or has a fault of its own. It may have
    /// done it all the same.
    #[error("{0}")]
    Unavailable(String),
    /// It does not take the token: nothing is wrong with what it was asked.
    #[error("{0}")]
    Unauthorized(String),
    /// Asking again will not help: the address or the message is wrong.
    #[error("{0}")]
    Refused(String),
}

/// The Svix server of the installation.
#[async_trait]
pub trait SvixServer: Send + Sync {
    /// Hands over `message`, and makes the project's application first where there is none; `Ok` once the server has it, by
    /// this call or by an earlier one. Bounded in time, and not tried again within.
    ///
    /// # Errors
    /// [`SvixError`], which says whether to try again.
    async fn send(&self, message: &SvixMessage) -> Result<(), SvixError>;

    /// What lets a project's owners manage its endpoints there; makes the application where there is none.
    ///
    /// # Errors
    /// [`SvixError`].
    async fn portal(&self, project_id: &ProjectId) -> Result<SvixPortal, SvixError>;

    /// Whether the server answers and takes the token, without changing anything.
    ///
    /// # Errors
    /// [`SvixError`].
    async fn check(&self) -> Result<(), SvixError>;
}
