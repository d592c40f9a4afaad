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
    /// HTML part.
    pub html: String,
    /// Plain-text part.
    pub text: String,
    /// More headers, such as `List-Unsubscribe`.
    pub headers: Vec<(String, String)>,
}

/// Why a mail was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// Trying again may help: no connection, a time-out, a 4yz reply (RFC 5321 §4.2.1).
    #[error("the mail server could not take the mail now: {0}")]
    Transient(String),
    /// Trying again will not help: a 5yz reply, a malformed address, wrong credentials, a forbidden host.
    #[error("the mail server refused the mail: {0}")]
    Permanent(String),
}

/// Hands mails to mail servers.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Hands over `mail`; `Ok` once the server has accepted it for all recipients. Bounded in time.
    ///
    /// # Errors
    /// [`MailError`], which says whether to try again.
    async fn send(&self, server: &MailServer, mail: &OutgoingMail) -> Result<(), MailError>;
}
