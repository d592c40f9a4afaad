//! `/verify/sign-in`: where the link of a sign-in mail leads when the caller gave no callback URL. There is no application here
//! to sign in to, so the page shows the code, to be typed where it was asked for; it uses nothing up.

use axum::{
    Router,
    extract::{Query, Request, State},
    http::StatusCode,
    response::Response,
    routing::get,
};
use postern_domain::{
    Error,
    sessions::{self, OneTimeCode, SIGN_IN_PAGE},
};

use super::{
    link::{Link, incomplete, refused},
    plain::Plain,
};
use crate::{app::Gateway, rest::reply::Refusal};

pub(super) fn router() -> Router<Gateway> {
    Router::new().route(SIGN_IN_PAGE, get(show))
}

async fn show(State(gateway): State<Gateway>, request: Request) -> Result<Response, Refusal> {
    let client = &gateway.client_info(&request);
    let Ok(Query(link)) = Query::<Link>::try_from_uri(request.uri()) else { return incomplete() };
    let Some((actor, project)) = link.opened(&gateway).await? else { return incomplete() };
    let code = match OneTimeCode::parse(&link.code) {
        Ok(code) => sessions::sign_in_code_to_type(&gateway.deps, &actor, &code, client).await,
        Err(error) => Err(error),
    };
    match code {
        Ok(code) => Plain {
            title: &format!("Your code is {code}"),
            project: &project,
            paragraphs: &[
                "Go back to where you asked to sign in and type it there.",
                "If you did not ask for it, close this page and tell the code to nobody.",
            ],
            ..Plain::default()
        }
        .respond(StatusCode::OK),
        Err(Error::Refused(failure)) => refused(&project, failure.code, "Please ask for a new code where you sign in."),
        Err(error) => Err(error.into()),
    }
}
