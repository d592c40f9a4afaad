//! Sending one finished mail over a mail server.

use async_trait::async_trait;
use secrecy::SecretString;

/// How the connection to a mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// None: for a relay on the same machine.
    Plain,
    /// Upgraded by STARTTLS (RFC 3207); refused when the server does not offer it.
    StartTls,
    /// Upgraded when the server offers STARTTLS; otherwise credentials are sent to a private address only.
    StartTlsIfOffered,
    /// TLS from the first byte (RFC 8314).
    Tls,
}

/// A mail server to hand mails to.
#[derive(Clone, Debug)]
pub struct MailServer {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the connection is protected.
    pub encryption: Encryption,
    /// User and password, when the server wants them.
    pub credentials: Option<(String, SecretString)>,
    /// Chosen by a tenant: its address must be checked before connecting (design: outgoing calls).
    pub chosen_by_tenant: bool,
}

/// A finished mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingMail {
    /// `Message-ID` without angle brackets; the same for every try of one mail.
    pub message_id: String,
    /// Display name of the sender.
    pub from_name: String,
    /// Address of the sender.
    pub from_address: String,
    /// Addresses of the recipients, all of one mail.
    pub to: Vec<String>,
    /// Subject.
    pub subject: String,
    /// HTML part; empty for a mail of plain text.
    pub html: String,
    /// Plain-text part.
    pub text: String,
    /// More headers, such as `List-Unsubscribe`.
    pub headers: Vec<(String, String)>,
}

/// What sort of failure kept a mail from being taken. The first ten are facts of the REST contract (`errorType` in the
/// attempts that the outbox lists), the others are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailErrorKind {
    /// No such host.
    HostNotFound,
    /// Wrong or missing credentials.
    AuthFailed,
    /// Reply 450: mailbox busy or greylisted.
    Temporary,
    /// An address is malformed, or the server says so (553).
    InvalidEmailAddress,
    /// Reply 554, or the envelope was refused.
    Rejected,
    /// No answer in time.
    Timeout,
    /// The connection broke.
    SocketClosed,
    /// Another 4yz reply (RFC 5321 §4.2.1).
    TransientNegativeCompletionReply,
    /// Another 5yz reply, or an answer that is not SMTP.
    Unknown,
    /// The process stopped while the mail was on its way: the server may have taken it.
    Interrupted,
    /// The host has only addresses that outgoing calls may not reach.
    HostNotAllowed,
    /// The name server did not answer.
    HostLookupFailed,
    /// Nothing listens there, or the network does not reach it.
    ConnectionFailed,
    /// The server offers no TLS where it is demanded, or its certificate does not hold.
    TlsFailed,
}

impl MailErrorKind {
    /// As the outbox spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HostNotFound => "HOST_NOT_FOUND",
            Self::AuthFailed => "AUTH_FAILED",
            Self::Temporary => "TEMPORARY",
            Self::InvalidEmailAddress => "INVALID_EMAIL_ADDRESS",
            Self::Rejected => "REJECTED",
            Self::Timeout => "TIMEOUT",
            Self::SocketClosed => "SOCKET_CLOSED",
            Self::TransientNegativeCompletionReply => "TRANSIENT_NEGATIVE_COMPLETION_REPLY",
            Self::Unknown => "UNKNOWN",
            Self::Interrupted => "INTERRUPTED",
            Self::HostNotAllowed => "HOST_NOT_ALLOWED",
            Self::HostLookupFailed => "HOST_LOOKUP_FAILED",
            Self::ConnectionFailed => "CONNECTION_FAILED",
            Self::TlsFailed => "TLS_FAILED",
        }
    }

    /// Whether trying again may help.
    #[must_use]
    pub fn is_transient(self) -> bool {
        match self {
            Self::Temporary
            | Self::Timeout
            | Self::SocketClosed
            | Self::TransientNegativeCompletionReply
            | Self::Interrupted
            | Self::HostLookupFailed
            | Self::ConnectionFailed => true,
            Self::HostNotFound
            | Self::AuthFailed
            | Self::InvalidEmailAddress
            | Self::Rejected
            | Self::Unknown
            | Self::HostNotAllowed
            | Self::TlsFailed => false,
        }
    }
}

/// Why a mail was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct MailError {
    /// What sort of failure; decides whether to try again.
    pub kind: MailErrorKind,
    /// One sentence with what the server said, for the administrators of the project. Never holds credentials.
    pub text: String,
    /// The server had not greeted yet: it was not reached, and knows of no mail.
    pub is_unreached: bool,
}

impl MailError {
    /// A failure in words.
    #[must_use]
    pub fn new(kind: MailErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), is_unreached: false }
    }

    /// The same before the server had greeted.
    #[must_use]
    pub fn before_greeting(self) -> Self {
        Self { is_unreached: true, ..self }
    }

    /// Whether the server was not reached and may come back: nothing is wrong with the mail.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        self.is_unreached && self.kind.is_transient()
    }
}

/// A mail was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// What the server called it in its answer, if it called it anything.
    pub message_id: Option<String>,
    /// Recipients that were refused for good, while others were taken.
    pub refused: Vec<(String, MailError)>,
}

/// Hands mails to mail servers.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Hands over `mail`; `Ok` once the server has accepted it for at least one recipient. Bounded in time.
    ///
    /// # Errors
    /// [`MailError`], which says whether to try again; then nobody has got it.
    async fn send(&self, server: &MailServer, mail: &OutgoingMail) -> Result<Accepted, MailError>;

    /// Whether the server answers, protects the connection and takes the credentials, without sending anything.
    ///
    /// # Errors
    /// [`MailError`].
    async fn check(&self, server: &MailServer) -> Result<(), MailError>;
}
