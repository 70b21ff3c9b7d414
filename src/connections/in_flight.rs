//! The requests of one connection that are in flight, counted so that a stop can tell which
//! connections still owe an answer.
//!
//! A request is in flight from the moment its headers have been read until its answer is written.
//! Three things hold it there, one after the other: the future of its answer, the body of the
//! answer, and each piece of that body that hyper keeps while the peer takes no more.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use futures_util::task::AtomicWaker;
use http::Version;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tonic::Status;
use tonic::body::Body;
use tower::{BoxError, Service};

use super::Peer;
use crate::layers::{Request, Response};

/// What a connection and its requests tell each other.
#[derive(Default)]
pub struct Activity {
    begun: AtomicUsize,
    /// One for each [`InFlight`], so several for some requests.
    in_flight: AtomicUsize,
    http2: AtomicBool,
    unflushed: AtomicBool,
    done: AtomicWaker,
}

/// How many requests there were at a moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Since the connection began.
    pub begun: usize,
    /// Zero when none is in flight; otherwise at least their number.
    pub in_flight: usize,
}

impl Activity {
    pub fn counts(&self) -> Counts {
        let begun = self.begun.load(Ordering::Relaxed);
        // Pairs with the end of a request: its answer is seen by who sees it ended.
        Counts { begun, in_flight: self.in_flight.load(Ordering::Acquire) }
    }

    /// Whether a request came by HTTP/2.
    pub fn http2(&self) -> bool {
        self.http2.load(Ordering::Relaxed)
    }

    /// Whether bytes were written that the socket has not taken.
    pub fn unflushed(&self) -> bool {
        self.unflushed.load(Ordering::Relaxed)
    }

    pub fn set_unflushed(&self, unflushed: bool) {
        self.unflushed.store(unflushed, Ordering::Relaxed);
    }

    /// Has `waker` woken once none is in flight any more.
    pub fn wake_when_done(&self, waker: &Waker) {
        self.done.register(waker);
    }
}

/// A request in flight, for as long as any clone of this exists.
struct InFlight(Arc<Activity>);

impl InFlight {
    fn begin(activity: &Arc<Activity>, version: Version) -> Self {
        activity.begun.fetch_add(1, Ordering::Relaxed);
        if version == Version::HTTP_2 {
            activity.http2.store(true, Ordering::Relaxed);
        }
        Self::hold(activity)
    }

    fn hold(activity: &Arc<Activity>) -> Self {
        activity.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(activity))
    }
}

impl Clone for InFlight {
    fn clone(&self) -> Self {
        Self::hold(&self.0)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Ordering::Release) == 1 {
            self.0.done.wake();
        }
    }
}

/// The requests of one connection, on their way into its own copy of the stack. A copy for every
/// request would cost more than most layers do; no layer holds back, so none is needed.
pub struct Requests<S> {
    pub stack: RefCell<S>,
    pub peer: Peer,
    pub activity: Arc<Activity>,
}

impl<S> hyper::service::Service<http::Request<Incoming>> for Requests<S>
where
    S: Service<Request, Response = Response, Error = BoxError, Future: Unpin>,
{
    type Response = http::Response<Answer>;
    type Error = BoxError;
    type Future = Answering<S::Future>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        let in_flight = InFlight::begin(&self.activity, request.version());
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.peer);
        Answering { answer: self.stack.borrow_mut().call(request), in_flight }
    }
}

/// An answer that is still to come.
pub struct Answering<F> {
    answer: F,
    in_flight: InFlight,
}

impl<F: Future<Output = Result<Response, BoxError>> + Unpin> Future for Answering<F> {
    type Output = Result<http::Response<Answer>, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.answer).poll(cx))?;
        let in_flight = self.in_flight.clone();
        Poll::Ready(Ok(answer.map(|body| Answer { body, in_flight })))
    }
}

/// The body of an answer.
pub struct Answer {
    body: Body,
    in_flight: InFlight,
}

impl http_body::Body for Answer {
    type Data = Piece;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        let piece = |bytes| Piece { bytes, _in_flight: self.in_flight.clone() };
        frame.map_ok(|frame| frame.map_data(piece))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A piece of an answer's body. hyper drops it when the socket has taken it.
pub struct Piece {
    bytes: Bytes,
    _in_flight: InFlight,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }

    fn copy_to_bytes(&mut self, len: usize) -> Bytes {
        self.bytes.copy_to_bytes(len)
    }
}
