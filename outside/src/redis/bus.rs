//! Carries signals between the processes of an installation: each publishes what happened in it and hears what happened in
//! the others. Signals that may have been lost on the way are made up for by [`Signal::Missed`].

use std::{convert::Infallible, time::Duration};

use futures::StreamExt;
use postern_domain::signal::{Listener, Signal, Signals};
use redis::{AsyncCommands, Msg};
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{ANSWER_TIMEOUT, CONNECT_TIMEOUT, Link, Redis, RedisFault, within};

/// How many signals one message carries.
const MAX_BATCH: usize = 100;
/// How long to wait before trying again.
const RETRY: Duration = Duration::from_millis(500);
/// How often a connection that says nothing is asked whether it still lives.
const PING_EVERY: Duration = Duration::from_secs(2);

/// What travels.
#[derive(Debug, Serialize, Deserialize)]
struct Message {
    /// The process that sent it, which hears itself too.
    from: Uuid,
    signals: Vec<Signal>,
}

impl Redis {
    /// Carries signals until `stop`. Whatever fails is tried again.
    #[postern_domain::boxed]
    pub async fn carry(&self, signals: &Signals, stop: &CancellationToken) {
        let me = Uuid::new_v4();
        let work = async { tokio::join!(self.publish(signals.told_here(), me), self.listen(signals, me)) };
        stop.run_until_cancelled(work).await;
    }

    fn channel(&self) -> String {
        format!("{}:signals", self.namespace)
    }

    async fn publish(&self, mut told: Listener, me: Uuid) {
        let channel = self.channel();
        let mut commands = self.commands.clone();
        let mut lost = false;
        loop {
            let signals = if lost {
                sleep(RETRY).await;
                // Whatever was told meanwhile is covered by this one.
                told.skip();
                vec![Signal::Missed]
            } else {
                gather(&mut told).await
            };
            let Ok(text) = serde_json::to_string(&Message { from: me, signals }) else { continue };
            let published = within(ANSWER_TIMEOUT, commands.publish::<_, _, ()>(&channel, text)).await;
            if let Err(why) = &published {
                tracing::debug!(%why, "signals could not be published");
            }
            lost = published.is_err();
        }
    }

    async fn listen(&self, signals: &Signals, me: Uuid) {
        loop {
            let Err(why) = self.listen_once(signals, me).await;
            self.set_link(why.into());
            sleep(RETRY).await;
        }
    }

    /// Hears others until the connection is gone, and says why it is.
    async fn listen_once(&self, signals: &Signals, me: Uuid) -> Result<Infallible, RedisFault> {
        let mut connection = within(CONNECT_TIMEOUT, self.client.get_async_pubsub()).await?;
        within(ANSWER_TIMEOUT, connection.subscribe(self.channel())).await?;
        let (mut asking, mut messages) = connection.split();
        self.set_link(Link::Up);
        // What was told before nobody here has heard.
        signals.hear(Signal::Missed);
        let mut pings = interval(PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) => hear(signals, &message, me),
                    None => return Err(RedisFault::Away("the connection was closed".to_owned())),
                },
                // A server that was stopped, or a network that swallows everything, closes nothing.
                _ = pings.tick() => within(ANSWER_TIMEOUT, asking.ping::<()>()).await?,
            }
        }
    }
}

fn hear(signals: &Signals, message: &Msg, me: Uuid) {
    match serde_json::from_slice::<Message>(message.get_payload_bytes()) {
        Ok(message) if message.from == me => {}
        Ok(message) => message.signals.into_iter().for_each(|signal| signals.hear(signal)),
        Err(error) => {
            tracing::warn!(%error, "a message of another process could not be read");
            signals.hear(Signal::Missed);
        }
    }
}

/// Waits for a signal and takes all others that are there, each once, and only the newest position.
async fn gather(told: &mut Listener) -> Vec<Signal> {
    let mut signals = vec![told.next().await];
    while signals.len() < MAX_BATCH
        && let Some(signal) = told.try_next()
    {
        if matches!(signal, Signal::LogAdvanced { .. }) {
            signals.retain(|known| !matches!(known, Signal::LogAdvanced { .. }));
        }
        if !signals.contains(&signal) {
            signals.push(signal);
        }
    }
    signals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn signals_gather_each_once_with_the_newest_position() {
        let signals = Signals::default();
        let mut told = signals.told_here();
        for position in 1..=3 {
            signals.send(Signal::Jobs);
            signals.send(Signal::LogAdvanced { position });
        }
        assert_eq!(gather(&mut told).await, [Signal::Jobs, Signal::LogAdvanced { position: 3 }]);
    }
}
