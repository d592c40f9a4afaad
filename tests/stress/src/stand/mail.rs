//! A mail server on a free port: takes mails without TLS (RFC 5321, as far as clients go), refuses the addresses it is told
//! to, tells how far conversations come, and stops at a step, says nothing or goes away when told to.

use std::{
    collections::BTreeMap,
    io::{Error, ErrorKind, Result as IoResult},
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::{Duration, Instant, sleep},
};

use super::free_port;

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

/// How far a conversation has come. All but the last: the client waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The connection stands, and the server has not greeted.
    Connected,
    /// `EHLO` has come.
    Greeted,
    /// `MAIL` has come.
    Mail,
    /// `RCPT` has come.
    Rcpt,
    /// `DATA` was answered and the first line of the mail has come.
    Data,
    /// The whole mail has come. From now on the server counts it as taken.
    Received,
    /// The client was told that it is taken.
    Answered,
}

impl Step {
    /// All, in their order.
    pub const ALL: [Self; 7] =
        [Self::Connected, Self::Greeted, Self::Mail, Self::Rcpt, Self::Data, Self::Received, Self::Answered];

    /// For people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Greeted => "greeted",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::Received => "received",
            Self::Answered => "answered",
        }
    }
}

/// What the server does from now on. Whoever it keeps waiting is cut off when that changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Course {
    /// Takes mails.
    #[default]
    Open,
    /// Lets one conversation in, and stops it at this step; all others wait for the greeting.
    HoldAt(Step),
    /// Answers the mail that is held at [`Step::Received`], and nothing after that.
    Answer,
    /// Takes connections, and says nothing.
    Silent,
    /// Nobody listens.
    Closed,
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
    course: watch::Sender<Course>,
    /// Where the conversation is held that was let in.
    held: watch::Sender<Option<Step>>,
    is_let_in: AtomicBool,
    reached: Mutex<BTreeMap<Step, usize>>,
    delivered: Mutex<Vec<Delivered>>,
    last_content: Mutex<Vec<u8>>,
    refused: Mutex<BTreeMap<String, &'static str>>,
}

impl MailListener {
    /// One that takes everything unless told otherwise.
    ///
    /// # Errors
    /// When no address is free.
    pub async fn start() -> Result<Self> {
        // Not one that the kernel hands out: it must stay free while nobody listens.
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let listener = TcpListener::bind(address).await.context("an address for the mail server")?;
        let shared = Arc::new(Shared::default());
        let serving = tokio::spawn(serve(address, listener, Arc::clone(&shared)));
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

    /// Does this from now on.
    pub fn follow(&self, course: Course) {
        if course != Course::Answer {
            self.shared.held.send_replace(None);
            self.shared.is_let_in.store(false, Ordering::SeqCst);
        }
        self.shared.course.send_replace(course);
    }

    /// Waits until a conversation is held at this step.
    pub async fn holds(&self, step: Step) {
        // The sender is ours.
        drop(self.shared.held.subscribe().wait_for(|held| *held == Some(step)).await);
    }

    /// Where a conversation is held at this moment.
    #[must_use]
    pub fn held(&self) -> Option<Step> {
        *self.shared.held.borrow()
    }

    /// How many conversations have come to this step so far.
    #[must_use]
    pub fn reached(&self, step: Step) -> usize {
        lock(&self.shared.reached).get(&step).copied().unwrap_or_default()
    }

    /// What was taken so far, in order.
    #[must_use]
    pub fn delivered(&self) -> Vec<Delivered> {
        lock(&self.shared.delivered).clone()
    }

    /// How much was taken so far.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.shared.delivered).len()
    }

    /// What was taken so far, and forgets it.
    #[must_use]
    pub fn take(&self) -> Vec<Delivered> {
        std::mem::take(&mut lock(&self.shared.delivered))
    }

    /// The last mail that was taken, as it came, with its dots stuffed and without the closing one.
    #[must_use]
    pub fn last_content(&self) -> Vec<u8> {
        lock(&self.shared.last_content).clone()
    }
}

impl Drop for MailListener {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(address: SocketAddr, listener: TcpListener, shared: Arc<Shared>) {
    let mut course = shared.course.subscribe();
    let mut listener = Some(listener);
    loop {
        let listening = match listener.take() {
            Some(listening) => listening,
            None => match TcpListener::bind(address).await {
                Ok(listening) => listening,
                Err(_) => {
                    sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        loop {
            tokio::select! {
                accepted = listening.accept() => {
                    let Ok((stream, _)) = accepted else { continue };
                    let shared = Arc::clone(&shared);
                    // A client that goes away ends the conversation; what it did is seen in what was delivered.
                    tokio::spawn(async move { drop(Conversation::new(stream, &shared).run().await) });
                }
                _ = course.wait_for(|course| *course == Course::Closed) => break,
            }
        }
        drop(listening);
        if course.wait_for(|course| *course != Course::Closed).await.is_err() {
            return;
        }
    }
}

struct Conversation<'a> {
    stream: BufStream<TcpStream>,
    shared: &'a Shared,
    course: watch::Receiver<Course>,
    /// It is the one that is let in to be held.
    is_let_in: bool,
}

impl<'a> Conversation<'a> {
    fn new(stream: TcpStream, shared: &'a Shared) -> Self {
        Self { stream: BufStream::new(stream), shared, course: shared.course.subscribe(), is_let_in: false }
    }

    async fn run(&mut self) -> IoResult<()> {
        let mut to = Vec::new();
        self.enter().await?;
        self.comes_to(Step::Connected).await?;
        self.reply("220 mail.drill ready").await?;
        loop {
            let line = self.line().await?;
            let word = line.get(..4).unwrap_or_default().to_ascii_uppercase();
            match word.as_str() {
                "EHLO" => {
                    self.comes_to(Step::Greeted).await?;
                    self.reply("250-mail.drill\r\n250-8BITMIME\r\n250 AUTH PLAIN").await?;
                }
                "AUTH" => self.reply("235 2.7.0 known").await?,
                "MAIL" => {
                    self.comes_to(Step::Mail).await?;
                    self.reply("250 2.1.0 ok").await?;
                }
                "RCPT" => {
                    self.comes_to(Step::Rcpt).await?;
                    let address = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                    let refusal = lock(&self.shared.refused).get(&address).copied();
                    if refusal.is_none() {
                        to.push(address);
                    }
                    self.reply(refusal.unwrap_or("250 2.1.5 ok")).await?;
                }
                "DATA" => self.take(std::mem::take(&mut to)).await?,
                "QUIT" => return self.reply("221 bye").await,
                "RSET" | "NOOP" => self.reply("250 ok").await?,
                _ => self.reply("502 not here").await?,
            }
        }
    }

    /// Waits, if nobody or only another one is let in.
    async fn enter(&mut self) -> IoResult<()> {
        let course = *self.course.borrow_and_update();
        let waits = match course {
            Course::Open => false,
            Course::HoldAt(_) => {
                self.is_let_in = !self.shared.is_let_in.swap(true, Ordering::SeqCst);
                !self.is_let_in
            }
            Course::Answer | Course::Silent | Course::Closed => true,
        };
        if !waits {
            return Ok(());
        }
        self.note(Step::Connected);
        wait_while(&mut self.course, course).await?;
        Err(ErrorKind::ConnectionAborted.into())
    }

    /// Notes how far it has come, and stays there if it is to be held.
    async fn comes_to(&mut self, step: Step) -> IoResult<()> {
        self.note(step);
        let course = *self.course.borrow_and_update();
        let is_held =
            self.is_let_in && (course == Course::HoldAt(step) || (course == Course::Answer && step == Step::Answered));
        if !is_held {
            return Ok(());
        }
        self.shared.held.send_replace(Some(step));
        let next = tokio::select! {
            next = wait_while(&mut self.course, course) => next?,
            () = until_gone(&mut self.stream) => {
                // It gave up. The next one is held instead.
                self.shared.held.send_if_modified(|held| held.take_if(|held| *held == step).is_some());
                self.shared.is_let_in.store(false, Ordering::SeqCst);
                return Err(ErrorKind::ConnectionAborted.into());
            }
        };
        if next == Course::Answer { Ok(()) } else { Err(ErrorKind::ConnectionAborted.into()) }
    }

    fn note(&self, step: Step) {
        *lock(&self.shared.reached).entry(step).or_default() += 1;
    }

    /// Takes a mail. One that does not come to its end is none.
    async fn take(&mut self, to: Vec<String>) -> IoResult<()> {
        self.reply("354 go on").await?;
        let (mut message_id, mut content) = (String::new(), Vec::new());
        loop {
            let line = self.line().await?;
            if content.is_empty() {
                self.comes_to(Step::Data).await?;
            }
            if line == ".\r\n" {
                break;
            }
            content.extend_from_slice(line.as_bytes());
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("message-id")
                && message_id.is_empty()
            {
                value.trim().clone_into(&mut message_id);
            }
        }
        lock(&self.shared.delivered).push(Delivered { message_id, to, at: Instant::now() });
        *lock(&self.shared.last_content) = content;
        self.comes_to(Step::Received).await?;
        self.reply("250 2.0.0 taken").await?;
        self.comes_to(Step::Answered).await
    }

    async fn line(&mut self) -> IoResult<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(line),
        }
    }

    async fn reply(&mut self, text: &str) -> IoResult<()> {
        self.stream.write_all(format!("{text}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }
}

async fn wait_while(followed: &mut watch::Receiver<Course>, course: Course) -> IoResult<Course> {
    let next = followed.wait_for(|now| *now != course).await;
    next.map(|next| *next).map_err(|_| Error::from(ErrorKind::ConnectionAborted))
}

/// Reads until the client ends the connection. What it says until then is not wanted any more.
async fn until_gone(stream: &mut BufStream<TcpStream>) {
    let mut said = [0; 1024];
    while stream.read(&mut said).await.is_ok_and(|count| count > 0) {}
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
