//! The bare loop that draining mails is measured against, a process of its own: hands a mail over again and again, each on a
//! connection of its own with the same steps as Postern's, so many at once, and does nothing else.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::Result;
use lettre::{
    address::Envelope,
    transport::smtp::{
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::AsyncSmtpConnection,
        extension::ClientId,
    },
};
use tokio::{net::TcpStream, task::JoinSet};

/// How the process is started.
#[derive(Clone, Debug, clap::Args)]
pub struct BareMailSettings {
    /// The mail server.
    #[arg(long)]
    server: SocketAddr,
    /// The file with the mail.
    #[arg(long)]
    mail: PathBuf,
    /// How often.
    #[arg(long)]
    count: u64,
    /// How many at once.
    #[arg(long)]
    slots: usize,
}

struct Shared {
    server: SocketAddr,
    content: Vec<u8>,
    envelope: Envelope,
    credentials: Credentials,
    hello: ClientId,
    sent: AtomicU64,
}

/// Sends, and prints how many mails a second it came to.
///
/// # Errors
/// The first mail that is not taken.
#[expect(clippy::print_stdout, reason = "the figure is what the command is for")]
pub async fn send(settings: &BareMailSettings) -> Result<()> {
    let shared = Arc::new(Shared {
        server: settings.server,
        content: std::fs::read(&settings.mail)?,
        envelope: Envelope::new(Some("drill@drill.example".parse()?), vec!["person@example.com".parse()?])?,
        credentials: Credentials::new("drill".to_owned(), "drill".to_owned()),
        hello: ClientId::Domain("localhost".to_owned()),
        sent: AtomicU64::new(0),
    });
    let (count, started) = (settings.count, Instant::now());
    let mut slots = JoinSet::new();
    for _ in 0..settings.slots {
        let shared = Arc::clone(&shared);
        slots.spawn(async move {
            while shared.sent.fetch_add(1, Ordering::Relaxed) < count {
                one(&shared).await?;
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

async fn one(shared: &Shared) -> Result<()> {
    let stream = TcpStream::connect(shared.server).await?;
    stream.set_nodelay(true)?;
    let mut connection = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &shared.hello).await?;
    connection.auth(DEFAULT_MECHANISMS, &shared.credentials).await?;
    connection.send(&shared.envelope, &shared.content).await?;
    connection.quit().await?;
    Ok(())
}
