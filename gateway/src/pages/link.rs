//! What the plain pages behind links in mails have in common: the link, whose it is, and words for what may be wrong with it.

use axum::{http::StatusCode, response::Response};
use postern_domain::{Actor, Code, Level, ProjectId, projects};
use serde::Deserialize;

use super::plain::{Plain, Tone};
use crate::{app::Gateway, rest::reply::Refusal};

/// What a link carries.
#[derive(Deserialize)]
pub(super) struct Link {
    pub(super) project_id: String,
    pub(super) code: String,
}

impl Link {
    /// A stranger to the project of the link, and the project's name; none when there is no such project.
    pub(super) async fn opened(&self, gateway: &Gateway) -> Result<Option<(Actor, String)>, Refusal> {
        let project = projects::lookup(&gateway.deps, &ProjectId(self.project_id.clone())).await?;
        Ok(project.map(|project| (Actor::new(project.id.clone(), Level::Client, None), project.display_name.clone())))
    }
}

/// The status of a page that says why something was refused.
pub(super) fn status(code: Code) -> StatusCode {
    StatusCode::from_u16(code.status()).unwrap_or(StatusCode::BAD_REQUEST)
}

/// A page for a refusal that has to do with the link. `again` says where to get another.
pub(super) fn refused(project: &str, code: Code, again: &str) -> Result<Response, Refusal> {
    let title = match code {
        Code::VerificationCodeAlreadyUsed => "This link was used already",
        Code::VerificationCodeExpired => "This link has expired",
        Code::VerificationCodeMaxAttemptsReached => "This link was tried too often",
        _ => "This link does not work",
    };
    let text = match code {
        Code::VerificationCodeNotFound | Code::SchemaError => {
            format!("Perhaps it was cut off. {again}")
        }
        _ => again.to_owned(),
    };
    let page = Plain { title, tone: Tone::Bad, project, paragraphs: &[&text], ..Plain::default() };
    page.respond(status(code))
}

/// A page for a link that lacks a part.
pub(super) fn incomplete() -> Result<Response, Refusal> {
    Plain {
        title: "This link is not complete",
        tone: Tone::Bad,
        paragraphs: &["Please copy the whole link from the mail into your browser."],
        ..Plain::default()
    }
    .respond(StatusCode::BAD_REQUEST)
}
