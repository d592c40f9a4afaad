//! Outgoing mail over SMTP (RFC 5321) with lettre: one connection a mail, to an address that was checked when a tenant chose
//! the host, bounded in time at every step and in what the server may say.

mod message;
mod reply;
mod stream;

use std::{fmt::Display, net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use ipnet::IpNet;
use lettre::{
    address::Envelope,
    transport::smtp::{
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters},
        commands::{Data, Mail, Quit, Rcpt},
        extension::{ClientId, Extension, MailParameter},
    },
};
use postern_domain::{
    network,
    ports::mail::{Accepted, Encryption, MailError, MailErrorKind, MailServer, Mailer, OutgoingMail},
    running_time,
};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};
use secrecy::ExposeSecret;
use tokio::time::timeout;

use self::{
    reply::{Phase, failed},
    stream::{Bounded, Watch},
};
use crate::address::{AddressError, Addresses};

/// How long each step may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Asking the name server.
    pub lookup: Duration,
    /// Until a connection stands, whatever the number of addresses.
    pub connect: Duration,
    /// Until the server has greeted and said what it can do; TLS from the first byte included.
    pub greeting: Duration,
    /// Each answer after that.
    pub reply: Duration,
    /// Everything together. The domain takes a try that is a little older than a minute for cut off.
    pub total: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lookup: Duration::from_secs(7),
            connect: Duration::from_secs(15),
            greeting: Duration::from_secs(10),
            reply: Duration::from_secs(20),
            total: Duration::from_secs(45),
        }
    }
}

/// Saying goodbye; the mail is taken by then.
const QUIT_TIMEOUT: Duration = Duration::from_secs(2);

/// Hands mails to SMTP servers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SmtpMailer {
    /// For hosts that tenants chose.
    checked: Addresses,
    /// For the operator's own server, wherever it is.
    unchecked: Addresses,
    authorities: Authorities,
    hello: ClientId,
    limits: Limits,
}

/// Whose certificates are trusted.
#[derive(Clone, Debug)]
struct Authorities {
    /// For TLS from the first byte.
    config: Arc<ClientConfig>,
    /// The same ones, for STARTTLS.
    certificates: Arc<[Certificate]>,
}

/// The mailer could not be set up: no usable certificate authorities.
#[derive(Debug, thiserror::Error)]
#[error("outgoing mail: {0}")]
pub struct SetupError(String);

impl SmtpMailer {
    /// A mailer that reaches tenants' servers where `addresses` lets it, and introduces itself as `host_name`. Trusts the
    /// certificate authorities of the system, or those of Mozilla's list when the system has none.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(addresses: Addresses, host_name: &str) -> Result<Self, SetupError> {
        let mut authorities = rustls_native_certs::load_native_certs().certs;
        if authorities.is_empty() {
            tracing::info!("the system's certificate authorities are not usable; using the built-in list");
            authorities = webpki_root_certs::TLS_SERVER_ROOT_CERTS.to_vec();
        }
        Self::trusting(addresses, host_name, authorities)
    }

    /// The same, trusting only `authorities`.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn trusting(
        addresses: Addresses,
        host_name: &str,
        authorities: Vec<CertificateDer<'static>>,
    ) -> Result<Self, SetupError> {
        let everywhere = [IpNet::from(ipnet::Ipv4Net::default()), IpNet::from(ipnet::Ipv6Net::default())];
        Ok(Self {
            checked: addresses,
            unchecked: Addresses::new(&everywhere),
            authorities: Authorities::new(authorities)?,
            hello: ClientId::Domain(host_name.to_owned()),
            limits: Limits::default(),
        })
    }

    /// The same with other limits.
    #[must_use]
    pub fn within(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    async fn deliver(&self, server: &MailServer, mail: &OutgoingMail) -> Result<Accepted, MailError> {
        let message = message::build(mail)?;
        let mut conversation = self.begin(server).await?;
        let accepted = conversation.transmit(message.envelope(), &message.formatted()).await?;
        conversation.quit().await;
        Ok(accepted)
    }

    /// Everything up to the point where a mail could be handed over.
    async fn begin(&self, server: &MailServer) -> Result<Conversation, MailError> {
        let (stream, watch) = self.connect(server).await.map_err(MailError::before_greeting)?;
        let connection = self.greet(server, stream, &watch).await.map_err(MailError::before_greeting)?;
        let mut conversation = Conversation { connection, watch, reply_limit: self.limits.reply };
        self.secure(server, &mut conversation).await?;
        conversation.authenticate(server).await?;
        Ok(conversation)
    }

    async fn connect(&self, server: &MailServer) -> Result<(Bounded, Watch), MailError> {
        let addresses = if server.chosen_by_tenant { &self.checked } else { &self.unchecked };
        let found = running_time::within(self.limits.lookup, addresses.resolve(&server.host, server.port)).await;
        let found = found
            .ok_or_else(|| MailError::new(MailErrorKind::HostLookupFailed, "the name server did not answer in time"))?
            .map_err(unresolved)?;
        running_time::within(self.limits.connect, connect_to_first(&found)).await.ok_or_else(|| {
            MailError::new(MailErrorKind::Timeout, "the mail server did not take the connection in time")
        })?
    }

    /// TLS from the first byte where that is wanted, then the server's greeting and what it can do.
    async fn greet(
        &self,
        server: &MailServer,
        stream: Bounded,
        watch: &Watch,
    ) -> Result<AsyncSmtpConnection, MailError> {
        let greeted = async {
            let stream: Box<dyn lettre::transport::smtp::client::AsyncTokioStream> = match server.encryption {
                Encryption::Tls => Box::new(stream.secured(&self.authorities.config, &server.host, watch).await?),
                Encryption::Plain | Encryption::StartTls | Encryption::StartTlsIfOffered => Box::new(stream),
            };
            let greeted = AsyncSmtpConnection::connect_with_transport(stream, &self.hello).await;
            greeted.map_err(|error| failed(Phase::Greeting, &error, watch))
        };
        within(self.limits.greeting, Phase::Greeting, greeted).await
    }

    async fn secure(&self, server: &MailServer, conversation: &mut Conversation) -> Result<(), MailError> {
        match (server.encryption, conversation.connection.can_starttls()) {
            (Encryption::Plain | Encryption::Tls, _) => Ok(()),
            (Encryption::StartTls, false) => {
                Err(MailError::new(MailErrorKind::TlsFailed, "the mail server does not offer STARTTLS"))
            }
            (Encryption::StartTlsIfOffered, false) => {
                let is_public = network::refusal(conversation.watch.peer().ip(), &[]).is_none();
                if is_public && server.credentials.is_some() {
                    return Err(MailError::new(
                        MailErrorKind::TlsFailed,
                        "the mail server does not offer STARTTLS, and its password is not sent unprotected",
                    ));
                }
                Ok(())
            }
            (Encryption::StartTls | Encryption::StartTlsIfOffered, true) => {
                conversation.start_tls(self.authorities.for_host(&server.host)?, &self.hello).await
            }
        }
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, server: &MailServer, mail: &OutgoingMail) -> Result<Accepted, MailError> {
        // As clocks go on, also while this process stands still: others take the try for cut off a while later.
        timeout(self.limits.total, self.deliver(server, mail)).await.unwrap_or_else(|_| Err(late(Phase::Message)))
    }

    async fn check(&self, server: &MailServer) -> Result<(), MailError> {
        let mut conversation = within(self.limits.total, Phase::Message, self.begin(server)).await?;
        conversation.quit().await;
        Ok(())
    }
}

impl Authorities {
    fn new(certificates: Vec<CertificateDer<'static>>) -> Result<Self, SetupError> {
        let mut roots = RootCertStore::empty();
        let (mut usable, mut refused) = (Vec::with_capacity(certificates.len()), 0);
        for certificate in certificates {
            // Systems carry certificates that are too old to be used; one of them must not keep all mail back.
            match (roots.add(certificate.clone()), Certificate::from_der(certificate.to_vec())) {
                (Ok(()), Ok(certificate)) => usable.push(certificate),
                _ => refused += 1,
            }
        }
        if usable.is_empty() {
            return Err(SetupError(format!("none of {refused} certificate authorities is usable")));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| SetupError(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { config: config.into(), certificates: usable.into() })
    }

    fn for_host(&self, host: &str) -> Result<TlsParameters, MailError> {
        let builder = TlsParameters::builder(host.to_owned()).certificate_store(CertificateStore::None);
        self.certificates
            .iter()
            .fold(builder, |builder, certificate| builder.add_root_certificate(certificate.clone()))
            .build_rustls()
            .map_err(|error| MailError::new(MailErrorKind::TlsFailed, error.to_string()))
    }
}

async fn connect_to_first(addresses: &[SocketAddr]) -> Result<(Bounded, Watch), MailError> {
    let mut last = None;
    for address in addresses {
        match Bounded::connect(*address).await {
            Ok(connected) => return Ok(connected),
            Err(error) => last = Some(error),
        }
    }
    let why = last.map_or_else(|| "there is no address".to_owned(), |error| error.to_string());
    Err(MailError::new(MailErrorKind::ConnectionFailed, format!("no connection to the mail server: {why}")))
}

/// What is said after the greeting. Each answer has its time.
struct Conversation {
    connection: AsyncSmtpConnection,
    watch: Watch,
    reply_limit: Duration,
}

impl Conversation {
    /// The work is done. Whether the server is polite about it does not matter.
    async fn quit(&mut self) {
        drop(timeout(QUIT_TIMEOUT, self.connection.command(Quit)).await);
    }

    async fn start_tls(&mut self, parameters: TlsParameters, hello: &ClientId) -> Result<(), MailError> {
        let upgraded = self.connection.starttls(parameters, hello);
        answered(self.reply_limit, Phase::Tls, &self.watch, upgraded).await
    }

    async fn authenticate(&mut self, server: &MailServer) -> Result<(), MailError> {
        let Some((user, password)) = &server.credentials else { return Ok(()) };
        let credentials = Credentials::new(user.clone(), password.expose_secret().to_owned());
        let authenticated = self.connection.auth(DEFAULT_MECHANISMS, &credentials);
        answered(self.reply_limit, Phase::Authentication, &self.watch, authenticated).await.map(drop)
    }

    /// Envelope and content. Recipients that are refused for good do not keep the mail from the others; one that is refused
    /// for now does, since the mail would have to come again for that one alone.
    async fn transmit(&mut self, envelope: &Envelope, content: &[u8]) -> Result<Accepted, MailError> {
        let mut addresses = envelope.to().iter().chain(envelope.from());
        let mut parameters = Vec::new();
        if !addresses.all(|address| AsRef::<str>::as_ref(address).is_ascii()) {
            if !self.connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                let text = "the mail server takes only addresses in ASCII";
                return Err(MailError::new(MailErrorKind::InvalidEmailAddress, text));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        self.command(Mail::new(envelope.from().cloned(), parameters), Phase::Envelope).await?;
        let mut refused = Vec::new();
        for recipient in envelope.to() {
            match self.command(Rcpt::new(recipient.clone(), Vec::new()), Phase::Envelope).await {
                Ok(()) => {}
                Err(error) if error.kind.is_transient() || self.watch.is_closed() => return Err(error),
                Err(error) => refused.push((recipient.to_string(), error)),
            }
        }
        if refused.len() == envelope.to().len()
            && let Some((_, error)) = refused.pop()
        {
            return Err(error);
        }
        self.command(Data, Phase::Message).await?;
        let sent = self.connection.message(content);
        let response = answered(self.reply_limit, Phase::Message, &self.watch, sent).await?;
        let lines: Vec<&str> = response.message().collect();
        Ok(Accepted { message_id: reply::message_id(&lines.join(" ")), refused })
    }

    async fn command<C: Display>(&mut self, command: C, phase: Phase) -> Result<(), MailError> {
        answered(self.reply_limit, phase, &self.watch, self.connection.command(command)).await.map(drop)
    }
}

/// The answer of the server, in time.
async fn answered<T>(
    limit: Duration,
    phase: Phase,
    watch: &Watch,
    work: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
) -> Result<T, MailError> {
    within(limit, phase, async { work.await.map_err(|error| failed(phase, &error, watch)) }).await
}

async fn within<T>(
    limit: Duration,
    phase: Phase,
    work: impl Future<Output = Result<T, MailError>>,
) -> Result<T, MailError> {
    running_time::within(limit, work).await.unwrap_or_else(|| Err(late(phase)))
}

fn late(phase: Phase) -> MailError {
    MailError::new(MailErrorKind::Timeout, format!("the mail server did not answer in time ({})", phase.as_str()))
}

fn unresolved(error: AddressError) -> MailError {
    let kind = match &error {
        AddressError::Forbidden(_) => MailErrorKind::HostNotAllowed,
        // EAI_AGAIN of getaddrinfo: the name may exist. The standard library keeps only the words.
        AddressError::Unknown(text) if text.contains("Temporary failure") => MailErrorKind::HostLookupFailed,
        AddressError::Unknown(_) => MailErrorKind::HostNotFound,
    };
    MailError::new(kind, format!("the mail server cannot be reached: {error}"))
}
