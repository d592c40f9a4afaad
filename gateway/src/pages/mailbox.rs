//! `/mailbox`: the mails that local mode caught, for people, and as JSON for tests.

use axum::{
    Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
    middleware::from_fn_with_state,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use postern_domain::{
    EmailId, Failure,
    emails::mailbox::{self, MAX_MESSAGES, Message},
    random::random_token,
};
use serde::{Deserialize, Serialize};

use super::{guarded, local_only};
use crate::{
    app::Gateway,
    rest::reply::{Answer, Refusal, Reply, Success, success},
};

/// How many messages an answer has unless asked otherwise.
const DEFAULT_MESSAGES: u32 = 50;
/// How much of a text a brief message shows.
const PREVIEW_CHARS: usize = 160;
const PAGE: &str = include_str!("mailbox.html");
/// Stands in the page where the nonce of its script and style goes.
const NONCE: &str = "__NONCE__";

/// A mail shows pictures and its own styles, and runs nothing: neither in its frame nor opened by itself.
const MAIL_POLICY: &str = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; \
                           style-src 'unsafe-inline'; img-src http: https: data:; font-src http: https: data:; \
                           form-action 'none'; base-uri 'none'; frame-ancestors 'self'";

pub(super) fn router(gateway: &Gateway) -> Router<Gateway> {
    Router::new()
        .route("/mailbox", get(page))
        .route("/mailbox/api/messages", get(list))
        .route("/mailbox/api/messages/{id}", get(read).delete(delete))
        .route("/mailbox/messages/{id}", get(view))
        .route_layer(from_fn_with_state(gateway.clone(), local_only))
}

async fn page() -> Result<Response, Refusal> {
    let nonce = random_token()?;
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; frame-src 'self'; \
         img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    );
    Ok((guarded(&policy), Html(PAGE.replace(NONCE, &nonce))).into_response())
}

#[derive(Debug, Deserialize)]
struct ListQuery {
    to: Option<String>,
    limit: Option<u32>,
    #[serde(default)]
    brief: bool,
}

#[derive(Debug, Serialize)]
struct Listed {
    items: Vec<Item>,
}

/// A message on the wire.
#[derive(Debug, Serialize)]
struct Item {
    id: EmailId,
    to: Vec<String>,
    subject: String,
    received_at_millis: i64,
    #[serde(flatten)]
    body: Body,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Body {
    Full { html: String, text: String },
    Brief { preview: String },
}

impl Item {
    fn full(message: Message) -> Self {
        let Message { id, to, subject, html, text, received_at_millis } = message;
        Self { id, to, subject, received_at_millis, body: Body::Full { html, text } }
    }

    fn brief(message: Message) -> Self {
        let Message { id, to, subject, text, received_at_millis, .. } = message;
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let preview = words.chars().take(PREVIEW_CHARS).collect();
        Self { id, to, subject, received_at_millis, body: Body::Brief { preview } }
    }
}

async fn list(State(gateway): State<Gateway>, query: Result<Query<ListQuery>, QueryRejection>) -> Answer<Listed> {
    let Ok(Query(query)) = query else {
        return Err(Failure::bad_request("limit must be a whole number, brief true or false").into());
    };
    let limit = query.limit.unwrap_or(DEFAULT_MESSAGES);
    if !(1..=MAX_MESSAGES).contains(&limit) {
        return Err(Failure::bad_request(format!("limit must be between 1 and {MAX_MESSAGES}")).into());
    }
    let messages = mailbox::list(&gateway.deps, query.to.as_deref(), limit).await?;
    let item = if query.brief { Item::brief } else { Item::full };
    Ok(Reply::ok(Listed { items: messages.into_iter().map(item).collect() }))
}

async fn read(State(gateway): State<Gateway>, Path(id): Path<String>) -> Answer<Item> {
    Ok(Reply::ok(Item::full(mailbox::get(&gateway.deps, message_id(&id)?).await?)))
}

async fn delete(State(gateway): State<Gateway>, Path(id): Path<String>) -> Answer<Success> {
    mailbox::delete(&gateway.deps, message_id(&id)?).await?;
    Ok(success())
}

/// The HTML part as a document of its own, for the frame of the page.
async fn view(State(gateway): State<Gateway>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let message = mailbox::get(&gateway.deps, message_id(&id)?).await?;
    Ok((StatusCode::OK, guarded(MAIL_POLICY), Html(message.html)).into_response())
}

fn message_id(text: &str) -> Result<EmailId, Refusal> {
    text.parse().map_err(|_| Failure::not_found("There is no such message.").into())
}
