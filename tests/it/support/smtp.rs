//! A mail server on a free port of this machine: takes what it is sent, and misbehaves where it is told to.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use postern_domain::ports::mail::{Encryption, MailServer};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// How the server protects its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    None,
    Offered,
    Implicit,
}

/// A step of the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Greeting,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    /// Once the content has come.
    End,
}

/// What the server does at a step instead of what it should.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    Reply(&'static str),
    /// Says nothing more.
    Hang,
    /// Closes the connection.
    Close,
    /// Says a line without an end.
    Endless,
}

/// A mail that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) content: String,
    pub(crate) was_encrypted: bool,
    /// User and password that the client gave.
    pub(crate) credentials: Option<(String, String)>,
}

impl Received {
    /// The value of a header of one line.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let head = self.content.split("\r\n\r\n").next()?;
        head.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// A running server; gone when dropped.
#[derive(Debug)]
pub(crate) struct SmtpServer {
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    /// For the coming connections, one each.
    faults: Mutex<VecDeque<(Step, Fault)>>,
    /// Recipients that are refused, each with the reply.
    strangers: Mutex<Vec<(String, &'static str)>>,
}

impl SmtpServer {
    /// Starts one whose certificate is for `localhost`.
    pub(crate) async fn start(tls: Tls) -> Self {
        Self::start_as(tls, "localhost").await
    }

    /// Starts one whose certificate is for `name`.
    pub(crate) async fn start_as(tls: Tls, name: &str) -> Self {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
        let certificate = cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.into())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(accept(listener, tls, acceptor, Arc::clone(&shared)));
        Self { address, certificate, shared, task }
    }

    /// What to trust so that its certificate holds.
    pub(crate) fn authority(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    /// How to reach it, by the name that its certificate is usually for.
    pub(crate) fn as_server(&self, encryption: Encryption) -> MailServer {
        MailServer {
            host: "localhost".to_owned(),
            port: self.address.port(),
            encryption,
            credentials: None,
            chosen_by_tenant: false,
        }
    }

    /// What has arrived.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// Refuses a recipient from now on.
    pub(crate) fn refuse(&self, address: &str, reply: &'static str) {
        self.shared.strangers.lock().unwrap().push((address.to_owned(), reply));
    }

    /// Misbehaves during one of the coming connections.
    pub(crate) fn misbehave(&self, step: Step, fault: Fault) {
        self.shared.faults.lock().unwrap().push_back((step, fault));
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, tls: Tls, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let fault = shared.faults.lock().unwrap().pop_front();
            // A client that goes away ends the conversation; what it did is seen in what arrived.
            let _ended = converse(stream, tls, acceptor, shared, fault).await;
        });
    }
}

async fn converse(
    stream: TcpStream,
    tls: Tls,
    acceptor: TlsAcceptor,
    shared: Arc<Shared>,
    fault: Option<(Step, Fault)>,
) -> std::io::Result<()> {
    let mut session = Session { shared, fault, is_encrypted: false, credentials: None };
    if tls == Tls::Implicit {
        session.is_encrypted = true;
        let mut stream = BufStream::new(acceptor.accept(stream).await?);
        session.greet(&mut stream).await?;
        session.commands(&mut stream, false).await?;
        return Ok(());
    }
    let mut stream = BufStream::new(stream);
    session.greet(&mut stream).await?;
    if session.commands(&mut stream, tls == Tls::Offered).await? {
        session.is_encrypted = true;
        let mut stream = BufStream::new(acceptor.accept(stream.into_inner()).await?);
        session.commands(&mut stream, false).await?;
    }
    Ok(())
}

struct Session {
    shared: Arc<Shared>,
    fault: Option<(Step, Fault)>,
    is_encrypted: bool,
    credentials: Option<(String, String)>,
}

impl Session {
    async fn greet<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: &mut BufStream<S>) -> std::io::Result<()> {
        self.answer(stream, Step::Greeting, "220 mail.test ready").await
    }

    /// Until the client leaves, or wants TLS: then true.
    async fn commands<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut BufStream<S>,
        offers_tls: bool,
    ) -> std::io::Result<bool> {
        let (mut from, mut to) = (String::new(), Vec::new());
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(false);
            }
            let line = line.trim_end();
            let word = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            let argument = line.split_once(':').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
            match word.as_str() {
                "EHLO" => {
                    let more = if offers_tls { "250-STARTTLS\r\n" } else { "" };
                    reply(stream, &format!("250-mail.test\r\n{more}250-8BITMIME\r\n250 AUTH PLAIN")).await?;
                }
                "STARTTLS" => {
                    self.answer(stream, Step::StartTls, "220 go ahead").await?;
                    return Ok(true);
                }
                "AUTH" => {
                    self.credentials = plain_credentials(line);
                    self.answer(stream, Step::Auth, "235 welcome").await?;
                }
                "MAIL" => {
                    from = argument;
                    self.answer(stream, Step::Mail, "250 ok").await?;
                }
                "RCPT" => {
                    let stranger = self.stranger(&argument);
                    if stranger.is_none() {
                        to.push(argument);
                    }
                    self.answer(stream, Step::Rcpt, stranger.unwrap_or("250 ok")).await?;
                }
                "DATA" => {
                    self.answer(stream, Step::Data, "354 go ahead").await?;
                    let content = content(stream).await?;
                    self.take(std::mem::take(&mut from), std::mem::take(&mut to), content);
                    self.answer(stream, Step::End, "250 2.0.0 Ok: queued as 4XyZ1b2c3d").await?;
                }
                "QUIT" => {
                    reply(stream, "221 bye").await?;
                    return Ok(false);
                }
                _ => reply(stream, "500 what?").await?,
            }
        }
    }

    fn stranger(&self, argument: &str) -> Option<&'static str> {
        let strangers = self.shared.strangers.lock().unwrap();
        strangers.iter().find(|(address, _)| argument.contains(address)).map(|(_, reply)| *reply)
    }

    /// A mail counts as arrived unless the server goes on to refuse it. One that closes the connection has it.
    fn take(&self, from: String, to: Vec<String>, content: String) {
        if matches!(self.fault, Some((Step::End, Fault::Reply(_) | Fault::Hang))) {
            return;
        }
        let clean = |path: String| path.trim().trim_matches(['<', '>']).to_owned();
        self.shared.received.lock().unwrap().push(Received {
            from: clean(from),
            to: to.into_iter().map(clean).collect(),
            content,
            was_encrypted: self.is_encrypted,
            credentials: self.credentials.clone(),
        });
    }

    async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut BufStream<S>,
        step: Step,
        usual: &str,
    ) -> std::io::Result<()> {
        match self.fault {
            Some((at, fault)) if at == step => match fault {
                Fault::Reply(text) => reply(stream, text).await,
                Fault::Hang => std::future::pending().await,
                Fault::Close => Err(std::io::ErrorKind::ConnectionAborted.into()),
                Fault::Endless => loop {
                    stream.write_all(&[b'2'; 4096]).await?;
                    stream.flush().await?;
                },
            },
            _ => reply(stream, usual).await,
        }
    }
}

async fn reply<S: AsyncWrite + Unpin>(stream: &mut S, text: &str) -> std::io::Result<()> {
    stream.write_all(format!("{text}\r\n").as_bytes()).await?;
    stream.flush().await
}

/// Up to the line with a single dot, dots at the beginning of lines taken back (RFC 5321 §4.5.2).
async fn content<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufStream<S>) -> std::io::Result<String> {
    let mut content = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == ".\r\n" {
            return Ok(content);
        }
        content.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}

/// RFC 4616: nothing, user and password, each after a zero byte.
fn plain_credentials(line: &str) -> Option<(String, String)> {
    let decoded = BASE64_STANDARD.decode(line.strip_prefix("AUTH PLAIN ")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let mut parts = text.split('\0').skip(1);
    Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
}
