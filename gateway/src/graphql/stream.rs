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

use super::{
    error,
    in_force::InForce,
    respond::Body,
    socket::{Ended, Operations},
};
use crate::telemetry::Alive;

/// How often a silent stream sends a comment, so that nobody in between takes it for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(12);
const COMMENT: &[u8] = b":\n\n";

/// The answer to an operation that is read as events.
pub(crate) async fn answer<D: Operations>(door: D, caller: D::Caller, request: Request) -> axum::response::Response {
    let in_force = InForce::default();
    let answers = door.run(&caller, request, in_force.clone());
    let ended = Box::pin(async move {
        let _alive = Alive::connection("sse");
        door.ended(&caller).await
    });
    let events = begun(Box::pin(events(answers, ended, in_force.clone())), &in_force).await;
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
        () = in_force.told() => None,
    };
    stream::iter(first).chain(events)
}

enum State {
    Running {
        answers: BoxStream<'static, Response>,
        ended: Pin<Box<dyn Future<Output = Ended> + Send>>,
    },
    /// The process stops: what answers once is answered first, within the time that an operation has.
    Finishing {
        answers: BoxStream<'static, Response>,
    },
    Completing,
    Over,
}

fn events(
    answers: BoxStream<'static, Response>,
    ended: Pin<Box<dyn Future<Output = Ended> + Send>>,
    in_force: InForce,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold((State::Running { answers, ended }, in_force), async |(state, in_force)| {
        step(state, &in_force).await.map(|(event, state)| (Ok(event), (state, in_force)))
    })
}

/// The next event, and what comes after it.
async fn step(state: State, in_force: &InForce) -> Option<(Bytes, State)> {
    match state {
        State::Running { mut answers, mut ended } => {
            let answer = tokio::select! {
                ended = &mut ended => return match ended {
                    Ended::CallerGone => Some((next(&session_gone()), State::Completing)),
                    // Without `complete`, so that the caller comes back.
                    Ended::Stopping if in_force.is_told() => None,
                    Ended::Stopping => Some((Bytes::from_static(COMMENT), State::Finishing { answers })),
                },
                () = tokio::time::sleep(KEEP_ALIVE) => {
                    return Some((Bytes::from_static(COMMENT), State::Running { answers, ended }));
                }
                answer = answers.next() => answer,
            };
            Some(told(answer, State::Running { answers, ended }))
        }
        State::Finishing { mut answers } => {
            let answer = tokio::select! {
                () = in_force.told() => return None,
                answer = answers.next() => answer,
            };
            Some(told(answer, State::Finishing { answers }))
        }
        State::Completing => Some((complete(), State::Over)),
        State::Over => None,
    }
}

/// The event that tells an answer, or that there are no more.
fn told(answer: Option<Response>, going_on: State) -> (Bytes, State) {
    match answer {
        Some(answer) if error::is_request_error(&answer) => (next(&answer), State::Completing),
        Some(answer) => (next(&answer), going_on),
        None => (complete(), State::Over),
    }
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
        text_of(answers, ended, InForce::default()).await
    }

    async fn text_of(
        answers: BoxStream<'static, Response>,
        ended: impl Future<Output = Ended> + Send + 'static,
        in_force: InForce,
    ) -> String {
        let parts: Vec<_> = events(answers, Box::pin(ended), in_force).map(|part| part.unwrap()).collect().await;
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
    async fn a_stopping_process_ends_a_subscription_without_completing_it() {
        let in_force = InForce::default();
        in_force.tell();
        assert_eq!(text_of(stream::pending().boxed(), future::ready(Ended::Stopping), in_force).await, "");
        // One that comes into force only then.
        let in_force = InForce::default();
        let late = in_force.clone();
        let answers = stream::once(async move { late.tell() }).filter_map(|()| future::pending());
        let told = text_of(answers.boxed(), future::ready(Ended::Stopping), in_force).await;
        assert!(["", ":\n\n"].contains(&told.as_str()), "{told}");
    }

    #[tokio::test]
    async fn a_stopping_process_answers_what_answers_once() {
        let (go, begun) = tokio::sync::oneshot::channel();
        let answers = stream::once(async move { begun.await.unwrap() }).boxed();
        let ended = async move {
            // Only after it was told that the process stops.
            tokio::spawn(async move { go.send(Response::new(value!({"a": 1}))).unwrap() });
            Ended::Stopping
        };
        let told = text(answers, ended).await;
        assert_eq!(told, ":\n\nevent: next\ndata: {\"data\":{\"a\":1}}\n\nevent: complete\ndata: \n\n");
    }
}
