//! What a failure means for the mail: the table of the contract (wire: emails §7), extended where it leaves a case open.

use std::error::Error as _;

use lettre::transport::smtp::{Error, response::Severity};
use postern_domain::ports::mail::{MailError, MailErrorKind};

use super::stream::Watch;

/// How far the conversation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Greeting,
    Tls,
    Authentication,
    Envelope,
    Message,
}

impl Phase {
    /// For people.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Tls => "encryption",
            Self::Authentication => "authentication",
            Self::Envelope => "sender and recipients",
            Self::Message => "content",
        }
    }
}

/// The failure in words and by kind.
pub(super) fn failed(phase: Phase, error: &Error, watch: &Watch) -> MailError {
    let Some(code) = error.status() else {
        let (kind, text) = without_reply(phase, error, watch);
        return MailError::new(kind, format!("{text} ({})", phase.as_str()));
    };
    let number: u16 = code.into();
    let is_transient = code.severity == Severity::TransientNegativeCompletion;
    let kind = match (number, phase) {
        (535, _) => MailErrorKind::AuthFailed,
        (450, _) => MailErrorKind::Temporary,
        (553, _) => MailErrorKind::InvalidEmailAddress,
        (554, _) => MailErrorKind::Rejected,
        _ if is_transient => MailErrorKind::TransientNegativeCompletionReply,
        (_, Phase::Authentication) | (530, _) => MailErrorKind::AuthFailed,
        (_, Phase::Envelope) => MailErrorKind::Rejected,
        _ => MailErrorKind::Unknown,
    };
    // A server may repeat what it was sent; there, that is the password.
    let said = if phase == Phase::Authentication { String::new() } else { said(error) };
    MailError::new(kind, format!("the mail server answered {number}{said} ({})", phase.as_str()))
}

fn without_reply(phase: Phase, error: &Error, watch: &Watch) -> (MailErrorKind, String) {
    if watch.is_full() {
        return (MailErrorKind::Unknown, "the mail server said too much".to_owned());
    }
    if watch.is_closed() {
        return (MailErrorKind::SocketClosed, "the mail server closed the connection".to_owned());
    }
    if error.is_timeout() {
        return (MailErrorKind::Timeout, "the mail server did not answer in time".to_owned());
    }
    let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    if phase == Phase::Authentication && error.is_client() {
        return (MailErrorKind::AuthFailed, format!("no way to authenticate at the mail server: {why}"));
    }
    if phase == Phase::Tls {
        return (MailErrorKind::TlsFailed, format!("no protected connection to the mail server: {why}"));
    }
    if error.is_response() || error.is_client() {
        return (MailErrorKind::Unknown, format!("the mail server did not speak SMTP: {why}"));
    }
    (MailErrorKind::SocketClosed, format!("the connection to the mail server broke: {why}"))
}

/// The words of the reply, on one line.
fn said(error: &Error) -> String {
    let words = error.source().map(ToString::to_string).unwrap_or_default();
    let line: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { line } else { format!(" {line}") }
}

/// What the server calls the mail, told from its answer: `250 2.0.0 Ok: queued as 4XyZ`, `250 Ok 0102018f-1a2b`. The last word,
/// when it looks like a name.
pub(super) fn message_id(answer: &str) -> Option<String> {
    let word = answer.split_whitespace().last()?.trim_matches(|c: char| "<>()[].,;".contains(c));
    let looks_like_one = (6..=200).contains(&word.len())
        && word.bytes().any(|byte| byte.is_ascii_digit())
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@=+".contains(&byte));
    looks_like_one.then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::message_id;

    #[test]
    fn the_name_of_a_mail_is_the_last_word_of_the_answer() {
        for (answer, name) in [
            ("2.0.0 Ok: queued as 4XyZ1b2c3d", Some("4XyZ1b2c3d")),
            ("Ok 0102018f1a2b-5c6d-000000", Some("0102018f1a2b-5c6d-000000")),
            ("OK <20260102.1@mx.example>", Some("20260102.1@mx.example")),
            ("Message accepted", None),
            ("2.0.0", None),
            ("", None),
        ] {
            assert_eq!(message_id(answer).as_deref(), name, "{answer}");
        }
    }
}
