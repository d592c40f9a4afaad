//! A mail server on a free port: takes mails without TLS (RFC 5321, as far as clients go), and refuses the addresses it is
//! told to.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::Instant,
};

/// A mail that was taken. The sender may not have heard that it was.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// The header `Message-ID`, the same for every try of a mail.
    pub message_id: String,
    /// To whom.
    pub to: Vec<String>,
    /// When it was taken.
    pub at: Instant,
}

/// A running mail server; gone when dropped.
#[derive(Debug)]
pub struct MailListener {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    delivered: Mutex<Vec<Delivered>>,
    refused: Mutex<BTreeMap<String, &'static str>>,
}

impl MailListener {
    /// One that takes everything unless told otherwise.
    ///
    /// # Errors
    /// When no address is free.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("an address for the mail server")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let serve = Arc::clone(&shared);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serve);
                // A client that goes away ends the conversation; what it did is seen in what was delivered.
                tokio::spawn(async move { drop(converse(stream, &shared).await) });
            }
        });
        Ok(Self { address, shared, serving })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers mails to this address so from now on, as `550 nobody here`.
    pub fn refuse(&self, address: &str, reply: &'static str) {
        lock(&self.shared.refused).insert(address.to_owned(), reply);
    }

    /// What was taken so far, in order.
    #[must_use]
    pub fn delivered(&self) -> Vec<Delivered> {
        lock(&self.shared.delivered).clone()
    }
}

impl Drop for MailListener {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn converse(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut stream = BufStream::new(stream);
    let mut to = Vec::new();
    reply(&mut stream, "220 mail.drill ready").await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let word = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        match word.as_str() {
            "EHLO" => reply(&mut stream, "250-mail.drill\r\n250-8BITMIME\r\n250 AUTH PLAIN").await?,
            "AUTH" => reply(&mut stream, "235 2.7.0 known").await?,
            "RCPT" => {
                let address = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                let refusal = lock(&shared.refused).get(&address).copied();
                match refusal {
                    Some(refusal) => reply(&mut stream, refusal).await?,
                    None => {
                        to.push(address);
                        reply(&mut stream, "250 2.1.5 ok").await?;
                    }
                }
            }
            "DATA" => {
                reply(&mut stream, "354 go on").await?;
                let Some(message_id) = content(&mut stream).await? else { return Ok(()) };
                let mail = Delivered { message_id, to: std::mem::take(&mut to), at: Instant::now() };
                lock(&shared.delivered).push(mail);
                reply(&mut stream, "250 2.0.0 taken").await?;
            }
            "QUIT" => return reply(&mut stream, "221 bye").await,
            "MAIL" | "RSET" | "NOOP" => reply(&mut stream, "250 ok").await?,
            _ => reply(&mut stream, "502 not here").await?,
        }
    }
}

/// Reads a mail to its end; answers its `Message-ID`. `None` when the client left in the middle: no mail then.
async fn content(stream: &mut BufStream<TcpStream>) -> std::io::Result<Option<String>> {
    let mut message_id = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        if line == ".\r\n" {
            return Ok(Some(message_id));
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("message-id")
            && message_id.is_empty()
        {
            value.trim().clone_into(&mut message_id);
        }
    }
}

async fn reply(stream: &mut BufStream<TcpStream>, text: &str) -> std::io::Result<()> {
    stream.write_all(format!("{text}\r\n").as_bytes()).await?;
    stream.flush().await
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
