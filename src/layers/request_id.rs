//! Gives every request an id and puts it on the answer.

use std::task::{Context, Poll};

use http::{HeaderName, HeaderValue};
use tower::{BoxError, Layer, Service};

use super::{Request, Response, ResponseFuture};
use crate::id;
use crate::key::holds_key;

/// The header that carries the id, both ways.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const LEN_MAX: usize = 128;

/// The id of a request: 1 to 128 visible ASCII characters.
#[derive(Debug, Clone)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id that the client sent, or a new one when it sent none, several or a bad one. A key is
    /// a bad one: ids stand in answers and logs.
    fn of(request: &Request) -> Self {
        let mut sent = request.headers().get_all(X_REQUEST_ID).iter();
        match (sent.next(), sent.next()) {
            (Some(value), None) if is_valid(value.as_bytes()) => Self(value.clone()),
            _ => Self(HeaderValue::from_str(&id::request()).expect("base62 is visible ASCII")),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().expect("checked to be visible ASCII")
    }
}

fn is_valid(value: &[u8]) -> bool {
    let text = std::str::from_utf8(value).unwrap_or_default();
    (1..=LEN_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && !holds_key(text)
}

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct RequestIdLayer;

impl<S> Layer<S> for RequestIdLayer {
    type Service = RequestIds<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestIds { inner }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub struct RequestIds<S> {
    inner: S,
}

impl<S> Service<Request> for RequestIds<S>
where
    S: Service<Request, Response = Response, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = BoxError;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let id = RequestId::of(&request);
        request.extensions_mut().insert(id.clone());
        let answered = self.inner.call(request);
        Box::pin(async move {
            let mut response = answered.await?;
            response.headers_mut().insert(X_REQUEST_ID, id.0);
            Ok(response)
        })
    }
}
