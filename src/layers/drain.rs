//! Reads the rest of a refused body before the refusal is sent, within bounds.
//!
//! A client that still sends when the connection closes, or its stream is reset, loses the answer
//! that tells it what was wrong. gRPC is left alone: its clients know how to stop.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::EXPECT;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use tokio::sync::oneshot;
use tonic::Status;
use tonic::body::Body;

use super::around::{Answered, Around};
use super::{Protocol, Request, ResponseFuture};
use crate::config::{DRAIN_REFUSED_WITHIN, DRAINED_BYTES_MAX};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Drain;

impl Around for Drain {
    fn around<F: Answered>(
        &self,
        request: Request,
        next: impl FnOnce(Request) -> F,
    ) -> ResponseFuture {
        // A client that asks first (Expect: 100-continue) has not begun to send.
        let nothing_to_come = request.body().is_end_stream()
            || request.headers().contains_key(EXPECT)
            || Protocol::of(&request) != Protocol::Rest;
        if nothing_to_come {
            return Box::pin(next(request));
        }
        let (give_back, left) = oneshot::channel();
        let answered = next(
            request.map(|body| Body::new(Lent { body: Some(body), give_back: Some(give_back) })),
        );
        Box::pin(async move {
            let response = answered.await?;
            if response.status().is_client_error() || response.status().is_server_error() {
                drain(left).await;
            }
            Ok(response)
        })
    }
}

/// Reads and drops what is left of the body, if anybody gave it back.
async fn drain(left: oneshot::Receiver<Body>) {
    let read = async {
        if let Ok(body) = left.await {
            let mut body = Limited::new(body, DRAINED_BYTES_MAX);
            while let Some(Ok(_)) = body.frame().await {}
        }
    };
    // Out of time: the refusal is sent all the same, and may be lost.
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
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
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
        if let (Some(body), Some(give_back)) = (self.body.take(), self.give_back.take()) {
            // Nobody waits for it where the request was answered: then it is dropped here.
            let _ = give_back.send(body);
        }
    }
}
