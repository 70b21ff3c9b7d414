//! The accept loop: TCP, TLS when configured, HTTP/1.1 and HTTP/2 on one port, and a stop that ends
//! every connection. It knows nothing of what is served.

mod connection;
mod in_flight;
mod outgoing;
mod peer;
mod slots;
mod stop;
mod streams;
mod writing;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tower::{BoxError, Service};

use crate::layers::{Request, Response};
use connection::Connection;
use slots::{Slot, Slots};
use stop::{Phase, Stop};

pub use peer::Peer;

/// The pause before accepting again when the machine has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The bounds of connections.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// The longest time of a request's headers, and for which a connection may idle.
    pub header_timeout: Duration,
    /// The longest time that a peer may take nothing of an answer.
    pub write_timeout: Duration,
    /// The longest time that open requests may take to finish after the stop began. Then they are
    /// aborted.
    pub drain_timeout: Duration,
    /// The most connections at a time.
    pub connections_max: u32,
    /// The most of one client network.
    pub connections_per_address: u32,
    /// The proxies, which may have as many connections as there are.
    pub trusted_proxies: Arc<[IpNet]>,
}

/// Serves until `stop` resolves, then lets requests in flight finish within the drain time. No
/// connection and no request is running any more when it returns.
pub async fn serve<S>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    stack: S,
    bounds: Bounds,
    stop: impl Future<Output = ()>,
) where
    S: Service<Request, Response = Response, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send + Unpin + 'static,
{
    let (phase, phases) = watch::channel(Phase::Serving);
    let Bounds { connections_max, connections_per_address, trusted_proxies, .. } = bounds.clone();
    let slots = Slots::new(connections_max, connections_per_address, trusted_proxies);
    let slots = Arc::new(slots);
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    {
        // Kept while it waits for a slot: it may hold a connection already.
        let mut accepting = std::pin::pin!(accept(&listener, &slots));
        loop {
            let (stream, peer, slot) = tokio::select! {
                accepted = &mut accepting => accepted,
                Some(ended) = connections.join_next() => {
                    tell_panic(ended);
                    continue;
                }
                () = &mut stop => break,
            };
            accepting.set(accept(&listener, &slots));
            let stop = Stop(phases.clone());
            let connection = Connection {
                peer,
                header_timeout: bounds.header_timeout,
                write_timeout: bounds.write_timeout,
                stop,
                activity: Arc::clone(&slot.activity),
            };
            let (tls, stack) = (tls.clone(), stack.clone());
            connections.spawn(async move {
                connection.run(stream, tls, stack).await;
                drop(slot);
            });
        }
    }
    drop(listener);
    drain(connections, &phase, bounds.drain_timeout).await;
}

/// The next connection that there is a slot for.
async fn accept(listener: &TcpListener, slots: &Arc<Slots>) -> (TcpStream, SocketAddr, Slot) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => match slots.take(peer.ip()).await {
                Some(slot) => return (stream, peer, slot),
                // Closed without a word: to say why would cost what is to be saved.
                None => continue,
            },
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection; raise the limit of open files");
            }
        }
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// Waits until the connections have ended, and aborts those that have not within the time.
async fn drain(mut connections: JoinSet<()>, phase: &watch::Sender<Phase>, within: Duration) {
    let deadline = Instant::now() + within;
    tracing::info!(connections = connections.len(), "stopping: open requests may finish");
    phase.send_replace(Phase::Draining);
    if tokio::time::timeout_at(deadline, all_ended(&mut connections)).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "some requests did not finish in time and are aborted; see ORQIT_DRAIN_TIMEOUT"
        );
        phase.send_replace(Phase::Aborting);
        all_ended(&mut connections).await;
    }
}

async fn all_ended(connections: &mut JoinSet<()>) {
    while let Some(ended) = connections.join_next().await {
        tell_panic(ended);
    }
}

fn tell_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection has panicked");
    }
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
