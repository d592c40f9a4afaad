//! `/purchase/{project}_{code}`: where a purchase URL leads (wire: payments §6). It shows what is for sale and asks for the
//! price; paying happens on a page of Stripe's own. The code in the address is all that it takes, there are no cookies, so
//! nobody can have the form posted who does not know it. Also where the browser comes back to from Stripe.

use axum::{
    Form, Router,
    extract::{
        Path, Query, State,
        rejection::{FormRejection, PathRejection, QueryRejection},
    },
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use postern_domain::{
    Code, Error, Failure,
    payments::checkout::{self, FullCode},
};
use serde::Deserialize;
use url::Url;

use super::{
    guarded,
    plain::{More, Plain, Tone},
};
use crate::{app::Gateway, rest::reply::Refusal};

mod offer;

/// Where the pages are.
const PAGE: &str = "/purchase";
const DONE: &str = "/purchase/done";

pub(super) fn router() -> Router<Gateway> {
    Router::new()
        .route(DONE, get(done))
        .route("/purchase/set-up", get(set_up))
        .route("/purchase/{full_code}", get(show).post(act))
}

/// What the address carries.
#[derive(Debug, Default, Deserialize)]
struct Link {
    return_url: Option<String>,
}

/// What the form carries. Everything is text: what does not fit is answered by the page.
#[derive(Debug, Default, Deserialize)]
struct Choice {
    price_id: Option<String>,
    quantity: Option<String>,
    action: Option<String>,
}

type Address = (Result<Path<String>, PathRejection>, Result<Query<Link>, QueryRejection>);

/// A purchase URL that somebody looks at.
struct Opened<'a> {
    gateway: &'a Gateway,
    /// As the address has it.
    text: String,
    code: FullCode,
    return_url: Option<Url>,
}

async fn show(State(gateway): State<Gateway>, method: Method, address: Address) -> Result<Response, Refusal> {
    let opened = match Opened::by(&gateway, address).await {
        Ok(opened) => opened,
        Err(error) => return told(error),
    };
    // A look at the code counts as an attempt, of which there are few, so whoever shows nothing does not look.
    if method == Method::HEAD {
        return Ok((StatusCode::OK, guarded("default-src 'none'")).into_response());
    }
    opened.ask(&Choice::default(), None).await
}

async fn act(
    State(gateway): State<Gateway>,
    address: Address,
    form: Result<Form<Choice>, FormRejection>,
) -> Result<Response, Refusal> {
    let opened = match Opened::by(&gateway, address).await {
        Ok(opened) => opened,
        Err(error) => return told(error),
    };
    let choice = form.map(|Form(choice)| choice).unwrap_or_default();
    let Some(price_id) = choice.price_id.as_deref() else {
        return opened.ask(&choice, Some("Please choose a price.")).await;
    };
    let Ok(quantity) = choice.quantity.as_deref().unwrap_or("1").trim().parse() else {
        return opened.ask(&choice, Some("The quantity must be a whole number, such as 1.")).await;
    };
    let outcome = if choice.action.as_deref() == Some("test") {
        opened.try_out(price_id, quantity).await
    } else {
        opened.pay(price_id, quantity).await
    };
    match outcome {
        Ok(url) => send_to(&url),
        // What was chosen does not do: it can be chosen again.
        Err(Error::Refused(failure)) if failure.code == Code::BadRequest => {
            opened.ask(&choice, Some(&failure.message)).await
        }
        Err(error) => told(error),
    }
}

impl<'a> Opened<'a> {
    async fn by(gateway: &'a Gateway, (path, link): Address) -> Result<Self, Error> {
        let (Ok(Path(text)), Ok(Query(link))) = (path, link) else {
            return Err(Failure::bad_request("The address does not fit.").into());
        };
        let code = FullCode::parse(&text)?;
        let return_url = checkout::check_return(&gateway.deps, &code, link.return_url.as_deref()).await?;
        Ok(Self { gateway, text, code, return_url })
    }

    /// The page that asks; once more, when the answer was not good.
    async fn ask(&self, choice: &Choice, alert: Option<&str>) -> Result<Response, Refusal> {
        let return_url = self.return_url.as_ref().map(Url::as_str);
        let offer = match checkout::offer(&self.gateway.deps, &self.code, return_url).await {
            Ok(offer) => offer,
            Err(error) => return told(error),
        };
        let status = if alert.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        let paragraphs = offer::paragraphs(&offer);
        let paragraphs: Vec<_> = paragraphs.iter().map(String::as_str).collect();
        let logo = offer::logo(&offer);
        let more = More {
            source: offer::TEMPLATE,
            with: offer::shown(&offer, choice, alert, logo.as_ref().map(|(url, _)| url.as_str())),
            form_targets: offer::form_targets(self.return_url.as_ref(), self.gateway.deps.settings.local_mode),
            pictures: logo.map(|(_, source)| source).unwrap_or_default(),
        };
        Plain {
            title: &offer.product.display_name,
            project: &offer.project_name,
            paragraphs: &paragraphs,
            more: Some(more),
            ..Plain::default()
        }
        .respond(status)
    }

    /// Opens Stripe's page for the choice; answers where it is.
    async fn pay(&self, price_id: &str, quantity: i64) -> Result<String, Error> {
        let urls = [self.end()?, self.own()?];
        checkout::open_page(&self.gateway.deps, &self.code, price_id, quantity, urls).await
    }

    /// Buys without paying; answers where the browser goes then.
    async fn try_out(&self, price_id: &str, quantity: i64) -> Result<String, Error> {
        checkout::try_out(&self.gateway.deps, &self.code, price_id, quantity).await?;
        self.end()
    }

    /// Where the browser goes when all is done.
    fn end(&self) -> Result<String, Error> {
        match &self.return_url {
            Some(url) => Ok(url.as_str().to_owned()),
            None => self.page("done").map(String::from),
        }
    }

    /// The address of the page itself.
    fn own(&self) -> Result<String, Error> {
        let mut url = self.page(&self.text)?;
        if let Some(return_url) = &self.return_url {
            url.query_pairs_mut().append_pair("return_url", return_url.as_str());
        }
        Ok(url.into())
    }

    fn page(&self, name: &str) -> Result<Url, Error> {
        let base = self.gateway.deps.settings.public_url.as_str().trim_end_matches('/');
        let mut url = Url::parse(&format!("{base}{PAGE}")).map_err(Error::internal)?;
        // As a segment, whatever is in it.
        url.path_segments_mut().map_err(|()| Error::internal("the public URL has no path"))?.push(name);
        Ok(url)
    }
}

async fn done() -> Result<Response, Refusal> {
    Plain {
        title: "Thank you",
        tone: Tone::Good,
        paragraphs: &[
            "What you chose is on its way to you. You can close this page and go back to where you came from.",
        ],
        ..Plain::default()
    }
    .respond(StatusCode::OK)
}

/// Where Stripe sends the owner of an account back to, whether or not all was answered there.
async fn set_up() -> Result<Response, Refusal> {
    Plain {
        title: "Back from Stripe",
        paragraphs: &[
            "Stripe has what you have told it. You can close this page.",
            "If something is missing still, or you come from a link that was too old, begin the set-up again: it goes on where you left it.",
        ],
        ..Plain::default()
    }
    .respond(StatusCode::OK)
}

/// Sends the browser on. The page that asked is not told of in the request.
fn send_to(url: &str) -> Result<Response, Refusal> {
    let location = HeaderValue::from_str(url).map_err(Error::internal)?;
    Ok((StatusCode::SEE_OTHER, guarded("default-src 'none'"), [(header::LOCATION, location)]).into_response())
}

/// A refusal in words for the person who opened the link.
fn told(error: Error) -> Result<Response, Refusal> {
    let failure = match error {
        Error::Refused(failure) => failure,
        error => return Err(error.into()),
    };
    let (title, text) = match failure.code {
        Code::VerificationCodeNotFound => (
            "This link does not work",
            "It was used already, it is older than a day, or it was cut off. Please go back to where you came from and start again.",
        ),
        Code::VerificationCodeMaxAttemptsReached => {
            ("This link was opened too often", "Please go back to where you came from and start again.")
        }
        Code::RedirectUrlNotWhitelisted => (
            "This link cannot be trusted",
            "It would lead you to a place that does not belong to the seller. Please tell whoever gave it to you.",
        ),
        Code::NewPurchasesBlocked => ("Nothing is sold at present", "Please come back later."),
        Code::ProductAlreadyGranted => ("You have this already", "There is nothing to pay. You can close this page."),
        Code::Forbidden => {
            ("This cannot be tried out", "The seller is not in test mode any more. Open the link again to pay.")
        }
        Code::Unavailable => {
            ("Payment is not possible right now", "Nothing was charged. Please wait a moment, go back and try again.")
        }
        _ => ("This link is not complete", "Please go back to where you came from and start again."),
    };
    let status = StatusCode::from_u16(failure.code.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut page = Plain { title, tone: Tone::Bad, paragraphs: &[text], ..Plain::default() }.respond(status)?;
    if let Some(seconds) = failure.retry_after_seconds {
        page.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    Ok(page)
}
