//! The layer that opens the span of a request, in which all its log lines stand, and logs its end.
//!
//! It records neither headers nor path nor query: somebody may have put a key into any of them.
//! What the request is for, `resolve` adds once it knows.

use std::time::Instant;

use http::Method;
use tracing::{Instrument, debug, info_span};

use super::around::{Answered, Around};
use super::request_id::RequestId;
use super::{Request, ResponseFuture};

/// The layer that opens the span of a request and logs its end.
#[derive(Debug, Clone, Copy)]
pub struct Trace;

impl Around for Trace {
    fn around<F: Answered>(
        &self,
        request: Request,
        next: impl FnOnce(Request) -> F,
    ) -> ResponseFuture {
        let id = request.extensions().get::<RequestId>().map_or("", RequestId::as_str);
        let span = info_span!(
            "request",
            // Shown as they are: as plain text they would be escaped letter by letter.
            request_id = %id,
            method = %known(request.method()),
            rpc = tracing::field::Empty,
        );
        let started = Instant::now();
        let answered = span.in_scope(|| next(request));
        let answered = async move {
            let response = answered.await?;
            let latency_us = started.elapsed().as_micros() as u64;
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
