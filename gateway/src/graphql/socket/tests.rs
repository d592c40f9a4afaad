//! The protocol against a door that answers from the text of the query alone.

use std::sync::Arc;

use async_graphql::value;
use axum::{Router, extract::WebSocketUpgrade, routing::get};
use futures::{SinkExt, stream};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, client::IntoClientRequest},
};

use super::*;

#[derive(Clone, Default)]
struct FakeDoor {
    gone: Arc<Notify>,
    stop: Arc<Notify>,
    /// When the answer to `late` comes.
    late: Arc<Notify>,
}

impl Operations for FakeDoor {
    type Caller = String;

    async fn admit(&self, headers: &HeaderMap) -> Result<String, ServerError> {
        match headers.get("x-stack-project-id") {
            Some(project) => Ok(project.to_str().unwrap().to_owned()),
            None => {
                let failure = postern_domain::Failure::new(postern_domain::Code::AccessTypeRequired, "who?");
                Err(Error::from(failure).into_server_error())
            }
        }
    }

    fn run(&self, caller: &String, request: Request, in_force: InForce) -> BoxStream<'static, Response> {
        let answer = Response::new(value!({ "caller": (caller.clone()) }));
        match request.query.as_str() {
            "once" => once(async { answer }).boxed(),
            "forever" => {
                in_force.tell();
                once(async { answer }).chain(stream::pending()).boxed()
            }
            "late" => {
                let late = self.late.clone();
                once(async move {
                    late.notified().await;
                    answer
                })
                .boxed()
            }
            _ => once(async { Response::from_errors(vec![ServerError::new("no", None)]) })
                .chain(once(async { panic!("an answer after a request error was asked for") }))
                .boxed(),
        }
    }

    async fn stopping(&self) {
        self.stop.notified().await;
    }

    async fn ended(&self, _: &String) -> Ended {
        tokio::select! {
            () = self.gone.notified() => Ended::CallerGone,
            () = self.stop.notified() => Ended::Stopping,
        }
    }
}

type Client = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

async fn connect_with(door: FakeDoor, protocol: Option<&str>) -> Client {
    let upgrade = move |upgrade: WebSocketUpgrade, headers: HeaderMap| {
        let door = door.clone();
        async move { upgrade.protocols([PROTOCOL]).on_upgrade(move |socket| serve(socket, door, headers)) }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", get(upgrade))).await });
    let mut request = format!("ws://{address}/").into_client_request().unwrap();
    if let Some(protocol) = protocol {
        request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
    }
    connect_async(request).await.unwrap().0
}

async fn connect() -> Client {
    connect_with(FakeDoor::default(), Some(PROTOCOL)).await
}

async fn connected() -> Client {
    let mut client = connect().await;
    say(&mut client, json!({"type": "connection_init", "payload": {"x-stack-project-id": "p", "theirs": 1}})).await;
    assert_eq!(hear(&mut client).await, json!({"type": "connection_ack"}));
    client
}

async fn say(client: &mut Client, message: Value) {
    client.send(tungstenite::Message::text(message.to_string())).await.unwrap();
}

async fn hear(client: &mut Client) -> Value {
    loop {
        match client.next().await.unwrap().unwrap() {
            tungstenite::Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            tungstenite::Message::Close(frame) => panic!("closed: {frame:?}"),
            _ => {}
        }
    }
}

async fn closed(mut client: Client) -> (u16, String) {
    loop {
        match client.next().await.unwrap().unwrap() {
            tungstenite::Message::Close(Some(frame)) => return (frame.code.into(), frame.reason.to_string()),
            tungstenite::Message::Close(None) => panic!("closed without a code"),
            _ => {}
        }
    }
}

fn subscribe(id: &str, query: &str) -> Value {
    json!({"type": "subscribe", "id": id, "payload": {"query": query}})
}

#[tokio::test]
async fn another_protocol_is_not_acceptable() {
    assert_eq!(closed(connect_with(FakeDoor::default(), None).await).await.0, 4406);
}

#[tokio::test]
async fn an_operation_answers_next_then_complete() {
    let mut client = connected().await;
    say(&mut client, subscribe("1", "once")).await;
    assert_eq!(hear(&mut client).await, json!({"type": "next", "id": "1", "payload": {"data": {"caller": "p"}}}));
    assert_eq!(hear(&mut client).await, json!({"type": "complete", "id": "1"}));
    say(&mut client, subscribe("1", "once")).await;
    assert_eq!(hear(&mut client).await["type"], "next", "an id is free again once its operation is over");
}

#[tokio::test]
async fn a_request_error_is_the_last_of_its_id_and_the_socket_lives() {
    let mut client = connected().await;
    say(&mut client, subscribe("1", "bad")).await;
    let heard = hear(&mut client).await;
    assert_eq!((&heard["type"], &heard["payload"][0]["message"]), (&json!("error"), &json!("no")));
    say(&mut client, subscribe("1", "once")).await;
    assert_eq!(hear(&mut client).await["type"], "next");
}

#[tokio::test]
async fn a_stopped_operation_says_nothing_more() {
    let mut client = connected().await;
    say(&mut client, subscribe("1", "forever")).await;
    assert_eq!(hear(&mut client).await["type"], "next");
    say(&mut client, json!({"type": "complete", "id": "1"})).await;
    say(&mut client, subscribe("1", "once")).await;
    assert_eq!(hear(&mut client).await["type"], "next");
    assert_eq!(hear(&mut client).await["type"], "complete");
}

#[tokio::test]
async fn pings_are_answered_before_and_after_the_handshake() {
    let mut client = connect().await;
    say(&mut client, json!({"type": "ping"})).await;
    assert_eq!(hear(&mut client).await, json!({"type": "pong"}));
    let mut client = connected().await;
    say(&mut client, json!({"type": "ping", "payload": {"a": 1}})).await;
    assert_eq!(hear(&mut client).await, json!({"type": "pong", "payload": {"a": 1}}));
    say(&mut client, json!({"type": "pong"})).await;
    say(&mut client, subscribe("1", "once")).await;
    assert_eq!(hear(&mut client).await["type"], "next");
}

#[tokio::test]
async fn breaches_of_the_protocol_close_with_their_code() {
    let cases = [
        (vec![subscribe("1", "once")], 4401),
        (vec![json!({"type": "nope"})], 4400),
        (vec![json!({"type": "connection_init", "payload": 1})], 4400),
        (vec![json!({"type": "complete", "id": "1"})], 4400),
    ];
    for (messages, code) in cases {
        let mut client = connect().await;
        for message in messages {
            say(&mut client, message).await;
        }
        assert_eq!(closed(client).await.0, code);
    }
    let cases = [
        (vec![json!({"type": "connection_init"})], 4429),
        (vec![subscribe("1", "forever"), subscribe("1", "forever")], 4409),
        (vec![json!({"type": "subscribe", "id": "1", "payload": {}})], 4400),
        (vec![json!({"type": "subscribe", "payload": {"query": "once"}})], 4400),
        (vec![subscribe("", "once")], 4400),
    ];
    for (messages, code) in cases {
        let mut client = connected().await;
        for message in messages {
            say(&mut client, message).await;
        }
        assert_eq!(closed(client).await.0, code);
    }
    let mut client = connected().await;
    client.send(tungstenite::Message::binary(b"{}".to_vec())).await.unwrap();
    assert_eq!(closed(client).await.0, 4400);
}

#[tokio::test]
async fn who_is_not_admitted_learns_the_code() {
    let mut client = connect().await;
    say(&mut client, json!({"type": "connection_init"})).await;
    assert_eq!(closed(client).await, (4403, "ACCESS_TYPE_REQUIRED".to_owned()));
}

#[tokio::test]
async fn a_lost_session_closes_with_4403_and_a_stopping_process_with_1001() {
    for (gone, code) in [(true, 4403), (false, 1001)] {
        let door = FakeDoor::default();
        let mut client = connect_with(door.clone(), Some(PROTOCOL)).await;
        say(&mut client, json!({"type": "connection_init", "payload": {"x-stack-project-id": "p"}})).await;
        hear(&mut client).await;
        say(&mut client, subscribe("1", "forever")).await;
        hear(&mut client).await;
        if gone { &door.gone } else { &door.stop }.notify_one();
        assert_eq!(closed(client).await.0, code);
    }
}

#[tokio::test]
async fn who_has_not_said_yet_who_it_is_hears_that_the_process_stops() {
    let door = FakeDoor::default();
    let mut client = connect_with(door.clone(), Some(PROTOCOL)).await;
    say(&mut client, json!({"type": "ping"})).await;
    assert_eq!(hear(&mut client).await["type"], "pong", "the handshake has begun");
    door.stop.notify_one();
    assert_eq!(closed(client).await.0, 1001);
}

#[tokio::test]
async fn a_stopping_process_answers_what_answers_once_before_it_goes_away() {
    let door = FakeDoor::default();
    let mut client = connect_with(door.clone(), Some(PROTOCOL)).await;
    say(&mut client, json!({"type": "connection_init", "payload": {"x-stack-project-id": "p"}})).await;
    hear(&mut client).await;
    say(&mut client, subscribe("1", "forever")).await;
    hear(&mut client).await;
    say(&mut client, subscribe("2", "late")).await;
    say(&mut client, json!({"type": "ping"})).await;
    assert_eq!(hear(&mut client).await["type"], "pong", "all before it was taken");
    door.stop.notify_one();
    // Once the process stops nothing that comes is read any more; it may hear of that after this.
    say(&mut client, json!({"type": "ping"})).await;
    door.late.notify_one();
    let mut heard = Vec::new();
    while heard.len() < 2 {
        heard.extend(Some(hear(&mut client).await).filter(|heard| heard["type"] != "pong"));
    }
    assert_eq!((&heard[0]["type"], &heard[0]["id"]), (&json!("next"), &json!("2")));
    assert_eq!(heard[1], json!({"type": "complete", "id": "2"}));
    assert_eq!(closed(client).await.0, 1001);
}

#[tokio::test]
async fn operations_at_once_are_bounded() {
    let mut client = connected().await;
    for id in 0..=MAX_OPERATIONS {
        say(&mut client, subscribe(&id.to_string(), "forever")).await;
    }
    let mut refused = None;
    for _ in 0..=MAX_OPERATIONS {
        let heard = hear(&mut client).await;
        if heard["type"] == "error" {
            refused = Some(heard);
        }
    }
    let refused = refused.unwrap();
    assert_eq!(refused["payload"][0]["extensions"]["code"], "TOO_MANY_OPERATIONS");
}

#[tokio::test]
async fn a_peer_that_was_still_talking_hears_why_it_was_closed() {
    let mut client = connect().await;
    say(&mut client, json!({"type": "nope"})).await;
    // More than the buffers of both sides hold: a connection that is dropped with some of it unread is reset.
    let long = json!({"type": "ping", "payload": {"long": "x".repeat(64 * 1024)}});
    for _ in 0..200 {
        say(&mut client, long.clone()).await;
    }
    assert_eq!(closed(client).await.0, 4400);
}

#[tokio::test]
async fn a_peer_that_does_not_say_that_it_heard_is_not_waited_for_forever() {
    let mut client = connect().await;
    say(&mut client, json!({"type": "nope"})).await;
    let mut stream = client.into_inner();
    let mut read = Vec::new();
    // Without the protocol nothing answers the close frame; the server ends the connection by itself.
    tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut read).await.unwrap();
    assert_eq!(read.first(), Some(&0x88), "a close frame (RFC 6455, section 5.2)");
}

#[test]
fn an_origin_in_the_payload_is_not_believed() {
    let from_browser = HeaderMap::from_iter([(axum::http::header::ORIGIN, "https://evil.example".parse().unwrap())]);
    let headers = with_payload(from_browser, json!({"origin": "https://good.example"})).unwrap();
    assert_eq!(headers.get("origin").unwrap(), "https://evil.example");
}

#[test]
fn reasons_fit_a_close_frame() {
    assert_eq!(shortened(&"ä".repeat(100)).as_str().len(), 122);
}
