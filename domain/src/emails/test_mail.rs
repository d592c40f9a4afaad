//! Trying a mail server out before it is chosen (wire: emails §10). The mail is in no outbox and counts for nothing.

use std::time::Duration;

use uuid::Uuid;

use super::route;
use crate::{
    Actor, Deps, Failure, Level,
    email_address::EmailAddress,
    error::{Result, refuse},
    limits,
    ports::mail::OutgoingMail,
    projects::EmailConnection,
    validation::Violations,
};

/// How long the server may take.
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_HOST_CHARS: usize = 253;
const MAX_TEXT_CHARS: usize = 500;

/// Sends a short mail through a server. Answers why it was not taken, if it was not.
///
/// # Errors
/// `FORBIDDEN` below ADMIN; `SCHEMA_ERROR`; `RATE_LIMITED`.
#[crate::boxed]
pub async fn send_test(
    deps: &Deps,
    actor: &Actor,
    recipient: &str,
    connection: EmailConnection,
) -> Result<Option<String>> {
    if actor.level < Level::Admin {
        return refuse(Failure::forbidden("trying a mail server out needs admin access"));
    }
    let mut violations = Violations::default();
    let recipient = violations.take("recipient_email", EmailAddress::loose(recipient));
    violations.take("email_config.sender_email", EmailAddress::loose(&connection.sender_email));
    violations.text("email_config.host", &connection.host, MAX_HOST_CHARS);
    violations.text("email_config.username", &connection.username, MAX_TEXT_CHARS);
    violations.text("email_config.sender_name", &connection.sender_name, MAX_TEXT_CHARS);
    violations.finish()?;
    let Some(recipient) = recipient else { return Ok(None) };
    limits::test_mail_sent(deps, actor).await?;
    let (server, from_name, from_address) = route::of_connection(connection);
    let host = deps.settings.public_url.host_str().unwrap_or("localhost");
    let mail = OutgoingMail {
        message_id: format!("{}@{host}", Uuid::new_v4()),
        from_name,
        from_address,
        to: vec![recipient.into_string()],
        subject: "Your mail server works".to_owned(),
        html: String::new(),
        text: "This email was sent to try out a mail server. It arrived, so the settings are right.\n".to_owned(),
        headers: Vec::new(),
    };
    Ok(match tokio::time::timeout(TIMEOUT, deps.mailer.send(&server, &mail)).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.text),
        Err(_) => Some(format!("The mail server did not take the email within {} s.", TIMEOUT.as_secs())),
    })
}
