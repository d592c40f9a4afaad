//! `/verify/email`: where the link of a verification mail leads when the caller gave no callback URL. Opening it changes
//! nothing, because programs that check mails for harm open links; the button does.

use axum::{
    Form, Router,
    extract::{
        Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::StatusCode,
    response::Response,
    routing::get,
};
use postern_domain::{
    Actor, Code, Error, Level, ProjectId, projects,
    sessions::{self, OneTimeCode, VERIFY_EMAIL_PAGE},
};
use serde::Deserialize;

use super::plain::{Action, Plain, Tone};
use crate::{app::Gateway, rest::reply::Refusal};

pub(super) fn router() -> Router<Gateway> {
    Router::new().route(VERIFY_EMAIL_PAGE, get(ask).post(verify))
}

/// What the link carries.
#[derive(Deserialize)]
struct Link {
    project_id: String,
    code: String,
}

async fn ask(State(gateway): State<Gateway>, link: Result<Query<Link>, QueryRejection>) -> Result<Response, Refusal> {
    let Ok(Query(link)) = link else { return incomplete() };
    let Some(project) = projects::lookup(&gateway.deps, &ProjectId(link.project_id.clone())).await? else {
        return incomplete();
    };
    Plain {
        title: "Verify your email address",
        project: &project.display_name,
        paragraphs: &["Press the button to confirm that this email address is yours."],
        action: Some(Action {
            label: "Verify my email",
            fields: &[("project_id", &link.project_id), ("code", &link.code)],
            to: None,
            login: None,
        }),
        ..Plain::default()
    }
    .respond(StatusCode::OK)
}

async fn verify(State(gateway): State<Gateway>, link: Result<Form<Link>, FormRejection>) -> Result<Response, Refusal> {
    let Ok(Form(link)) = link else { return incomplete() };
    let Some(project) = projects::lookup(&gateway.deps, &ProjectId(link.project_id)).await? else {
        return incomplete();
    };
    let actor = Actor::new(project.id.clone(), Level::Client, None);
    let verified = match OneTimeCode::parse(&link.code) {
        Ok(code) => sessions::verify_email(&gateway.deps, &actor, &code).await.map(drop),
        Err(error) => Err(error),
    };
    let (title, tone, paragraph, status) = match verified {
        Ok(()) => {
            let paragraph = "Thank you. You can close this page and go back to where you came from.";
            ("Your email address is verified", Tone::Good, paragraph, StatusCode::OK)
        }
        Err(Error::Refused(failure)) => {
            let status = StatusCode::from_u16(failure.code.status()).unwrap_or(StatusCode::BAD_REQUEST);
            let (title, paragraph) = explained(failure.code);
            (title, Tone::Bad, paragraph, status)
        }
        Err(error) => return Err(error.into()),
    };
    Plain { title, tone, project: &project.display_name, paragraphs: &[paragraph], ..Plain::default() }.respond(status)
}

/// A refusal in words for the person who opened the link.
fn explained(code: Code) -> (&'static str, &'static str) {
    match code {
        Code::VerificationCodeAlreadyUsed => {
            ("This link was used already", "Your email address is most likely verified. You can close this page.")
        }
        Code::VerificationCodeExpired => ("This link has expired", "Please ask for a new verification email."),
        Code::VerificationCodeMaxAttemptsReached => {
            ("This link was tried too often", "Please ask for a new verification email.")
        }
        _ => ("This link does not work", "Perhaps it was cut off, or a newer one was sent. Please ask for a new one."),
    }
}

fn incomplete() -> Result<Response, Refusal> {
    Plain {
        title: "This link is not complete",
        tone: Tone::Bad,
        paragraphs: &["Please copy the whole link from the mail into your browser."],
        ..Plain::default()
    }
    .respond(StatusCode::BAD_REQUEST)
}
