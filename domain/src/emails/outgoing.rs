//! A mail of the outbox as it goes out.

use postern_entity::email;

use super::{
    reports,
    route::Route,
    seal::{self, Column, Content},
};
use crate::{deps::Deps, error::Result, ports::mail::OutgoingMail};

/// The mail for a server, to these addresses.
pub(super) fn outgoing(deps: &Deps, email: &email::Model, to: &[String], route: &Route) -> Result<OutgoingMail> {
    let Content { subject, html, text, unsubscribe_link } = content(deps, email)?;
    Ok(OutgoingMail {
        message_id: email.message_id.clone(),
        from_name: route.from_name.clone(),
        from_address: route.from_address.clone(),
        to: to.to_vec(),
        subject,
        html,
        text,
        headers: unsubscribe_link
            .map(unsubscribe_headers)
            .into_iter()
            .flatten()
            .chain([reports::header(email.id)])
            .collect(),
    })
}

/// What lets a mail program unsubscribe by itself (RFC 8058).
fn unsubscribe_headers(link: String) -> Vec<(String, String)> {
    vec![
        ("List-Unsubscribe".to_owned(), format!("<{link}>")),
        ("List-Unsubscribe-Post".to_owned(), "List-Unsubscribe=One-Click".to_owned()),
    ]
}

/// The mail as it goes out.
pub(super) fn content(deps: &Deps, email: &email::Model) -> Result<Content> {
    if let Some(sealed) = &email.sealed_content {
        return seal::open(&deps.keyring, (&email.project_id, email.id), Column::Content, sealed);
    }
    Ok(Content {
        subject: email.rendered_subject.clone().unwrap_or_default(),
        html: email.rendered_html.clone().unwrap_or_default(),
        text: email.rendered_text.clone().unwrap_or_default(),
        unsubscribe_link: None,
    })
}
