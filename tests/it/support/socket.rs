//! A GraphQL client on a WebSocket.
#![expect(clippy::panic, reason = "a test that hears something else than it expects has failed")]

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use super::App;

/// Longer than anything here may take: a session that ended is noticed within 10 s even without a signal.
const PATIENCE: Duration = Duration::from_secs(15);

/// One `graphql-transport-ws` connection.
pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Connects, without saying who asks.
    pub(crate) async fn open(url: &str) -> Self {
        // The first operation of a gateway has its schema made. A subscription that waits for that comes into force later than
        // what a test does next, and nothing on a socket tells when it does.
        postern::wiring::install_crypto_provider();
        let query = reqwest::Client::new().post(format!("{url}/graphql")).header("content-type", "application/json");
        query.body(r#"{"query": "{ __typename }"}"#).send().await.unwrap();
        let mut request = format!("{}/graphql", url.replace("http", "ws")).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        Self(connect_async(request).await.unwrap().0)
    }

    /// Connects as the caller of these headers.
    pub(crate) async fn connect(app: &App, headers: Value) -> Self {
        Self::connect_at(&app.url, headers).await
    }

    /// The same at another gateway.
    pub(crate) async fn connect_at(url: &str, headers: Value) -> Self {
        let mut socket = Self::open(url).await;
        socket.say(json!({"type": "connection_init", "payload": headers})).await;
        assert_eq!(socket.hear().await["type"], "connection_ack");
        socket
    }

    pub(crate) async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    pub(crate) async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({"query": query, "variables": variables});
        self.say(json!({"type": "subscribe", "id": id, "payload": payload})).await;
    }

    async fn next(&mut self) -> Message {
        loop {
            match timeout(PATIENCE, self.0.next()).await.unwrap().unwrap().unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }

    pub(crate) async fn hear(&mut self) -> Value {
        match self.next().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The data of the next answer.
    pub(crate) async fn hear_data(&mut self) -> Value {
        let heard = self.hear().await;
        assert!(heard["type"] == "next" && heard["payload"].get("errors").is_none(), "{heard}");
        heard["payload"]["data"].clone()
    }

    /// Reads on until the server closes, and answers the close code.
    pub(crate) async fn closed(mut self) -> u16 {
        loop {
            match self.next().await {
                Message::Close(Some(frame)) => return frame.code.into(),
                Message::Text(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
