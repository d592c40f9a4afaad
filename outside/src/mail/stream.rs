//! The TCP connection to a mail server: what the server may say is bounded, and how it ended is remembered, because the
//! SMTP library reads whole lines of any length and does not tell an end from nonsense.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use lettre::transport::smtp::client::AsyncTokioStream;
use postern_domain::ports::mail::{MailError, MailErrorKind};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Most bytes that a server may say during one mail, certificates included.
const MAX_READ_BYTES: usize = 256 * 1024;

/// What is known of a connection from the outside. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Watch(Arc<State>);

#[derive(Debug)]
struct State {
    peer: SocketAddr,
    left_bytes: AtomicUsize,
    is_full: AtomicBool,
    is_closed: AtomicBool,
}

impl Watch {
    /// To whom.
    pub(super) fn peer(&self) -> SocketAddr {
        self.0.peer
    }

    /// The server said more than it may.
    pub(super) fn is_full(&self) -> bool {
        self.0.is_full.load(Ordering::Relaxed)
    }

    /// The server ended or broke the connection.
    pub(super) fn is_closed(&self) -> bool {
        self.0.is_closed.load(Ordering::Relaxed)
    }
}

/// A connection that reads at most [`MAX_READ_BYTES`].
#[derive(Debug)]
pub(super) struct Bounded {
    stream: TcpStream,
    watch: Watch,
}

impl Bounded {
    /// Connects, and hands out what watches the connection.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(super) async fn connect(address: SocketAddr) -> io::Result<(Self, Watch)> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let state = State {
            peer: address,
            left_bytes: AtomicUsize::new(MAX_READ_BYTES),
            is_full: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
        };
        let watch = Watch(Arc::new(state));
        Ok((Self { stream, watch: watch.clone() }, watch))
    }

    /// Speaks TLS from now on; the certificate must be `host`'s.
    ///
    /// # Errors
    /// When the handshake fails.
    pub(super) async fn secured(
        self,
        config: &Arc<ClientConfig>,
        host: &str,
        watch: &Watch,
    ) -> Result<Secured, MailError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| MailError::new(MailErrorKind::TlsFailed, "the host can have no certificate"))?;
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, self).await.map_err(|error| {
            let kind = if watch.is_closed() { MailErrorKind::SocketClosed } else { MailErrorKind::TlsFailed };
            MailError::new(kind, format!("no protected connection to the mail server: {error}"))
        })?;
        Ok(Secured(Box::new(stream)))
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let state = Arc::clone(&self.watch.0);
        let left = state.left_bytes.load(Ordering::Relaxed);
        if left == 0 {
            state.is_full.store(true, Ordering::Relaxed);
            return Poll::Ready(Err(io::Error::other("the mail server said too much")));
        }
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = buffer.filled().len().saturating_sub(before);
        match &outcome {
            Poll::Ready(Ok(())) if read == 0 && buffer.remaining() > 0 => {
                state.is_closed.store(true, Ordering::Relaxed)
            }
            Poll::Ready(Err(_)) => state.is_closed.store(true, Ordering::Relaxed),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        // One read may go beyond the bound by its buffer, which is small; the next one is refused.
        state.left_bytes.store(left.saturating_sub(read), Ordering::Relaxed);
        outcome
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        if matches!(outcome, Poll::Ready(Err(_))) {
            self.watch.0.is_closed.store(true, Ordering::Relaxed);
        }
        outcome
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncTokioStream for Bounded {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

/// The same under TLS.
#[derive(Debug)]
pub(super) struct Secured(Box<TlsStream<Bounded>>);

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl AsyncTokioStream for Secured {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().0.peer_addr()
    }
}
