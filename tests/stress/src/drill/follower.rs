//! One who follows the event log live and goes on behind the last event it saw whenever the connection ends.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::readback::{CURSORS, all, patiently, position, text};
use crate::stand::Client;

const EVENTS: &str = "subscription($after: String) { events(after: $after) { cursor } }";
/// A connection that said nothing for so long is made anew: a stopped process says nothing.
const SILENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);

/// A running follower; gone when dropped.
#[derive(Debug)]
pub(super) struct Follower {
    from: i64,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    cursor: String,
    positions: Vec<i64>,
}

impl Follower {
    /// Starts behind the last event there is.
    pub(super) async fn start(client: &Client) -> Result<Self> {
        let client = client.server();
        // Making the project left events, which get their places a moment later.
        let cursor = patiently(async || {
            let log = all(&client, CURSORS, None).await?;
            text(log.last().context("a project without any event")?, "cursor")
        })
        .await?;
        let from = position(&cursor)?;
        let seen = Arc::new(Mutex::new(Seen { cursor, positions: Vec::new() }));
        let task = tokio::spawn(follow(client, Arc::clone(&seen)));
        Ok(Self { from, seen, task })
    }

    /// Waits until it has seen the event at `last`, and ends it. Answers behind which position it began, and what it saw.
    pub(super) async fn end(self, last: i64, patience: Duration) -> (i64, Vec<i64>) {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline && lock(&self.seen).positions.last().is_none_or(|seen| *seen < last) {
            sleep(PAUSE).await;
        }
        (self.from, lock(&self.seen).positions.clone())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(client: Client, seen: Arc<Mutex<Seen>>) {
    loop {
        let after = lock(&seen).cursor.clone();
        if let Ok(Ok(mut stream)) = timeout(SILENCE, client.subscribe(EVENTS, json!({"after": after}))).await {
            let mut rest = Vec::new();
            while let Ok(Ok(Some(chunk))) = timeout(SILENCE, stream.chunk()).await {
                rest.extend_from_slice(&chunk);
                take_lines(&mut rest, &seen);
            }
        }
        sleep(PAUSE).await;
    }
}

/// Takes whole lines off the front of what came.
fn take_lines(rest: &mut Vec<u8>, seen: &Mutex<Seen>) {
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line: Vec<u8> = rest.drain(..=end).collect();
        let Some(data) = line.strip_prefix(b"data: ") else { continue };
        let told: Value = serde_json::from_slice(data).unwrap_or_default();
        if let Some(cursor) = told.pointer("/data/events/cursor").and_then(Value::as_str)
            && let Ok(position) = position(cursor)
        {
            let mut seen = lock(seen);
            cursor.clone_into(&mut seen.cursor);
            seen.positions.push(position);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
