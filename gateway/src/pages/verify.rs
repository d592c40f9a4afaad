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
    Code, Error,
    sessions::{self, OneTimeCode, VERIFY_EMAIL_PAGE},
};

use super::{
    link::{Link, incomplete, refused},
    plain::{Action, Plain, Tone},
};
use crate::{app::Gateway, rest::reply::Refusal};

pub(super) fn router() -> Router<Gateway> {
    Router::new().route(VERIFY_EMAIL_PAGE, get(ask).post(verify))
}

/// Where another link is to be had.
const AGAIN: &str = "Please ask for a new verification email.";

async fn ask(State(gateway): State<Gateway>, link: Result<Query<Link>, QueryRejection>) -> Result<Response, Refusal> {
    let Ok(Query(link)) = link else { return incomplete() };
    let Some((_, project)) = link.opened(&gateway).await? else { return incomplete() };
    Plain {
        title: "Verify your email address",
        project: &project,
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
    let Some((actor, project)) = link.opened(&gateway).await? else { return incomplete() };
    let verified = match OneTimeCode::parse(&link.code) {
        Ok(code) => sessions::verify_email(&gateway.deps, &actor, &code).await.map(drop),
        Err(error) => Err(error),
    };
    match verified {
        Ok(()) => Plain {
            title: "Your email address is verified",
            tone: Tone::Good,
            project: &project,
            paragraphs: &["Thank you. You can close this page and go back to where you came from."],
            ..Plain::default()
        }
        .respond(StatusCode::OK),
        Err(Error::Refused(failure)) => {
            let again = match failure.code {
                Code::VerificationCodeAlreadyUsed => {
                    "Your email address is most likely verified. You can close this page."
                }
                _ => AGAIN,
            };
            refused(&project, failure.code, again)
        }
        Err(error) => Err(error.into()),
    }
}
