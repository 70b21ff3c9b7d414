//! Bounds the memory of answers that clients have not read yet.
//!
//! A request is refused while the answers that are held leave no room, and so is a large answer that
//! finds none. The answer to a change is given all the same: to refuse it would hide that the change
//! was made. A stream counts for as long as it is open, with the frame that its client has not taken.

use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use rest::IdempotencyKeyUse;
use tonic::Status;
use tonic::body::Body;

use super::resolve::{Page, Target};
use super::{IsStream, Request, Response};
use crate::config::{ANSWER_PIECE_BYTES, OPEN_STREAM_BYTES};
use crate::error::Error;
use crate::grpc::AnswerBytes;
use crate::held_bytes::{HeldBytes, Hold};
use crate::trail::Trail;

/// The facts of an answer that are known before it is made.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    client: IpAddr,
    is_of_change: bool,
    /// True for the OpenAPI document, which is in memory once for all readers.
    is_shared: bool,
    is_stream: bool,
}

impl Answer {
    /// Refuses a request whose answer would find no room.
    pub fn begin(held: &HeldBytes, request: &Request) -> Result<Self, Error> {
        let extensions = request.extensions();
        let trail = extensions.get::<Arc<Trail>>();
        let client = trail.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |trail| trail.client);
        let target = extensions.get::<Target>();
        let rpc = target.and_then(Target::rpc).map(|(rpc, _)| rpc);
        let policy = rpc.and_then(|rpc| rpc.policy);
        if policy.is_some() {
            held.check(client)?;
        }
        let is_of_change =
            policy.is_some_and(|policy| policy.idempotency_key != IdempotencyKeyUse::Ignored);
        let is_shared = matches!(target, Some(Target::Page(Page::OpenApi)));
        let is_stream = rpc.is_some_and(|rpc| rpc.streams);
        Ok(Self { client, is_of_change, is_shared, is_stream })
    }

    /// Counts the memory of the answer until it is written, if it is more than a piece.
    pub fn hold(self, held: &HeldBytes, mut response: Response) -> Result<Response, Error> {
        if self.is_stream {
            return self.hold_stream(held, response);
        }
        let told = response.extensions().get::<AnswerBytes>().map(|bytes| bytes.0);
        let exact = || response.body().size_hint().exact().map(|bytes| bytes as usize);
        let bytes = told.or_else(exact).unwrap_or_default();
        if self.is_shared || bytes <= ANSWER_PIECE_BYTES {
            return Ok(response);
        }
        let hold = held.hold(self.client);
        if self.is_of_change {
            hold.grow_anyway(bytes);
        } else {
            hold.grow(bytes)?;
        }
        response.extensions_mut().insert(Arc::new(hold));
        Ok(response)
    }

    fn hold_stream(self, held: &HeldBytes, mut response: Response) -> Result<Response, Error> {
        let hold = held.hold(self.client);
        hold.grow(OPEN_STREAM_BYTES)?;
        let hold = Arc::new(hold);
        response.extensions_mut().insert(Arc::clone(&hold));
        response.extensions_mut().insert(IsStream);
        Ok(response.map(|body| Body::new(Held { body, hold, frame_bytes: 0 })))
    }
}

/// The body of a stream, whose large frames count until the next one is asked for.
struct Held {
    body: Body,
    hold: Arc<Hold>,
    frame_bytes: usize,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let taken = std::mem::take(&mut self.frame_bytes);
        self.hold.shrink(taken);
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)?) else {
            return Poll::Ready(None);
        };
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        if bytes > OPEN_STREAM_BYTES {
            if self.hold.grow(bytes).is_err() {
                // There is no frame that could tell: the client opens the stream again where it was.
                return Poll::Ready(Some(Err(Status::unavailable(
                    "there is no memory for a frame",
                ))));
            }
            self.frame_bytes = bytes;
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
