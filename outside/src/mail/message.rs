//! A mail in the form of RFC 5322: headers, and both parts as alternatives (RFC 2046 §5.1.4).

use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};
use postern_domain::ports::mail::{MailError, MailErrorKind, OutgoingMail};

/// Says that no person wrote the mail, so that nobody's absence notice answers it (RFC 3834 §5).
const AUTO_SUBMITTED: (&str, &str) = ("Auto-Submitted", "auto-generated");

/// The message with its envelope.
///
/// # Errors
/// When an address is malformed, or a header cannot be written.
pub(super) fn build(mail: &OutgoingMail) -> Result<Message, MailError> {
    let name = Some(one_line(&mail.from_name)).filter(|name| !name.is_empty());
    let mut builder = Message::builder()
        .message_id(Some(format!("<{}>", mail.message_id)))
        .from(Mailbox::new(name, address(&mail.from_address)?))
        .subject(one_line(&mail.subject));
    for recipient in &mail.to {
        builder = builder.to(Mailbox::new(None, address(recipient)?));
    }
    let own = mail.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in std::iter::once(AUTO_SUBMITTED).chain(own) {
        let name = HeaderName::new_from_ascii(name.to_owned()).map_err(malformed)?;
        builder = builder.raw_header(HeaderValue::new(name, one_line(value)));
    }
    if mail.html.is_empty() {
        return builder.singlepart(SinglePart::plain(mail.text.clone())).map_err(malformed);
    }
    builder.multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone())).map_err(malformed)
}

/// Without control characters: a line feed would end the header, and the library panics at one in a display name.
fn one_line(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn address(text: &str) -> Result<Address, MailError> {
    // The address is not repeated: the text goes to logs and administrators, and the row says whom it was for.
    let malformed =
        |error| MailError::new(MailErrorKind::InvalidEmailAddress, format!("an address is malformed: {error}"));
    text.parse().map_err(malformed)
}

fn malformed(error: impl std::error::Error) -> MailError {
    MailError::new(MailErrorKind::Unknown, format!("the mail cannot be put together: {error}"))
}
