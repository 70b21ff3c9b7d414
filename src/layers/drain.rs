//! The layer that reads the rest of a body before the answer is sent, within bounds.
//!
//! A client that still sends when the connection closes loses the answer that tells it what was wrong;
//! so may one whose stream is reset. gRPC over HTTP/2 is left alone: its clients know how to stop. A
//! client of HTTP/1.1 that asks first (Expect: 100-continue) has not begun to send: its connection
//! closes, and the answer says so.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Version};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use tokio::sync::oneshot;
use tonic::Status;
use tonic::body::Body;

use super::around::{Answered, Around};
use super::{Protocol, Request, ResponseFuture};
use crate::config::{DRAIN_REFUSED_WITHIN, DRAINED_BYTES_MAX};

/// The layer that reads the rest of a body before the answer is sent.
#[derive(Debug, Clone, Copy)]
pub struct Drain;

impl Around for Drain {
    fn around<F: Answered>(
        &self,
        request: Request,
        next: impl FnOnce(Request) -> F,
    ) -> ResponseFuture {
        let is_http1 = request.version() < Version::HTTP_2;
        let knows_how_to_stop = !is_http1 && Protocol::of(&request) != Protocol::Rest;
        if request.body().is_end_stream() || knows_how_to_stop {
            return Box::pin(next(request));
        }
        let asks_first = is_http1 && request.headers().contains_key(EXPECT);
        let (give_back, mut left) = oneshot::channel();
        let lend = |body| Lent { body: Some(body), give_back: Some(give_back) };
        let answered = next(request.map(|body| Body::new(lend(body))));
        Box::pin(async move {
            let mut response = answered.await?;
            // A body that is still held is read by the answer, which has only begun.
            match left.try_recv() {
                Ok(_) if asks_first => {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok(body) => drain(body).await,
                Err(_) => {}
            }
            Ok(response)
        })
    }
}

/// Reads and drops what is left of the body.
async fn drain(body: Body) {
    let mut body = Limited::new(body, DRAINED_BYTES_MAX);
    let read = async { while let Some(Ok(_)) = body.frame().await {} };
    // Out of time: the answer is sent all the same, and may be lost.
    let _ = tokio::time::timeout(DRAIN_REFUSED_WITHIN, read).await;
}

/// A body that is given back when it is dropped before its end.
struct Lent {
    body: Option<Body>,
    give_back: Option<oneshot::Sender<Body>>,
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = std::task::ready!(Pin::new(body).poll_frame(cx));
        if frame.is_none() {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, http_body::Body::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let left = self.body.take().filter(|body| !body.is_end_stream());
        if let (Some(body), Some(give_back)) = (left, self.give_back.take()) {
            // Nobody waits for it once the request was answered: then it is dropped here.
            let _ = give_back.send(body);
        }
    }
}
