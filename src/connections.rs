//! The accept loop: TCP, TLS when configured, HTTP/1.1 and HTTP/2 on one port, and the bounds of a
//! connection. It knows nothing of what is served.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;
use tower::{BoxError, Service};

use crate::config::{HEADER_BYTES_MAX, STREAMS_PER_CONNECTION_MAX};
use crate::layers::{self, Response};

/// How long to wait before accepting again when the machine has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often a silent HTTP/2 peer is asked whether it is still there.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);

/// The bounds of connections.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How long a request's headers may take, and how long an HTTP/1.1 connection may idle.
    pub header_timeout: Duration,
    /// How long open requests may take to finish after the stop began.
    pub drain_timeout: Duration,
    /// The most connections at a time.
    pub connections_max: u32,
}

/// The address of the client, as a request extension.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Serves until `stop` resolves, then lets open requests finish.
pub async fn serve<S>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    stack: S,
    bounds: Bounds,
    stop: impl Future<Output = ()>,
) where
    S: Service<layers::Request, Response = Response, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(bounds.connections_max as usize));
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &slots) => accepted,
            () = &mut stop => break,
        };
        let Some((stream, peer, slot)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let connection = Connection { peer, bounds, watcher: graceful.watcher() };
        let (tls, stack) = (tls.clone(), stack.clone());
        tokio::spawn(async move {
            connection.run(stream, tls, stack).await;
            drop(slot);
        });
    }
    drop(listener);
    tracing::info!(connections = graceful.count(), "stopping: open requests may finish");
    if tokio::time::timeout(bounds.drain_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!(
            "some requests did not finish in time and were cut; see ORQIT_DRAIN_TIMEOUT"
        );
    }
}

/// The next connection, once there is a slot for it.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, slot)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection; raise the limit of open files");
            None
        }
    }
}

/// One connection before it is known which protocol it speaks.
struct Connection {
    peer: SocketAddr,
    bounds: Bounds,
    watcher: Watcher,
}

impl Connection {
    async fn run<S>(self, stream: TcpStream, tls: Option<TlsAcceptor>, stack: S)
    where
        S: Service<layers::Request, Response = Response, Error = BoxError> + Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        // Small answers must not wait for the peer's acknowledgement; failing to say so only slows.
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls else {
            return self.serve(stream, stack).await;
        };
        match tokio::time::timeout(self.bounds.header_timeout, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.serve(stream, stack).await,
            Ok(Err(error)) => tracing::debug!(%error, peer = %self.peer, "TLS handshake failed"),
            Err(_) => tracing::debug!(peer = %self.peer, "TLS handshake took too long"),
        }
    }

    async fn serve<S, I>(self, io: I, stack: S)
    where
        S: Service<layers::Request, Response = Response, Error = BoxError> + Clone + Send + 'static,
        S::Future: Send + 'static,
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let begun = Arc::new(AtomicBool::new(false));
        let service =
            Requests { stack: RefCell::new(stack), peer: Peer(self.peer), begun: begun.clone() };
        let builder = builder(self.bounds.header_timeout);
        let connection = builder.serve_connection(TokioIo::new(io), service).into_owned();
        let mut connection = std::pin::pin!(self.watcher.watch(connection));
        // hyper's own header timeout starts once it knows the protocol; a client that never says
        // enough to tell is cut here.
        let mut silent = std::pin::pin!(tokio::time::sleep(self.bounds.header_timeout));
        let ended = std::future::poll_fn(|cx| {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
            let cut = !begun.load(Ordering::Relaxed) && silent.as_mut().poll(cx).is_ready();
            if cut { Poll::Ready(Ok(())) } else { Poll::Pending }
        });
        let ended = ended.await;
        if let Err(error) = ended {
            tracing::debug!(%error, peer = %self.peer, "connection ended");
        }
    }
}

/// The requests of one connection, on their way into its own copy of the stack. A copy for every
/// request would cost more than most layers do; no layer holds back, so none is needed.
struct Requests<S> {
    stack: RefCell<S>,
    peer: Peer,
    /// Whether there was one.
    begun: Arc<AtomicBool>,
}

impl<S> hyper::service::Service<http::Request<Incoming>> for Requests<S>
where
    S: Service<layers::Request, Response = Response, Error = BoxError>,
{
    type Response = Response;
    type Error = BoxError;
    type Future = S::Future;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        self.begun.store(true, Ordering::Relaxed);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.peer);
        self.stack.borrow_mut().call(request)
    }
}

fn builder(header_timeout: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(HEADER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEADER_BYTES_MAX as u32)
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .keep_alive_interval(HTTP2_PING_INTERVAL);
    builder
}

/// Reads a certificate chain and its key (PEM); errors are sentences for the operator.
pub fn tls(cert: &Path, key: &Path) -> Result<TlsAcceptor, String> {
    let unreadable = |path: &Path, error: &dyn std::fmt::Display| {
        format!("cannot read {} as PEM: {error}", path.display())
    };
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(cert, &error))?;
    let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key_der))
        .map_err(|error| format!("cannot use the certificate {}: {error}", cert.display()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
