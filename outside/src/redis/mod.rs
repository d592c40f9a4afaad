//! Redis: carries wake-ups between the processes of an installation and counts rates for all of them. Nothing lives there
//! that must not be lost: without it everything is as right as with it, only slower.

mod bus;
mod rates;

use std::{fmt, future::Future, time::Duration};

use redis::{
    Client, ErrorKind, RedisError,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tokio::{sync::watch, time::timeout};

pub use rates::SharedRates;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// A Redis server, as one installation uses it. Cheap to clone.
#[derive(Clone)]
pub struct Redis {
    client: Client,
    /// Connects by itself, again and again. Never used for what is subscribed to.
    commands: ConnectionManager,
    /// What every name in the server begins with, so that installations may share one.
    namespace: String,
    link: watch::Sender<Link>,
}

/// How the process stands with Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Not connected yet.
    Connecting,
    /// Connected: signals are heard.
    Up,
    /// Not connected, and why.
    Away(String),
    /// It is there and does not let us in, and why: a wrong password or right, which somebody must put right.
    Refused(String),
}

/// Why Redis cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedisFault {
    /// It will not be different next time: a wrong URL, password or right.
    #[error("{0}")]
    Refused(String),
    /// It may be there later.
    #[error("{0}")]
    Away(String),
}

impl Redis {
    /// A client of the server at `url` (`redis://` or `rediss://`); connects when it is needed. Must be called within a
    /// runtime.
    ///
    /// # Errors
    /// [`RedisFault::Refused`] when the URL is none.
    pub fn new(url: &str, namespace: &str) -> Result<Self, RedisFault> {
        let client = Client::open(url).map_err(|error| RedisFault::Refused(error.to_string()))?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT))
            // Whoever asks falls back at once; the next question tries again.
            .set_number_of_retries(0);
        let commands = ConnectionManager::new_lazy_with_config(client.clone(), config).map_err(fault)?;
        let namespace = format!("postern:{namespace}");
        Ok(Self { client, commands, namespace, link: watch::Sender::new(Link::Connecting) })
    }

    /// Whether the server answers and lets us in.
    ///
    /// # Errors
    /// [`RedisFault`].
    #[postern_domain::boxed]
    pub async fn check(&self) -> Result<(), RedisFault> {
        let ping = async {
            let mut connection = self.client.get_multiplexed_async_connection().await?;
            redis::cmd("PING").query_async::<()>(&mut connection).await
        };
        within(CONNECT_TIMEOUT, ping).await
    }

    /// How the process stands with it now.
    #[must_use]
    pub fn link(&self) -> Link {
        self.link.borrow().clone()
    }

    fn set_link(&self, link: Link) {
        self.link.send_if_modified(|known| {
            let changed = std::mem::discriminant(known) != std::mem::discriminant(&link);
            if changed {
                match &link {
                    Link::Up => tracing::info!("Redis is connected"),
                    Link::Away(why) => {
                        tracing::warn!(why, "Redis is away: everything goes on, more slowly; trying again");
                    }
                    Link::Refused(why) => {
                        tracing::warn!(why, "Redis refuses us: everything goes on, more slowly; trying again");
                    }
                    Link::Connecting => {}
                }
            }
            *known = link;
            changed
        });
    }
}

impl fmt::Debug for Redis {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("link", &self.link()).finish_non_exhaustive()
    }
}

impl From<RedisFault> for Link {
    fn from(fault: RedisFault) -> Self {
        match fault {
            RedisFault::Refused(why) => Self::Refused(why),
            RedisFault::Away(why) => Self::Away(why),
        }
    }
}

/// The answer, if it comes within this time.
async fn within<T>(time: Duration, asked: impl Future<Output = Result<T, RedisError>>) -> Result<T, RedisFault> {
    match timeout(time, asked).await {
        Ok(answer) => answer.map_err(fault),
        Err(_) => Err(RedisFault::Away("it does not answer".to_owned())),
    }
}

/// Errors of the server carry no password: it echoes none.
fn fault(error: RedisError) -> RedisFault {
    let refused = matches!(error.kind(), ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig)
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"));
    if refused { RedisFault::Refused(error.to_string()) } else { RedisFault::Away(error.to_string()) }
}

#[cfg(test)]
mod tests {
    use redis::ServerErrorKind;

    use super::*;

    #[test]
    fn who_does_not_let_us_in_is_told_from_who_is_away() {
        let refused = [ErrorKind::AuthenticationFailed, ErrorKind::Server(ServerErrorKind::NoPerm)];
        let away = [ErrorKind::Io, ErrorKind::Server(ServerErrorKind::BusyLoading)];
        let link = |kind: ErrorKind| Link::from(fault(RedisError::from((kind, "as the test wants it"))));
        for kind in refused {
            assert!(matches!(link(kind), Link::Refused(_)), "{kind:?}");
        }
        for kind in away {
            assert!(matches!(link(kind), Link::Away(_)), "{kind:?}");
        }
    }
}
