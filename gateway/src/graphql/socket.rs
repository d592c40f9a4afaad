//! The protocol `graphql-transport-ws` on one WebSocket: handshake, operations by id, close codes, heartbeats. What the
//! messages ask for is done behind [`Operations`]; this module knows the protocol only.
//!
//! Written here because the one that comes with async-graphql 8.0.0-rc.5 answers other close codes than the protocol
//! demands, has no time limit for the handshake, and never sends `error`.

use std::{borrow::Cow, collections::HashMap, future::Future, pin::pin, time::Duration};

use async_graphql::{Request, Response, ServerError};
use axum::{
    body::Bytes,
    extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket},
    http::{HeaderMap, HeaderName, HeaderValue},
};
use futures::{
    StreamExt,
    stream::{AbortHandle, BoxStream, SelectAll, abortable, once},
};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    error::{self, DoorCode, Error},
    in_force::InForce,
    request,
    respond::Body,
};

/// The name of the protocol.
pub(crate) const PROTOCOL: &str = "graphql-transport-ws";

/// How long the caller may take to say who it is.
const INIT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a silent peer is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(30);
/// A peer that was not heard of for so long is gone.
const SILENCE: Duration = Duration::from_secs(75);
/// A peer that takes nothing for so long is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the peer of a closed conversation may take to say that it heard so.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How many operations may run at once on one socket.
const MAX_OPERATIONS: usize = 100;
/// The longest id of an operation, in bytes.
const MAX_ID_BYTES: usize = 256;
/// The longest reason of a close frame (RFC 6455, section 5.5), in bytes.
const MAX_REASON_BYTES: usize = 123;

/// The close code of an endpoint that goes away (RFC 6455, section 7.4.1).
const GOING_AWAY: u16 = 1001;

/// What the protocol needs of the rest of the door.
pub(crate) trait Operations: Clone + Send + Sync + 'static {
    /// Who asks.
    type Caller: Clone + Send + Sync + 'static;

    /// Recognises the caller by headers, or by a `connection_init` that carries the same names.
    fn admit(&self, headers: &HeaderMap) -> impl Future<Output = Result<Self::Caller, ServerError>> + Send;

    /// Runs one operation; the stream ends with it. An answer that is a request error is the last. A subscription tells when
    /// it is in force.
    fn run(&self, caller: &Self::Caller, request: Request, in_force: InForce) -> BoxStream<'static, Response>;

    /// Resolves when the process stops.
    fn stopping(&self) -> impl Future<Output = ()> + Send;

    /// Resolves when a connection of the caller must end.
    fn ended(&self, caller: &Self::Caller) -> impl Future<Output = Ended> + Send;
}

/// Why a live connection must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The session, user or key of its caller is gone.
    CallerGone,
    /// The process stops; the caller may come back to another, or to this one when it runs again.
    Stopping,
}

/// How a conversation ends.
#[derive(Debug)]
enum End {
    /// The peer is no longer there.
    Gone,
    /// We close.
    Close(u16, Cow<'static, str>),
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum FromClient {
    ConnectionInit {
        #[serde(default)]
        payload: serde_json::Value,
    },
    Subscribe {
        id: String,
        payload: serde_json::Value,
    },
    Complete {
        id: String,
    },
    Ping {
        #[serde(default)]
        payload: Option<serde_json::Value>,
    },
    Pong {},
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum FromServer<'a> {
    ConnectionAck,
    Next {
        id: &'a str,
        payload: Body<'a>,
    },
    Error {
        id: &'a str,
        payload: &'a [ServerError],
    },
    Complete {
        id: &'a str,
    },
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<serde_json::Value>,
    },
}

/// Talks with one peer until either side is done. `headers` are those of the upgrade request.
pub(crate) async fn serve<D: Operations>(mut socket: WebSocket, door: D, headers: HeaderMap) {
    let end = if socket.protocol().and_then(|name| name.to_str().ok()) == Some(PROTOCOL) {
        converse(&mut socket, &door, headers).await
    } else {
        End::Close(4406, "Subprotocol not acceptable".into())
    };
    if let End::Close(code, reason) = end {
        close(&mut socket, CloseFrame { code, reason: shortened(&reason) }).await;
    }
}

/// Tells the peer that the conversation is over, and waits until it has heard so (RFC 6455, section 7.1.1). A connection that
/// is dropped while messages of the peer are unread is reset by the operating system, and the frame may be lost with it.
async fn close(socket: &mut WebSocket, frame: CloseFrame) {
    // A peer that is gone already cannot be told.
    if send(socket, Message::Close(Some(frame))).await.is_ok() {
        let heard = async { while let Some(Ok(_)) = socket.recv().await {} };
        // One that says nothing more has had its time.
        drop(timeout(CLOSE_TIMEOUT, heard).await);
    }
}

fn shortened(reason: &str) -> Utf8Bytes {
    let mut end = reason.len().min(MAX_REASON_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.get(..end).unwrap_or_default().into()
}

async fn converse<D: Operations>(socket: &mut WebSocket, door: &D, headers: HeaderMap) -> End {
    // On the heap, or every socket would keep room for it to its end.
    let handshake = Box::pin(handshake(socket, door, headers));
    let greeted = tokio::select! {
        greeted = timeout(INIT_TIMEOUT, handshake) => greeted,
        () = door.stopping() => return going_away(),
    };
    let caller = match greeted {
        Ok(Ok(caller)) => caller,
        Ok(Err(end)) => return end,
        Err(_) => return End::Close(4408, "Connection initialisation timeout".into()),
    };
    let mut ended = pin!(door.ended(&caller));
    let mut heartbeat = interval(PING_EVERY);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    let mut running = Running::default();
    loop {
        let step = tokio::select! {
            ended = &mut ended => return match ended {
                Ended::CallerGone => End::Close(4403, "Forbidden".into()),
                Ended::Stopping => running.finish(socket).await,
            },
            _ = heartbeat.tick() => {
                if heard.elapsed() > SILENCE {
                    return End::Gone;
                }
                send(socket, Message::Ping(Bytes::new())).await
            }
            message = receive(socket) => {
                heard = Instant::now();
                match message {
                    Ok(message) => running.take(socket, door, &caller, message).await,
                    Err(end) => Err(end),
                }
            }
            Some((id, answer)) = running.answers.next() => running.tell(socket, id, answer).await,
        };
        if let Err(end) = step {
            return end;
        }
    }
}

async fn handshake<D: Operations>(socket: &mut WebSocket, door: &D, headers: HeaderMap) -> Result<D::Caller, End> {
    loop {
        match receive(socket).await? {
            None | Some(FromClient::Pong {}) => {}
            Some(FromClient::Ping { payload }) => say(socket, &FromServer::Pong { payload }).await?,
            Some(FromClient::ConnectionInit { payload }) => {
                let headers = with_payload(headers, payload)?;
                let caller = door.admit(&headers).await.map_err(|error| End::Close(4403, code_of(&error).into()))?;
                say(socket, &FromServer::ConnectionAck).await?;
                return Ok(caller);
            }
            Some(FromClient::Subscribe { .. }) => return Err(End::Close(4401, "Unauthorized".into())),
            Some(FromClient::Complete { .. }) => return Err(invalid("`complete` before `connection_init`")),
        }
    }
}

/// The code of a refusal, which the reason of the close frame tells.
fn code_of(error: &ServerError) -> String {
    match error.extensions.as_ref().and_then(|values| values.get("code")) {
        Some(async_graphql::Value::String(code)) => code.clone(),
        _ => "FORBIDDEN".to_owned(),
    }
}

/// The headers of the upgrade request with those of `connection_init` in their place.
fn with_payload(mut headers: HeaderMap, payload: serde_json::Value) -> Result<HeaderMap, End> {
    let members = match payload {
        serde_json::Value::Null => return Ok(headers),
        serde_json::Value::Object(members) => members,
        _ => return Err(invalid("the payload of `connection_init` is no object")),
    };
    for (name, value) in members {
        // Members that cannot be headers are the client's own business.
        if let (Ok(name), Some(Ok(value))) =
            (HeaderName::try_from(name), value.as_str().map(HeaderValue::from_str))
            // Who the browser says the page is cannot be told by the page.
            && name != axum::http::header::ORIGIN
        {
            headers.insert(name, value);
        }
    }
    Ok(headers)
}

fn going_away() -> End {
    End::Close(GOING_AWAY, "Going away".into())
}

fn invalid(text: impl Into<Cow<'static, str>>) -> End {
    End::Close(4400, text.into())
}

/// The next message; none for frames that are not ours to answer.
async fn receive(socket: &mut WebSocket) -> Result<Option<FromClient>, End> {
    match socket.recv().await {
        Some(Ok(Message::Text(text))) => {
            serde_json::from_str(&text).map(Some).map_err(|error| invalid(format!("Invalid message: {error}")))
        }
        Some(Ok(Message::Binary(_))) => Err(invalid("Messages are text")),
        // axum answers pings itself.
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
        Some(Ok(Message::Close(_)) | Err(_)) | None => Err(End::Gone),
    }
}

async fn send(socket: &mut WebSocket, message: Message) -> Result<(), End> {
    match timeout(SEND_TIMEOUT, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(End::Gone),
    }
}

async fn say(socket: &mut WebSocket, message: &FromServer<'_>) -> Result<(), End> {
    let text = serde_json::to_string(message).map_err(|error| {
        tracing::error!(%error, "a GraphQL answer could not be written");
        End::Close(1011, "Internal error".into())
    })?;
    send(socket, Message::text(text)).await
}

/// The operations that run on a socket.
#[derive(Default)]
struct Running {
    /// Answers with the id they belong to; none when the operation is over.
    answers: SelectAll<BoxStream<'static, (String, Option<Response>)>>,
    stops: HashMap<String, AbortHandle>,
    /// Cancelled when no more operations begin.
    finishing: CancellationToken,
}

impl Running {
    async fn take<D: Operations>(
        &mut self,
        socket: &mut WebSocket,
        door: &D,
        caller: &D::Caller,
        message: Option<FromClient>,
    ) -> Result<(), End> {
        match message {
            None | Some(FromClient::Pong {}) => Ok(()),
            Some(FromClient::Ping { payload }) => say(socket, &FromServer::Pong { payload }).await,
            Some(FromClient::ConnectionInit { .. }) => Err(End::Close(4429, "Too many initialisation requests".into())),
            Some(FromClient::Complete { id }) => {
                if let Some(stop) = self.stops.remove(&id) {
                    stop.abort();
                }
                Ok(())
            }
            Some(FromClient::Subscribe { id, payload }) => {
                if id.is_empty() || id.len() > MAX_ID_BYTES {
                    return Err(invalid(format!("the id of an operation has 1 to {MAX_ID_BYTES} bytes")));
                }
                if self.stops.contains_key(&id) {
                    let id = id.get(..40.min(id.len())).unwrap_or_default();
                    return Err(End::Close(4409, format!("Subscriber for {id} already exists").into()));
                }
                if self.stops.len() >= MAX_OPERATIONS {
                    let text = format!("At most {MAX_OPERATIONS} operations run at once on one socket.");
                    let error = Error::door(DoorCode::TooManyOperations, text).into_server_error();
                    return say(socket, &FromServer::Error { id: &id, payload: &[error] }).await;
                }
                let request = request::from_json(payload).map_err(|malformed| invalid(malformed.message))?;
                let in_force = InForce::default();
                self.start(id, door.run(caller, request, in_force.clone()), in_force);
                Ok(())
            }
        }
    }

    fn start(&mut self, id: String, answers: BoxStream<'static, Response>, in_force: InForce) {
        let (answers, stop) = abortable(answers.map(Some).chain(once(async { None })));
        self.stops.insert(id.clone(), stop);
        let finishing = self.finishing.clone();
        let left = async move {
            finishing.cancelled().await;
            in_force.told().await;
        };
        self.answers.push(answers.map(move |answer| (id.clone(), answer)).take_until(left).boxed());
    }

    /// The process stops. What answers once is answered first, within the time that an operation has. Subscriptions are not
    /// completed, so that the caller follows them elsewhere.
    async fn finish(&mut self, socket: &mut WebSocket) -> End {
        self.finishing.cancel();
        while let Some((id, answer)) = self.answers.next().await {
            if let Err(end) = self.tell(socket, id, answer).await {
                return end;
            }
        }
        going_away()
    }

    async fn tell(&mut self, socket: &mut WebSocket, id: String, answer: Option<Response>) -> Result<(), End> {
        // A stopped operation yields nothing more, so this answer belongs to the operation that holds the id now.
        let Some(answer) = answer else {
            self.stops.remove(&id);
            return say(socket, &FromServer::Complete { id: &id }).await;
        };
        if error::is_request_error(&answer) {
            if let Some(stop) = self.stops.remove(&id) {
                stop.abort();
            }
            return say(socket, &FromServer::Error { id: &id, payload: &answer.errors }).await;
        }
        say(socket, &FromServer::Next { id: &id, payload: Body(&answer) }).await
    }
}

#[cfg(test)]
mod tests;
