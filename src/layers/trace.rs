//! Opens the span that every log line of a request stands in, and logs how the request ended.
//!
//! It records neither headers nor path nor query: somebody may have put a key into any of them.
//! What the request is for, `resolve` adds once it knows.

use std::task::{Context, Poll};
use std::time::Instant;

use http::Method;
use tower::{BoxError, Layer, Service};
use tracing::{Instrument, debug, info_span};

use super::request_id::RequestId;
use super::{Request, Response, ResponseFuture};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct TraceLayer;

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Trace { inner }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Trace<S> {
    inner: S,
}

impl<S> Service<Request> for Trace<S>
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

    fn call(&mut self, request: Request) -> Self::Future {
        let id = request.extensions().get::<RequestId>().map_or("", RequestId::as_str);
        let span = info_span!(
            "request",
            request_id = id,
            method = known(request.method()),
            target = tracing::field::Empty,
        );
        let started = Instant::now();
        let answered = self.inner.call(request);
        let answered = async move {
            let response = answered.await?;
            let latency_us = started.elapsed().as_micros();
            debug!(status = response.status().as_u16(), latency_us, "answered");
            Ok(response)
        };
        Box::pin(answered.instrument(span))
    }
}

/// The method, unless the client made it up: it too could hold a key.
fn known(method: &Method) -> &str {
    let methods = [
        Method::GET,
        Method::POST,
        Method::PATCH,
        Method::PUT,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
    ];
    if methods.contains(method) { method.as_str() } else { "OTHER" }
}
