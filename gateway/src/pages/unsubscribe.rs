//! `/unsubscribe`: where the link in a mail that can be done without leads. Opening it changes nothing; the button does, and
//! so does the POST of a mail program (RFC 8058), which sends the code in the address and a body of its own.

use axum::{
    Form, Router,
    extract::{Query, State, rejection::FormRejection},
    http::StatusCode,
    response::Response,
    routing::get,
};
use postern_domain::{
    Code, Deps, Error,
    notifications::{self, UNSUBSCRIBE_PAGE, Unsubscription},
    sessions::OneTimeCode,
};
use serde::Deserialize;

use super::plain::{Action, Plain, Tone};
use crate::{app::Gateway, rest::reply::Refusal};

pub(super) fn router() -> Router<Gateway> {
    Router::new().route(UNSUBSCRIBE_PAGE, get(open).post(act))
}

/// What the link carries.
#[derive(Deserialize)]
struct Link {
    code: Option<String>,
}

async fn open(State(gateway): State<Gateway>, Query(link): Query<Link>) -> Result<Response, Refusal> {
    ask(&gateway.deps, link.code.as_deref()).await
}

/// The page that asks.
///
/// # Errors
/// Internal only; what is wrong with the code is said by the page.
pub(crate) async fn ask(deps: &Deps, code: Option<&str>) -> Result<Response, Refusal> {
    let Some(text) = code else { return explained(Code::BadRequest) };
    let found = match OneTimeCode::parse(text) {
        Ok(code) => notifications::ask(deps, &code).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(about) if about.is_done => done(&about),
        Ok(about) => Plain {
            title: "Unsubscribe?",
            project: &about.project_display_name,
            paragraphs: &[&format!("Press the button to get no more {} from this sender.", mails(&about))],
            action: Some(Action {
                label: "Unsubscribe",
                fields: &[("code", text)],
                to: Some(UNSUBSCRIBE_PAGE),
                login: None,
            }),
            ..Plain::default()
        }
        .respond(StatusCode::OK),
        Err(Error::Refused(failure)) => explained(failure.code),
        Err(error) => Err(error.into()),
    }
}

async fn act(
    State(gateway): State<Gateway>,
    Query(link): Query<Link>,
    form: Result<Form<Link>, FormRejection>,
) -> Result<Response, Refusal> {
    let code = link.code.or_else(|| form.ok().and_then(|Form(form)| form.code));
    let Some(text) = code else { return explained(Code::BadRequest) };
    let outcome = match OneTimeCode::parse(&text) {
        Ok(code) => notifications::unsubscribe(&gateway.deps, &code).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(about) => done(&about),
        Err(Error::Refused(failure)) => explained(failure.code),
        Err(error) => Err(error.into()),
    }
}

fn mails(about: &Unsubscription) -> String {
    format!("{} emails", about.category.to_lowercase())
}

fn done(about: &Unsubscription) -> Result<Response, Refusal> {
    Plain {
        title: "You are unsubscribed",
        tone: Tone::Good,
        project: &about.project_display_name,
        paragraphs: &[&format!("You will get no more {} from this sender. You can close this page.", mails(about))],
        ..Plain::default()
    }
    .respond(StatusCode::OK)
}

/// A refusal in words for the person who opened the link.
fn explained(code: Code) -> Result<Response, Refusal> {
    let (title, paragraph) = match code {
        Code::VerificationCodeExpired => (
            "This link has expired",
            "Please use the link in a newer email, or change your settings where you sign in.",
        ),
        Code::VerificationCodeNotFound => {
            ("This link does not work", "Perhaps it was cut off. Please copy the whole link from the email.")
        }
        _ => ("This link is not complete", "Please copy the whole link from the email into your browser."),
    };
    let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::BAD_REQUEST);
    Plain { title, tone: Tone::Bad, paragraphs: &[paragraph], ..Plain::default() }.respond(status)
}
