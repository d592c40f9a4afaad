//! Answers as server-sent events: the protocol `graphql-sse` in its distinct connections mode. Each answer is an event
//! `next`; `complete` ends the operation. When the caller's session is gone, a last `next` carries the error.
//!
//! The head of the answer to a subscription is sent when it is in force: whoever has it hears of everything that happens
//! from then on.

use std::{convert::Infallible, future::Future, pin::Pin, time::Duration};

use async_graphql::{Request, Response};
use axum::{
    body::{Body as HttpBody, Bytes},
    http::{HeaderValue, header},
};
use futures::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use postern_domain::{Code, Failure};
use tokio_util::sync::CancellationToken;

use super::{
    error,
    respond::Body,
    socket::{Ended, Operations},
};
use crate::telemetry::Alive;

/// How often a silent stream sends a comment, so that nobody in between takes it for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(12);

/// A subscription tells by it, from the data of its request, that it is in force. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct InForce(CancellationToken);

impl InForce {
    /// Whatever happens from now on is heard.
    pub(crate) fn tell(&self) {
        self.0.cancel();
    }
}

/// The answer to an operation that is read as events.
pub(crate) async fn answer<D: Operations>(door: D, caller: D::Caller, request: Request) -> axum::response::Response {
    let in_force = InForce::default();
    let answers = door.run(&caller, request.data(in_force.clone()));
    let ended = Box::pin(async move {
        let _alive = Alive::connection("sse");
        door.ended(&caller).await
    });
    let events = begun(Box::pin(events(answers, ended)), &in_force).await;
    let mut response = axum::response::Response::new(HttpBody::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, max-age=0"));
    // nginx would else hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// The same events, once there is one or the subscription is in force. The first [`KEEP_ALIVE`] bounds the wait.
async fn begun<S: Stream + Unpin>(events: S, in_force: &InForce) -> impl Stream<Item = S::Item> + use<S> {
    let mut events = events.fuse();
    let first = tokio::select! {
        first = events.next() => first,
        () = in_force.0.cancelled() => None,
    };
    stream::iter(first).chain(events)
}

enum State {
    Running { answers: BoxStream<'static, Response>, ended: Pin<Box<dyn Future<Output = Ended> + Send>> },
    Completing,
    Over,
}

fn events(
    answers: BoxStream<'static, Response>,
    ended: Pin<Box<dyn Future<Output = Ended> + Send>>,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(State::Running { answers, ended }, async |state| match state {
        State::Running { mut answers, mut ended } => {
            let answer = tokio::select! {
                ended = &mut ended => return match ended {
                    Ended::CallerGone => Some((next(&session_gone()), State::Completing)),
                    // Without `complete`, so that the caller comes back.
                    Ended::Stopping => None,
                },
                () = tokio::time::sleep(KEEP_ALIVE) => {
                    return Some((Bytes::from_static(b":\n\n"), State::Running { answers, ended }));
                }
                answer = answers.next() => answer,
            };
            match answer {
                Some(answer) if error::is_request_error(&answer) => Some((next(&answer), State::Completing)),
                Some(answer) => Some((next(&answer), State::Running { answers, ended })),
                None => Some((complete(), State::Over)),
            }
        }
        State::Completing => Some((complete(), State::Over)),
        State::Over => None,
    })
    .map(Ok)
}

fn next(answer: &Response) -> Bytes {
    // JSON is one line: line ends within texts are escaped.
    let mut event = b"event: next\ndata: ".to_vec();
    if let Err(error) = serde_json::to_writer(&mut event, &Body(answer)) {
        tracing::error!(%error, "a GraphQL answer could not be written");
        return complete();
    }
    event.extend_from_slice(b"\n\n");
    event.into()
}

/// With an empty `data`: browsers drop events that have none.
fn complete() -> Bytes {
    Bytes::from_static(b"event: complete\ndata: \n\n")
}

/// What the caller is told when its session, user or key is gone.
fn session_gone() -> Response {
    let failure = Failure::new(Code::AccessTokenExpired, "The session, user or key of this connection is gone.");
    Response::from_errors(vec![error::Error::from(failure).into_server_error()])
}

#[cfg(test)]
mod tests {
    use async_graphql::{ServerError, value};
    use futures::future;

    use super::*;

    async fn text(
        answers: BoxStream<'static, Response>,
        ended: impl Future<Output = Ended> + Send + 'static,
    ) -> String {
        let parts: Vec<_> = events(answers, Box::pin(ended)).map(|part| part.unwrap()).collect().await;
        String::from_utf8(parts.concat()).unwrap()
    }

    #[tokio::test]
    async fn answers_come_as_next_and_end_with_complete() {
        let told = text(stream::iter([Response::new(value!({"a": "1\n2"}))]).boxed(), future::pending()).await;
        assert_eq!(told, "event: next\ndata: {\"data\":{\"a\":\"1\\n2\"}}\n\nevent: complete\ndata: \n\n");
    }

    #[tokio::test]
    async fn the_head_waits_for_the_first_event_or_until_the_subscription_is_in_force() {
        let in_force = InForce::default();
        let first = begun(Box::pin(stream::once(future::ready(1))), &in_force).await;
        assert_eq!(first.collect::<Vec<_>>().await, [1]);
        assert_eq!(begun(stream::empty::<u8>(), &in_force).await.collect::<Vec<_>>().await, [0; 0]);
        let mut waiting = Box::pin(begun(stream::pending::<u8>(), &in_force));
        assert!(futures::poll!(&mut waiting).is_pending());
        in_force.tell();
        assert!(futures::poll!(&mut waiting).is_ready());
    }

    #[tokio::test]
    async fn a_request_error_is_the_last_answer() {
        let answers =
            stream::iter([Response::from_errors(vec![ServerError::new("no", None)])]).chain(stream::pending());
        let told = text(answers.boxed(), future::pending()).await;
        assert_eq!(told, "event: next\ndata: {\"errors\":[{\"message\":\"no\"}]}\n\nevent: complete\ndata: \n\n");
    }

    #[tokio::test]
    async fn a_lost_session_is_told_then_the_stream_ends() {
        let told = text(stream::pending().boxed(), future::ready(Ended::CallerGone)).await;
        assert!(told.contains("ACCESS_TOKEN_EXPIRED") && told.ends_with("event: complete\ndata: \n\n"), "{told}");
    }

    #[tokio::test]
    async fn a_stopping_process_ends_the_stream_without_completing_it() {
        assert_eq!(text(stream::pending().boxed(), future::ready(Ended::Stopping)).await, "");
    }
}
