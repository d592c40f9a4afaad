//! `/verify/team-invitation`: where the link of an invitation leads when the caller gave no callback URL. Opening it changes
//! nothing. A page cannot know who is signed in, so it asks for the password of the invited address, or for a new one; the
//! code and the password are in the form, and there are no cookies, so nobody can have it posted without knowing both.

use axum::{
    Form, Router,
    extract::{
        FromRequest, Query, Request, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::{HeaderValue, StatusCode, header},
    response::Response,
    routing::get,
};
use postern_domain::{
    Actor, Code, Error, Failure,
    sessions::OneTimeCode,
    teams::invitations::{self, TEAM_INVITATION_PAGE, WayIn, Welcome},
};
use serde::Deserialize;

use super::{
    link::{Link, incomplete, status},
    plain::{Action, Login, Plain, Tone},
};
use crate::{app::Gateway, rest::reply::Refusal};

pub(super) fn router() -> Router<Gateway> {
    Router::new().route(TEAM_INVITATION_PAGE, get(ask).post(join))
}

/// What the form carries.
#[derive(Deserialize)]
struct Joining {
    #[serde(flatten)]
    link: Link,
    password: String,
}

/// An invitation that somebody looks at.
struct Opened<'a> {
    gateway: &'a Gateway,
    link: &'a Link,
    actor: Actor,
    project: String,
}

async fn ask(State(gateway): State<Gateway>, link: Result<Query<Link>, QueryRejection>) -> Result<Response, Refusal> {
    let Ok(Query(link)) = link else { return incomplete() };
    match Opened::by(&gateway, &link).await? {
        Some(opened) => opened.ask(None).await,
        None => incomplete(),
    }
}

async fn join(State(gateway): State<Gateway>, request: Request) -> Result<Response, Refusal> {
    let client = gateway.client_info(&request);
    let form: Result<Form<Joining>, FormRejection> = Form::from_request(request, &()).await;
    let Ok(Form(Joining { link, password })) = form else { return incomplete() };
    let Some(opened) = Opened::by(&gateway, &link).await? else { return incomplete() };
    let joined = match OneTimeCode::parse(&link.code) {
        Ok(code) => {
            // The name of the team is told by the code, which joining uses up.
            match invitations::welcome(&gateway.deps, &opened.actor, &code).await {
                Ok(welcome) => {
                    let password = password.into();
                    let joined =
                        invitations::join_by_page(&gateway.deps, &opened.actor, &code, &password, &client).await;
                    joined.map(|_| welcome)
                }
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    };
    match joined {
        Ok(welcome) => opened.joined(&welcome),
        Err(Error::Refused(failure)) if invitations::may_try_again(failure.code) => opened.ask(Some(&failure)).await,
        Err(Error::Refused(failure)) => opened.refused(failure.code),
        Err(error) => Err(error.into()),
    }
}

impl<'a> Opened<'a> {
    async fn by(gateway: &'a Gateway, link: &'a Link) -> Result<Option<Self>, Refusal> {
        let opened = link.opened(gateway).await?;
        Ok(opened.map(|(actor, project)| Self { gateway, link, actor, project }))
    }

    /// The page that asks; once more, when the answer was not good.
    async fn ask(&self, not_good: Option<&Failure>) -> Result<Response, Refusal> {
        let welcome = match OneTimeCode::parse(&self.link.code) {
            Ok(code) => invitations::welcome(&self.gateway.deps, &self.actor, &code).await,
            Err(error) => Err(error),
        };
        let welcome = match welcome {
            Ok(welcome) => welcome,
            Err(Error::Refused(failure)) => return self.refused(failure.code),
            Err(error) => return Err(error.into()),
        };
        let email = &welcome.recipient_email;
        let (invited, label, is_new) = match welcome.way_in {
            WayIn::Password => {
                ("You are invited. Enter the password of the account with this address to join.", "Join", false)
            }
            WayIn::NewAccount => {
                let text = "You are invited, and there is no account with this address yet. Choose a password to make one and join.";
                (text, "Make an account and join", true)
            }
            WayIn::Application => {
                let text = format!(
                    "{email} is invited. Open the application and sign in with this address: the invitation waits for you there."
                );
                return self.page(&title("Join", &welcome), Tone::Plain, &[&text], None, StatusCode::OK);
            }
        };
        let alert = not_good.map(alert);
        let action = Action {
            label,
            fields: &[("project_id", &self.link.project_id), ("code", &self.link.code)],
            to: Some(TEAM_INVITATION_PAGE),
            login: Some(Login { email, is_new, alert: alert.as_deref() }),
        };
        let status = not_good.map_or(StatusCode::OK, |failure| status(failure.code));
        let mut page = self.page(&title("Join", &welcome), Tone::Plain, &[invited], Some(action), status)?;
        if let Some(seconds) = not_good.and_then(|failure| failure.retry_after_seconds) {
            page.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        Ok(page)
    }

    fn joined(&self, welcome: &Welcome) -> Result<Response, Refusal> {
        let text = format!("Sign in to the application as {} to see the team.", welcome.recipient_email);
        self.page(&title("You are a member of", welcome), Tone::Good, &[&text], None, StatusCode::OK)
    }

    /// A refusal in words for the person who opened the link.
    fn refused(&self, code: Code) -> Result<Response, Refusal> {
        let (title, text) = match code {
            Code::VerificationCodeAlreadyUsed => (
                "This invitation is used up",
                "It was accepted before, or taken back. If you are no member yet, ask for a new invitation.",
            ),
            Code::VerificationCodeExpired => ("This invitation has expired", "Please ask for a new one."),
            Code::VerificationCodeMaxAttemptsReached => {
                ("This link was tried too often", "Please ask for a new invitation.")
            }
            Code::TeamInvitationRestrictedUserNotAllowed => {
                ("Your account cannot join teams yet", "Open the application and sign in to see what is missing.")
            }
            Code::ItemQuantityInsufficientAmount => (
                "There is no seat left in this team",
                "Ask whoever invited you to get one more. This invitation stays good.",
            ),
            Code::BadRequest => (
                "This page cannot do that",
                "Open the application and sign in with the invited address: the invitation waits for you there.",
            ),
            _ => ("This link does not work", "Perhaps it was cut off. Please copy the whole link from the email."),
        };
        self.page(title, Tone::Bad, &[text], None, status(code))
    }

    fn page(
        &self,
        title: &str,
        tone: Tone,
        paragraphs: &[&str],
        action: Option<Action<'_>>,
        status: StatusCode,
    ) -> Result<Response, Refusal> {
        Plain { title, tone, project: &self.project, paragraphs, action, more: None }.respond(status)
    }
}

/// The words in front of the name of the team, which may be empty.
fn title(words: &str, welcome: &Welcome) -> String {
    match welcome.team_display_name.trim() {
        "" => format!("{words} the team"),
        name => format!("{words} {name}"),
    }
}

/// Why the answer was not good.
fn alert(failure: &Failure) -> String {
    match failure.code {
        Code::EmailPasswordMismatch => "This is not the password of this account.".to_owned(),
        Code::RateLimited => "Too many tries. Please wait a while and try again.".to_owned(),
        Code::UserEmailAlreadyExists => "Somebody has made an account with this address by now.".to_owned(),
        Code::SchemaError => "This password is too long.".to_owned(),
        _ => failure.message.clone().into_owned(),
    }
}
