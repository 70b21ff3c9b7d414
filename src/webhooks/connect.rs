//! Connections to endpoints: a name is looked up, all of its addresses are checked, and one of
//! those that were checked is connected to.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::address::Allowed;
use crate::store::webhooks::AttemptError;

/// A resolver of names.
pub trait Resolve: Send + Sync {
    /// The addresses that a name has.
    fn resolve<'a>(
        &'a self,
        name: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;
}

/// The resolver of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(
        &'a self,
        name: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// The reason why there is no connection.
#[derive(Debug)]
pub struct ConnectError {
    /// The kind of failure.
    pub kind: AttemptError,
    source: io::Error,
}

impl std::fmt::Display for ConnectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.source)
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Makes connections.
#[derive(Clone)]
pub struct Connector {
    allowed: Arc<Allowed>,
    resolver: Arc<dyn Resolve>,
    tls: TlsConnector,
}

impl Connector {
    /// A connector that trusts the roots of the web, and these beside them.
    pub fn new(
        allowed: Arc<Allowed>,
        resolver: Arc<dyn Resolve>,
        more_roots: &RootCertStore,
    ) -> Self {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        roots.roots.extend(more_roots.roots.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has the versions of TLS that rustls takes by default")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self { allowed, resolver, tls: TlsConnector::from(Arc::new(config)) }
    }

    async fn connect(self, uri: Uri) -> Result<TokioIo<Io>, ConnectError> {
        let over_tls = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        let host = uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = uri.port_u16().unwrap_or(if over_tls { 443 } else { 80 });
        let addresses = self.addresses(host, over_tls).await?;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            match TcpStream::connect(SocketAddr::new(address, port)).await {
                Ok(tcp) => {
                    // A request is written at once and waits for nothing; without this it still might.
                    let _ = tcp.set_nodelay(true);
                    return if over_tls { self.handshake(host, tcp).await } else { Ok(plain(tcp)) };
                }
                Err(error) => last = error,
            }
        }
        Err(ConnectError { kind: AttemptError::Connect, source: last })
    }

    /// The addresses of a host, none of which is forbidden.
    async fn addresses(&self, host: &str, over_tls: bool) -> Result<Vec<IpAddr>, ConnectError> {
        let addresses = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => self
                .resolver
                .resolve(host)
                .await
                .map_err(|source| ConnectError { kind: AttemptError::Dns, source })?,
        };
        // One that is forbidden makes all of them suspect.
        if let Some(forbidden) =
            addresses.iter().find(|address| !self.allowed.permits(**address, over_tls))
        {
            let why = format!("{forbidden} is an address that nothing may be sent to");
            let source = io::Error::new(io::ErrorKind::PermissionDenied, why);
            return Err(ConnectError { kind: AttemptError::ForbiddenAddress, source });
        }
        if addresses.is_empty() {
            let source = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            return Err(ConnectError { kind: AttemptError::Dns, source });
        }
        Ok(addresses)
    }

    async fn handshake(&self, host: &str, tcp: TcpStream) -> Result<TokioIo<Io>, ConnectError> {
        let failed = |source| ConnectError { kind: AttemptError::Tls, source };
        let name = host.strip_suffix('.').unwrap_or(host).to_owned();
        let name = ServerName::try_from(name).map_err(|error| failed(io::Error::other(error)))?;
        let tls = self.tls.connect(name, tcp).await.map_err(failed)?;
        Ok(TokioIo::new(Io::Tls(Box::new(tls))))
    }
}

fn plain(tcp: TcpStream) -> TokioIo<Io> {
    TokioIo::new(Io::Plain(tcp))
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Io>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Io>, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// A connection, over TLS or not.
pub enum Io {
    /// A plain connection, to an allowed network.
    Plain(TcpStream),
    /// A connection over TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection for Io {
    fn connected(&self) -> Connected {
        match self {
            Self::Tls(tls) if tls.get_ref().1.alpn_protocol() == Some(b"h2") => {
                Connected::new().negotiated_h2()
            }
            Self::Plain(_) | Self::Tls(_) => Connected::new(),
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
