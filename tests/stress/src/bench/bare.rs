//! The bare loop that a draining backlog is measured against, a process of its own: posts a body again and again, over a
//! few dozen connections, and does nothing else.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::Result;
use bytes::Bytes;
use tokio::task::JoinSet;

/// How many posts are under way at a time.
pub(crate) const SLOTS: usize = 64;

/// How the process is started.
#[derive(Clone, Debug, clap::Args)]
pub struct BareSettings {
    /// Where to post to.
    #[arg(long)]
    url: String,
    /// The file with the body.
    #[arg(long)]
    body: PathBuf,
    /// How often.
    #[arg(long)]
    count: u64,
}

/// Posts, and prints how many posts a second it came to.
///
/// # Errors
/// The first answer that is no success.
#[expect(clippy::print_stdout, reason = "the figure is what the command is for")]
pub async fn post(settings: &BareSettings) -> Result<()> {
    let (client, body) = (reqwest::Client::new(), Bytes::from(std::fs::read(&settings.body)?));
    let (posted, count) = (Arc::new(AtomicU64::new(0)), settings.count);
    let started = Instant::now();
    let mut slots = JoinSet::new();
    for _ in 0..SLOTS {
        let (client, body, posted, url) = (client.clone(), body.clone(), Arc::clone(&posted), settings.url.clone());
        slots.spawn(async move {
            while posted.fetch_add(1, Ordering::Relaxed) < count {
                let request = client.post(&url).header("content-type", "application/json").body(body.clone());
                request.send().await?.error_for_status()?.bytes().await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(slot) = slots.join_next().await {
        slot??;
    }
    println!("{}", count as f64 / started.elapsed().as_secs_f64());
    Ok(())
}
