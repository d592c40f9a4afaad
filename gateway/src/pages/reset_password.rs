//! `/verify/password`: where the link of a password mail leads when the caller gave no callback URL. Opening it changes
//! nothing; the form with the new password does, and a password that is not good enough leaves the link good.

use axum::{
    Form, Router,
    extract::{
        FromRequest, Query, Request, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::StatusCode,
    response::Response,
    routing::get,
};
use postern_domain::{
    Actor, Code, Error, Failure,
    sessions::{self, ClientInfo, CodeKind, OneTimeCode, RESET_PASSWORD_PAGE},
};
use serde::Deserialize;

use super::{
    link::{Link, incomplete, refused, status},
    plain::{Action, Login, Plain, Tone},
};
use crate::{app::Gateway, rest::reply::Refusal};

/// Where another link is to be had.
const AGAIN: &str = "Please ask for a new link where you sign in.";

pub(super) fn router() -> Router<Gateway> {
    Router::new().route(RESET_PASSWORD_PAGE, get(ask).post(reset))
}

/// What the form carries.
#[derive(Deserialize)]
struct Resetting {
    #[serde(flatten)]
    link: Link,
    password: String,
}

async fn ask(State(gateway): State<Gateway>, link: Result<Query<Link>, QueryRejection>) -> Result<Response, Refusal> {
    let Ok(Query(link)) = link else { return incomplete() };
    let Some((actor, project)) = link.opened(&gateway).await? else { return incomplete() };
    let checked = match OneTimeCode::parse(&link.code) {
        Ok(code) => sessions::look_at_link(&gateway.deps, &actor.project_id, CodeKind::PasswordReset, &code).await,
        Err(error) => Err(error),
    };
    match checked {
        Ok(()) => form(&link, &project, None),
        Err(Error::Refused(failure)) => refused(&project, failure.code, AGAIN),
        Err(error) => Err(error.into()),
    }
}

async fn reset(State(gateway): State<Gateway>, request: Request) -> Result<Response, Refusal> {
    let client = gateway.client_info(&request);
    let body: Result<Form<Resetting>, FormRejection> = Form::from_request(request, &()).await;
    let Ok(Form(Resetting { link, password })) = body else { return incomplete() };
    let Some((actor, project)) = link.opened(&gateway).await? else { return incomplete() };
    match change(&gateway, &actor, &link, password, &client).await {
        Ok(()) => Plain {
            title: "Your password is changed",
            tone: Tone::Good,
            project: &project,
            paragraphs: &[
                "You are signed out everywhere. Go back to where you came from and sign in with the new password.",
            ],
            ..Plain::default()
        }
        .respond(StatusCode::OK),
        Err(Error::Refused(failure)) => match failure.code {
            Code::PasswordTooShort | Code::PasswordTooLong => form(&link, &project, Some(&failure)),
            Code::PasswordAuthenticationNotEnabled => {
                refused(&project, failure.code, "This application has no passwords any more.")
            }
            code => refused(&project, code, AGAIN),
        },
        Err(error) => Err(error.into()),
    }
}

async fn change(
    gateway: &Gateway,
    actor: &Actor,
    link: &Link,
    password: String,
    client: &ClientInfo,
) -> postern_domain::Result<()> {
    let code = OneTimeCode::parse(&link.code)?;
    sessions::reset_password(&gateway.deps, actor, &code, &password.into(), client).await.map(drop)
}

fn form(link: &Link, project: &str, not_good: Option<&Failure>) -> Result<Response, Refusal> {
    Plain {
        title: "Choose a new password",
        project,
        paragraphs: &["All devices where you are signed in will be signed out."],
        action: Some(Action {
            label: "Change my password",
            fields: &[("project_id", &link.project_id), ("code", &link.code)],
            to: Some(RESET_PASSWORD_PAGE),
            login: Some(Login { email: "", is_new: true, alert: not_good.map(|failure| failure.message.as_ref()) }),
        }),
        ..Plain::default()
    }
    .respond(not_good.map_or(StatusCode::OK, |failure| status(failure.code)))
}
