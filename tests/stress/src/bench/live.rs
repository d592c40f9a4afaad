//! Subscriptions over WebSockets: what ten thousand idle ones hold in memory, and how long an event takes to reach a
//! thousand.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    sync::mpsc,
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use super::{
    compare::Spread,
    report::{Budget, Row},
    scene::Scene,
};

const IDLE: usize = 10_000;
const FOLLOWERS: usize = 1_000;
/// Sockets that are being opened at the same time.
const OPENING: usize = 64;
const PATIENCE: Duration = Duration::from_secs(60);
const MEGABYTE: f64 = 1e6;

/// All figures about subscriptions; starts the gateway anew for each, so that nothing earlier counts.
pub(crate) async fn measure(scene: &mut Scene, rounds: usize) -> Result<Vec<Row>> {
    Ok(vec![fan_out(scene, rounds).await?, idle(scene).await?])
}

/// One event to a thousand subscribers.
async fn fan_out(scene: &mut Scene, rounds: usize) -> Result<Row> {
    restart(scene).await?;
    let keys = &scene.stand.project;
    let caller = json!({ "x-stack-access-type": "server", "x-stack-project-id": keys.project_id,
        "x-stack-secret-server-key": keys.server });
    let query = r#"subscription { events(types: ["user.updated"]) { type payload } }"#;
    let callers = vec![caller; FOLLOWERS];
    let (told, mut heard) = mpsc::unbounded_channel();
    let _sockets = follow(scene, callers, query, told).await?;
    let server = scene.stand.client().server();
    let path = format!("/users/{}", scene.people.first().context("nobody to change")?.id);
    let mut slowest = Vec::new();
    // The first one warms up.
    for round in 0..=rounds {
        let sent = Instant::now();
        server.patch(&path, &json!({ "display_name": format!("Person {round}") })).await?.json()?;
        let mut last = sent;
        for _ in 0..FOLLOWERS {
            last = timeout(PATIENCE, heard.recv())
                .await
                .context("an event did not reach everybody")?
                .context("no socket")?;
        }
        if round > 0 {
            slowest.push((last - sent).as_secs_f64() * 1000.0);
        }
    }
    let notes = format!(
        "{FOLLOWERS} sockets, one `events` subscription each with its payload; from the PATCH to the last of them"
    );
    let row = Row::plain("an event reaches 1,000 subscribers", Spread::of(slowest).context("no round")?, "ms", notes);
    Ok(row.budget(Budget::AtMost(1000.0)))
}

/// Ten thousand subscriptions without an event.
async fn idle(scene: &mut Scene) -> Result<Row> {
    restart(scene).await?;
    let before = scene.gateway()?.rss_bytes()? as f64;
    let project = &scene.stand.project;
    let callers = scene.people.iter().cycle().take(IDLE).map(|person| {
        json!({ "x-stack-access-type": "client", "x-stack-project-id": project.project_id,
            "x-stack-publishable-client-key": project.client, "x-stack-access-token": person.access_token })
    });
    let (told, _heard) = mpsc::unbounded_channel();
    let sockets = follow(scene, callers.collect(), "subscription { myEvents { type } }", told).await?;
    ensure!(sockets.len() == IDLE, "only {} sockets live", sockets.len());
    let after = scene.gateway()?.rss_bytes()? as f64;
    let notes = format!(
        "{IDLE} sockets of 64 users, one `myEvents` subscription each; {:.0} MB before, {:.1} KB for each",
        before / MEGABYTE,
        (after - before) / IDLE as f64 / 1000.0
    );
    let value = Spread { median: after / MEGABYTE, low: after / MEGABYTE, high: after / MEGABYTE };
    Ok(Row::plain("memory with 10,000 idle subscriptions", value, "MB", notes).budget(Budget::AtMost(300.0)))
}

async fn restart(scene: &mut Scene) -> Result<()> {
    let gateway = scene.stand.gateways.first_mut().context("no gateway")?;
    gateway.stop().await?;
    gateway.start().await
}

/// One socket for each caller, with one subscription that has begun. When an event arrives, its instant goes to `told`.
async fn follow(
    scene: &Scene,
    callers: Vec<Value>,
    query: &str,
    told: mpsc::UnboundedSender<Instant>,
) -> Result<JoinSet<()>> {
    let (address, query) = (scene.address()?.to_string(), Arc::<str>::from(query));
    let mut sockets = JoinSet::new();
    let mut opening = futures::stream::iter(callers)
        .map(|caller| open(address.clone(), caller, Arc::clone(&query)))
        .buffer_unordered(OPENING);
    while let Some(socket) = opening.next().await {
        sockets.spawn(listen(socket?, told.clone()));
    }
    Ok(sockets)
}

async fn open(address: String, caller: Value, query: Arc<str>) -> Result<WebSocketStream<TcpStream>> {
    let mut request = format!("ws://{address}/graphql").into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse()?);
    let (mut socket, _) = client_async(request, TcpStream::connect(&address).await?).await?;
    say(&mut socket, json!({ "type": "connection_init", "payload": caller })).await?;
    hear(&mut socket, "connection_ack").await?;
    say(&mut socket, json!({ "type": "subscribe", "id": "1", "payload": { "query": &*query } })).await?;
    // Answered in order: with it the subscription has begun.
    say(&mut socket, json!({ "type": "ping" })).await?;
    hear(&mut socket, "pong").await?;
    Ok(socket)
}

async fn say(socket: &mut WebSocketStream<TcpStream>, message: Value) -> Result<()> {
    Ok(socket.send(Message::text(message.to_string())).await?)
}

async fn hear(socket: &mut WebSocketStream<TcpStream>, kind: &str) -> Result<()> {
    loop {
        let message = timeout(PATIENCE, socket.next()).await?.context("the socket was closed")??;
        if let Message::Text(text) = message {
            let heard: Value = serde_json::from_str(&text)?;
            ensure!(heard.get("type").and_then(Value::as_str) == Some(kind), "{kind} was expected, not {heard}");
            return Ok(());
        }
    }
}

/// Reads to the end; the library answers the server's pings meanwhile.
async fn listen(mut socket: WebSocketStream<TcpStream>, told: mpsc::UnboundedSender<Instant>) {
    while let Some(Ok(message)) = socket.next().await {
        let is_event = matches!(&message, Message::Text(text) if text.contains(r#""next""#));
        if is_event && told.send(Instant::now()).is_err() {
            return;
        }
    }
}
