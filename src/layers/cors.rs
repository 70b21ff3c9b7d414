//! Lets pages of the configured origins call from a browser; without origins it does nothing.
//!
//! Only a preflight (an OPTIONS that asks for a method) is answered here; any other OPTIONS goes on
//! to the router, which knows what the path allows.

use std::time::Duration;

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ETAG, ORIGIN, RETRY_AFTER, VARY};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use tonic::body::Body;
use tower::{Layer, Service};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

use super::around::{Answered, Around};
use super::rate_limit;
use super::request_id::X_REQUEST_ID;
use super::{Request, ResponseFuture};

const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const PREFLIGHT_CACHED: Duration = Duration::from_secs(3600);

/// The layer that lets pages of the configured origins call from a browser.
#[derive(Clone)]
pub struct Cors {
    layer: CorsLayer,
    enabled: bool,
}

impl Cors {
    /// Makes the layer for pages of `origins` only, such as `https://app.example`.
    pub fn new(origins: &[HeaderValue]) -> Self {
        // gRPC-web reads its status from these when an answer has no body.
        let grpc = ["grpc-status", "grpc-message", "grpc-status-details-bin"];
        let exposed = grpc.map(HeaderName::from_static).into_iter();
        let exposed = exposed.chain([X_REQUEST_ID, ETAG, RETRY_AFTER, IDEMPOTENT_REPLAYED]);
        let exposed = exposed.chain(rate_limit::HEADERS);
        let layer = CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins.iter().cloned()))
            .allow_methods(AllowMethods::mirror_request())
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(exposed.collect::<Vec<_>>())
            .max_age(PREFLIGHT_CACHED);
        Self { layer, enabled: !origins.is_empty() }
    }
}

impl Around for Cors {
    fn around<F: Answered>(
        &self,
        request: Request,
        next: impl FnOnce(Request) -> F,
    ) -> ResponseFuture {
        let headers = request.headers();
        let options = request.method() == Method::OPTIONS;
        let preflight = options && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !self.enabled {
            return Box::pin(next(request));
        }
        if !headers.contains_key(ORIGIN) || (options && !preflight) {
            let answered = next(request);
            return Box::pin(async move {
                let mut response = answered.await?;
                // A cache must not give this answer to a page of another origin.
                response.headers_mut().append(VARY, HeaderValue::from_static("origin"));
                Ok(response)
            });
        }
        let mut next = Some(next);
        let below = tower::service_fn(|request| next.take().expect("called once")(request));
        let answered = self.layer.layer(below).call(request);
        Box::pin(async move {
            let mut response = answered.await?.map(Body::new);
            if preflight {
                *response.status_mut() = StatusCode::NO_CONTENT;
            }
            Ok(response)
        })
    }
}
