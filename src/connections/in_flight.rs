//! The requests of one connection that are in flight, counted so that it is known which connections
//! owe an answer, and which have been idle for longest.
//!
//! A request is in flight from the moment its headers have been read until its answer is written.
//! Three things hold it there, one after the other: the future of its answer, the body of the
//! answer, and each piece of that body that hyper keeps while the peer takes no more.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use futures_util::task::AtomicWaker;
use http::Version;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tonic::Status;
use tonic::body::Body;
use tower::{BoxError, Service};

use super::peer::Peer;
use super::streams;
use super::writing::{Writing, now_ms};
use crate::config::ANSWER_PIECE_BYTES;
use crate::held_bytes::Hold;
use crate::layers::{IsStream, Request, Response};

/// The activity of a connection, which the connection and its requests share.
pub struct Activity {
    begun: AtomicUsize,
    /// The number of [`InFlight`]s; some requests have several.
    in_flight: AtomicUsize,
    /// The time since when no request is in flight; it counts only while that is so.
    idle_since_ms: AtomicU64,
    /// The time at which the socket last took something, or hyper a piece of an answer.
    moved_at_ms: AtomicU64,
    http2: AtomicBool,
    /// True if the answer that is written by HTTP/1.1 is a stream.
    streams: AtomicBool,
    unflushed: AtomicBool,
    /// The pieces of answers that hyper has and the socket has not taken.
    pieces: AtomicUsize,
    done: AtomicWaker,
    gives_way: AtomicBool,
    giving_way: AtomicWaker,
    /// The answer that is written by HTTP/1.1, which writes one at a time.
    writing: Mutex<Weak<Writing>>,
}

/// The number of requests at a moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// The number of requests since the connection began.
    pub begun: usize,
    /// The number of requests in flight, or more while there are any; 0 when there are none.
    pub in_flight: usize,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            begun: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            idle_since_ms: AtomicU64::new(now_ms()),
            moved_at_ms: AtomicU64::new(now_ms()),
            http2: AtomicBool::new(false),
            streams: AtomicBool::new(false),
            unflushed: AtomicBool::new(false),
            pieces: AtomicUsize::new(0),
            done: AtomicWaker::new(),
            gives_way: AtomicBool::new(false),
            giving_way: AtomicWaker::new(),
            writing: Mutex::new(Weak::new()),
        }
    }
}

impl Activity {
    pub fn counts(&self) -> Counts {
        let begun = self.begun.load(Ordering::Relaxed);
        // Pairs with the end of a request: its answer is seen by who sees it ended.
        Counts { begun, in_flight: self.in_flight.load(Ordering::Acquire) }
    }

    /// Returns the time since when there is no request; none while there is one.
    pub fn idle_since_ms(&self) -> Option<u64> {
        let is_idle = self.in_flight.load(Ordering::Acquire) == 0;
        is_idle.then(|| self.idle_since_ms.load(Ordering::Relaxed))
    }

    /// Returns the time at which bytes of an answer last moved.
    pub fn moved_at_ms(&self) -> u64 {
        self.moved_at_ms.load(Ordering::Relaxed)
    }

    /// Notes that the socket took bytes.
    pub fn sent(&self) {
        self.moved_at_ms.store(now_ms(), Ordering::Relaxed);
        if !self.http2()
            && let Some(writing) = self.writing()
        {
            writing.moved(now_ms());
        }
    }

    /// Returns true if hyper has pieces of answers that the socket has not taken.
    pub fn has_pieces(&self) -> bool {
        self.pieces.load(Ordering::Relaxed) > 0
    }

    /// The answer that is being written, by HTTP/1.1.
    pub fn writing(&self) -> Option<Arc<Writing>> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    fn write(&self, writing: &Arc<Writing>) {
        *self.writing.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(writing);
    }

    /// Returns true if a request came by HTTP/2.
    pub fn http2(&self) -> bool {
        self.http2.load(Ordering::Relaxed)
    }

    /// Returns true if the answer that is being written by HTTP/1.1 is a stream.
    pub fn streams(&self) -> bool {
        self.streams.load(Ordering::Relaxed)
    }

    /// Returns true if bytes were written that the socket has not taken.
    pub fn unflushed(&self) -> bool {
        self.unflushed.load(Ordering::Relaxed)
    }

    pub fn set_unflushed(&self, unflushed: bool) {
        self.unflushed.store(unflushed, Ordering::Relaxed);
    }

    /// Has `waker` woken once no request is in flight any more.
    pub fn wake_when_done(&self, waker: &Waker) {
        self.done.register(waker);
    }

    /// Asks the connection to end, because others need its slot.
    pub fn give_way(&self) {
        self.gives_way.store(true, Ordering::Release);
        self.giving_way.wake();
    }

    /// Resolves once the connection has to end. One task may wait.
    pub fn poll_gives_way(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.giving_way.register(cx.waker());
        if self.gives_way.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// A request in flight, for as long as any clone of this exists.
struct InFlight(Arc<Activity>);

#[cfg(test)]
impl Activity {
    /// A request that is in flight until what is answered is dropped.
    pub fn begin_one(self: &Arc<Self>) -> impl Drop + use<> {
        InFlight::begin(self, Version::HTTP_11)
    }
}

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
        // Before the count: whoever sees it idle sees since when.
        if self.0.in_flight.load(Ordering::Relaxed) == 1 {
            self.0.idle_since_ms.store(now_ms(), Ordering::Relaxed);
        }
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
        let mut answer = ready!(Pin::new(&mut self.answer).poll(cx))?;
        let hold = answer.extensions_mut().remove::<Arc<Hold>>();
        let writing = Arc::new(Writing::new(hold));
        let by_stream = streams::write(&writing);
        if !by_stream {
            let is_stream = answer.extensions_mut().remove::<IsStream>().is_some();
            self.in_flight.0.streams.store(is_stream, Ordering::Relaxed);
            self.in_flight.0.write(&writing);
        }
        let in_flight = self.in_flight.clone();
        let left = Bytes::new();
        Poll::Ready(Ok(answer.map(|body| Answer { body, left, writing, by_stream, in_flight })))
    }
}

/// The body of an answer.
pub struct Answer {
    body: Body,
    /// The rest of a frame that is larger than a piece.
    left: Bytes,
    writing: Arc<Writing>,
    /// True if a stream of HTTP/2 writes it.
    by_stream: bool,
    in_flight: InFlight,
}

impl Answer {
    /// The next piece of `left`. A stream of HTTP/2 gives no more at once than hyper has to keep.
    fn piece(&mut self) -> AnswerPiece {
        let len = if self.by_stream { ANSWER_PIECE_BYTES } else { usize::MAX };
        let bytes = self.left.split_to(len.min(self.left.len()));
        self.writing.give();
        let activity = &self.in_flight.0;
        if activity.pieces.fetch_add(1, Ordering::Relaxed) == 0 {
            activity.moved_at_ms.store(now_ms(), Ordering::Relaxed);
        }
        AnswerPiece { bytes, writing: Arc::clone(&self.writing), in_flight: self.in_flight.clone() }
    }

    /// Returns true if the end of the body may be told. A stream that has told it can no longer be
    /// reset, so it waits until a large answer is taken.
    fn may_end(&self, cx: &Context<'_>) -> bool {
        !(self.by_stream && self.writing.is_held()) || self.writing.is_taken(cx.waker())
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.by_stream {
            self.in_flight.0.streams.store(false, Ordering::Relaxed);
        }
    }
}

impl http_body::Body for Answer {
    type Data = AnswerPiece;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<AnswerPiece>, Status>>> {
        if !self.left.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(self.piece()))));
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Pending => {
                self.writing.rest();
                Poll::Pending
            }
            Poll::Ready(None) if !self.may_end(cx) => Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => {
                    self.left = data;
                    Poll::Ready(Some(Ok(Frame::data(self.piece()))))
                }
                Err(frame) => {
                    self.writing.moved(now_ms());
                    Poll::Ready(frame.into_trailers().ok().map(|it| Ok(Frame::trailers(it))))
                }
            },
            Poll::Ready(Some(Err(status))) => Poll::Ready(Some(Err(status))),
            Poll::Ready(None) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        let is_held = self.by_stream && self.writing.is_held();
        !is_held && self.left.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.left.len() as u64;
        let of_body = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(of_body.lower() + left);
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper + left);
        }
        hint
    }
}

/// A piece of an answer's body. hyper drops it when the socket has taken it.
pub struct AnswerPiece {
    bytes: Bytes,
    writing: Arc<Writing>,
    in_flight: InFlight,
}

impl Drop for AnswerPiece {
    fn drop(&mut self) {
        let now_ms = now_ms();
        self.writing.take(now_ms);
        self.in_flight.0.pieces.fetch_sub(1, Ordering::Relaxed);
        self.in_flight.0.moved_at_ms.store(now_ms, Ordering::Relaxed);
    }
}

impl Buf for AnswerPiece {
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
