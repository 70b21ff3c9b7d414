//! A connection, from its TLS handshake to its end.
//!
//! It ends when it has been without a request for the idle time, whatever else its peer sends; when
//! its peer takes nothing of an answer for the write timeout; and, while it is idle, when another
//! needs its slot.
//!
//! When the service begins to stop, a connection ends as soon as it owes no answer. Without a request
//! in flight that is at once; a peer that has made requests by HTTP/2 is told first, and has
//! [`GOAWAY_WITHIN`] to acknowledge. A request is in flight once its headers have been read
//! completely: half a request line, half the headers and half a TLS handshake are none. A request
//! that arrives just as the stop begins is answered, or the connection closes without an answer to
//! it. Half an answer is sent only when the drain time is over and what is left is aborted.

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tower::{BoxError, Service};

use super::in_flight::{Activity, Requests};
use super::outgoing::Outgoing;
use super::peer::Peer;
use super::stop::{Phase, Stop};
use super::streams::{Executor, Streams};
use super::writing::Patience;
use crate::config::{HEADER_BYTES_MAX, STREAMS_PER_CONNECTION_MAX};
use crate::layers::{Request, Response};

/// The pause between two pings of a silent HTTP/2 peer with open streams.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);
/// The bytes of a stream's and a connection's data that an HTTP/2 peer may send before we read them.
const HTTP2_STREAM_WINDOW: u32 = 64 * 1024;
const HTTP2_CONNECTION_WINDOW: u32 = 1024 * 1024;
/// The bytes of a stream's data that are kept for an HTTP/2 peer which takes none.
const HTTP2_SEND_BUFFER: usize = 64 * 1024;
/// The longest time that an HTTP/2 peer may take to acknowledge that the connection closes. A
/// request that it sent before it knew arrives by then; a peer that does not read must not hold the
/// stop up.
const GOAWAY_WITHIN: Duration = Duration::from_secs(1);

/// A connection whose protocol is not known yet.
pub struct Connection {
    pub peer: SocketAddr,
    /// The longest time of a TLS handshake, of a request's headers, and between two requests.
    pub header_timeout: Duration,
    /// The longest time that the peer may take nothing of an answer.
    pub write_timeout: Duration,
    pub stop: Stop,
    pub activity: Arc<Activity>,
}

impl Connection {
    /// Serves the connection until it ends.
    pub async fn run<S>(mut self, stream: TcpStream, tls: Option<TlsAcceptor>, stack: S)
    where
        S: Service<Request, Response = Response, Error = BoxError> + Send + 'static,
        S::Future: Send + Unpin + 'static,
    {
        // Small answers must not wait for the peer's acknowledgement; failing to say so only slows.
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls else {
            return self.serve(stream, stack).await;
        };
        let handshake = tokio::time::timeout(self.header_timeout, tls.accept(stream));
        let shaken = tokio::select! {
            shaken = handshake => shaken,
            () = self.stop.reached(Phase::Draining) => return,
            () = poll_fn(|cx| self.activity.poll_gives_way(cx)) => return,
        };
        match shaken {
            Ok(Ok(stream)) => self.serve(stream, stack).await,
            Ok(Err(error)) => tracing::debug!(%error, peer = %self.peer, "TLS handshake failed"),
            Err(_) => tracing::debug!(peer = %self.peer, "TLS handshake took too long"),
        }
    }

    async fn serve<S, I>(mut self, io: I, stack: S)
    where
        S: Service<Request, Response = Response, Error = BoxError> + Send + 'static,
        S::Future: Send + Unpin + 'static,
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let streams = Streams::default();
        if let Err(error) = self.serve_with(&streams, io, stack).await {
            tracing::debug!(%error, peer = %self.peer, "connection ended");
        }
        streams.abort().await;
    }

    async fn serve_with<S, I>(&mut self, streams: &Streams, io: I, stack: S) -> Result<(), BoxError>
    where
        S: Service<Request, Response = Response, Error = BoxError> + Send + 'static,
        S::Future: Send + Unpin + 'static,
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Arc::clone(&self.activity);
        let io = TokioIo::new(Outgoing::new(io, Arc::clone(&activity)));
        let (stack, peer) = (RefCell::new(stack), Peer(self.peer));
        let service = Requests { stack, peer, activity: Arc::clone(&activity) };
        let builder = builder(self.header_timeout, streams.executor(self.write_timeout));
        let connection = std::pin::pin!(builder.serve_connection(io, service));
        let mut watched = Watched { connection, activity, owes: false };
        let end = tokio::select! {
            // Requests that have arrived with the stop are read before it is looked at.
            biased;
            end = watched.served(self.header_timeout, self.write_timeout) => end?,
            () = self.stop.reached(Phase::Draining) => End::Stopping,
        };
        let within = match end {
            End::Closed => return Ok(()),
            End::Stuck => {
                metrics::counter!("orqit_answers_given_up_total", "by" => "connection")
                    .increment(1);
                tracing::debug!(peer = %self.peer, "nobody reads the answers: the connection is closed");
                return Ok(());
            }
            // One more request may come before the peer knows, and its answer may stay unread.
            End::Idle => self.write_timeout,
            End::Stopping => Duration::MAX,
        };
        tokio::select! {
            biased;
            ended = tokio::time::timeout(within, watched.drained()) => ended.unwrap_or(Ok(())),
            () = self.stop.reached(Phase::Aborting) => Ok(()),
        }
    }
}

/// The reason why a connection is not served any more.
enum End {
    /// The peer has closed it, or it failed.
    Closed,
    /// It has no request, for too long or while others need its slot.
    Idle,
    /// The peer takes nothing.
    Stuck,
    /// The service stops.
    Stopping,
}

/// A connection of hyper's, and whether it owes an answer.
struct Watched<'c, C> {
    connection: Pin<&'c mut C>,
    activity: Arc<Activity>,
    /// True if a request was read whose answer is not known to be written.
    owes: bool,
}

impl<C: GracefulConnection> Watched<'_, C> {
    /// Polls the connection to its end, or until it is to be ended.
    async fn served(&mut self, idle: Duration, write: Duration) -> Result<End, C::Error> {
        let (mut idle, mut left) = (Patience::new(idle), Patience::new(2 * write));
        let mut write = Patience::new(write);
        poll_fn(|cx| {
            if let Poll::Ready(ended) = self.poll(cx) {
                return Poll::Ready(ended.map(|()| End::Closed));
            }
            let activity = &self.activity;
            let gives_way = activity.poll_gives_way(cx).is_ready();
            if let Some(since) = activity.idle_since_ms() {
                // What was written last may not have been taken yet.
                if activity.unflushed() {
                    let is_over = write.poll_after(activity.moved_at_ms(), cx).is_ready();
                    return ready_if(gives_way || is_over, End::Stuck);
                }
                let is_over = idle.poll_after(since, cx).is_ready();
                return ready_if(gives_way || is_over, End::Idle);
            }
            // The last request may end unseen, in a task of its own.
            idle.arm(cx);
            let is_stuck = match activity.writing() {
                Some(writing) => write.poll_over(&writing, cx),
                // Streams look after themselves. One that has given its last piece cannot be reset any
                // more: what is left when the others would have been is of such.
                None if activity.has_pieces() => left.poll_after(activity.moved_at_ms(), cx),
                None => Poll::Pending,
            };
            ready_if(is_stuck.is_ready(), End::Stuck)
        })
        .await
    }

    /// Takes no further request and polls the connection until it ends or owes no answer.
    async fn drained(&mut self) -> Result<(), C::Error> {
        self.connection.as_mut().graceful_shutdown();
        let mut goaway = std::pin::pin!(tokio::time::sleep(GOAWAY_WITHIN));
        poll_fn(|cx| {
            self.activity.wake_when_done(cx.waker());
            let ended = self.poll(cx);
            if ended.is_ready() || self.owes {
                return ended;
            }
            // A peer that has made requests by HTTP/2 may have sent one more before it knew.
            if self.activity.http2() {
                ready!(goaway.as_mut().poll(cx));
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        let before = self.activity.counts();
        let ended = self.connection.as_mut().poll(cx);
        if before.in_flight > 0 || self.activity.counts() != before {
            // The next poll may find that the answer is written: this one may have come too soon.
            self.owes = true;
        } else if !self.activity.unflushed() {
            self.owes = false;
        }
        ended
    }
}

fn ready_if<E>(is_over: bool, end: End) -> Poll<Result<End, E>> {
    if is_over { Poll::Ready(Ok(end)) } else { Poll::Pending }
}

fn builder(header_timeout: Duration, executor: Executor) -> auto::Builder<Executor> {
    let mut builder = auto::Builder::new(executor);
    builder
        .http1()
        .timer(TokioTimer::new())
        // A client may say that it sends no more and wait for its answer.
        .half_close(true)
        .header_read_timeout(header_timeout)
        .max_buf_size(HEADER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEADER_BYTES_MAX as u32)
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .initial_stream_window_size(HTTP2_STREAM_WINDOW)
        .initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
        .max_send_buf_size(HTTP2_SEND_BUFFER)
        .keep_alive_interval(HTTP2_PING_INTERVAL);
    builder
}
