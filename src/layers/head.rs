//! Cuts the body of an answer to HEAD, above everything that shapes the answer to GET: the header
//! fields are the same under the same request (RFC 9110 section 9.3.2).

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_LENGTH;
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;

use super::Response;

/// The answer without its body, and with the length that the body would have had, if that is known.
pub fn without_body(response: Response) -> Response {
    let len = http_body::Body::size_hint(response.body()).exact();
    let body = if len.is_some() { Body::empty() } else { Body::new(Unknown) };
    let mut response = response.map(|_| body);
    if let Some(len) = len {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(len));
    }
    response
}

/// A body of unknown length, without content: an empty body would be told to have the length 0.
struct Unknown;

impl http_body::Body for Unknown {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(None)
    }
}
