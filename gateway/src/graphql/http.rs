//! The routes of the GraphQL door: reads HTTP, asks [`Door`], writes HTTP.

use async_graphql::Request;
use axum::{
    Router,
    body::Body,
    extract::{FromRequestParts, Request as HttpRequest, State, WebSocketUpgrade},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{any, get},
};

use super::{
    door::{Conversation, Door, Way},
    error::{self, DoorCode},
    request::{self, Malformed},
    respond::{self, Format},
    schema_text,
    socket::{self, Operations},
    stream,
};
use crate::{
    app::{Gateway, MAX_BODY_BYTES},
    layers,
    telemetry::Alive,
};

/// What a socket keeps for reading and for writing; both grow while a message is larger. The defaults are 128 KiB each,
/// too much for ten thousand idle sockets.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024;

/// `/graphql` and `/schema.graphql`.
pub(crate) fn router(gateway: Gateway) -> Router<Gateway> {
    let graphql = Router::new().route("/graphql", any(serve)).layer(middleware::from_fn(layers::cors));
    graphql.route("/schema.graphql", get(schema_text::schema)).with_state(Door::new(gateway))
}

async fn serve(State(door): State<Door>, request: HttpRequest) -> Response {
    match *request.method() {
        Method::GET if is_upgrade(request.headers()) => upgrade(door, request).await,
        Method::GET => get_query(door, request).await,
        Method::POST => post(door, request).await,
        _ => {
            let text = "GraphQL is asked by POST or GET.";
            let refused =
                respond::malformed(Format::Json, StatusCode::METHOD_NOT_ALLOWED, DoorCode::MethodNotAllowed, text);
            allowing("GET, POST, OPTIONS", refused)
        }
    }
}

fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

async fn upgrade(door: Door, request: HttpRequest) -> Response {
    let open = door.gateway().sockets.token();
    let conversation = Conversation::new(door, Way::Stream, &request);
    let (mut parts, _) = request.into_parts();
    match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade
            .protocols([socket::PROTOCOL])
            .max_message_size(MAX_BODY_BYTES)
            .max_frame_size(MAX_BODY_BYTES)
            .read_buffer_size(SOCKET_BUFFER_BYTES)
            .write_buffer_size(SOCKET_BUFFER_BYTES)
            .on_upgrade(async move |socket| {
                let _alive = Alive::connection("websocket");
                socket::serve(socket, conversation, parts.headers).await;
                drop(open);
            }),
        Err(rejection) => rejection.into_response(),
    }
}

async fn post(door: Door, request: HttpRequest) -> Response {
    let Some(format) = Format::accepted(request.headers()) else { return not_acceptable() };
    let conversation = Conversation::new(door, Way::Post, &request);
    let (parts, body) = request.into_parts();
    let read = async {
        request::check_content_type(&parts.headers)?;
        request::from_body(&read_body(body).await?)
    };
    match read.await {
        Ok(request) => answer(conversation, &parts.headers, format, request).await,
        Err(malformed) => refuse_malformed(format, &malformed),
    }
}

async fn get_query(door: Door, request: HttpRequest) -> Response {
    let Some(format) = Format::accepted(request.headers()) else { return not_acceptable() };
    let conversation = Conversation::new(door, Way::Get, &request);
    match request::from_query(request.uri().query().unwrap_or_default()) {
        Ok(query) => answer(conversation, request.headers(), format, query).await,
        Err(malformed) => refuse_malformed(format, &malformed),
    }
}

async fn read_body(body: Body) -> Result<axum::body::Bytes, Malformed> {
    axum::body::to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| Malformed {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        code: DoorCode::PayloadTooLarge,
        message: format!("The body of a request has at most {MAX_BODY_BYTES} bytes."),
    })
}

async fn answer(conversation: Conversation, headers: &HeaderMap, format: Format, request: Request) -> Response {
    let caller = match conversation.admit(headers).await {
        Ok(caller) => caller,
        Err(error) => {
            let status = error::status_of(&error).unwrap_or(StatusCode::UNAUTHORIZED);
            return respond::refused(format, status, error);
        }
    };
    if format == Format::EventStream {
        return stream::answer(conversation.streaming(), caller, request).await;
    }
    let answer = respond::executed(format, &conversation.execute(&caller, request).await);
    if answer.status() == StatusCode::METHOD_NOT_ALLOWED { allowing("POST", answer) } else { answer }
}

fn refuse_malformed(format: Format, malformed: &Malformed) -> Response {
    respond::malformed(format, malformed.status, malformed.code, &malformed.message)
}

fn not_acceptable() -> Response {
    let text = "Answers are written as application/graphql-response+json, application/json or text/event-stream.";
    respond::malformed(Format::Json, StatusCode::NOT_ACCEPTABLE, DoorCode::NotAcceptable, text)
}

fn allowing(methods: &'static str, mut response: Response) -> Response {
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(methods));
    response
}
