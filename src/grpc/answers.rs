//! The answer of a unary call as one piece of memory.
//!
//! tonic encodes a message when its body is read, which may be much later: until then the message
//! itself would be held, of a size that nobody knows.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tonic::Status;
use tonic::body::Body;

use crate::error::Error;
use crate::layers::Response;

/// The bytes of an answer, as an extension of it, where its body does not tell.
#[derive(Debug, Clone, Copy)]
pub struct AnswerBytes(pub usize);

/// The response with its body encoded.
pub async fn whole(response: Response) -> Result<Response, Error> {
    let (mut parts, body) = response.into_parts();
    // One message, which is there: nothing is waited for.
    let collected = body.collect().await.map_err(Error::internal)?;
    let trailers = collected.trailers().cloned();
    let data = collected.to_bytes();
    parts.extensions.insert(AnswerBytes(data.len()));
    let data = Some(data).filter(|data| !data.is_empty());
    Ok(Response::from_parts(parts, Body::new(Whole { data, trailers })))
}

/// A body of data and trailers. Its size is not told: gRPC has no Content-Length.
struct Whole {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl http_body::Body for Whole {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = self.data.take().map(Frame::data);
        let frame = frame.or_else(|| self.trailers.take().map(Frame::trailers));
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
