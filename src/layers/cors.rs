//! Lets pages of the configured origins call from a browser; without origins it does nothing.
//!
//! Only a preflight (an OPTIONS that asks for a method) is answered here; any other OPTIONS goes on
//! to the router, which knows what the path allows.

use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ETAG, ORIGIN, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use tonic::body::Body;
use tower::{BoxError, Layer, Service};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, Cors, CorsLayer as Inner};

use super::request_id::X_REQUEST_ID;
use super::{Request, Response, ResponseFuture};

const PREFLIGHT_CACHED: Duration = Duration::from_secs(3600);

/// See the module.
#[derive(Clone)]
pub struct CorsLayer {
    inner: Inner,
    enabled: bool,
}

impl CorsLayer {
    /// For pages of `origins` only, such as `https://app.example`.
    pub fn new(origins: &[HeaderValue]) -> Self {
        // gRPC-web reads its status from these when an answer has no body.
        let grpc = ["grpc-status", "grpc-message", "grpc-status-details-bin"];
        let exposed =
            grpc.map(HeaderName::from_static).into_iter().chain([X_REQUEST_ID, ETAG, RETRY_AFTER]);
        let inner = Inner::new()
            .allow_origin(AllowOrigin::list(origins.iter().cloned()))
            .allow_methods(AllowMethods::mirror_request())
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(exposed.collect::<Vec<_>>())
            .max_age(PREFLIGHT_CACHED);
        Self { inner, enabled: !origins.is_empty() }
    }
}

impl<S: Clone> Layer<S> for CorsLayer {
    type Service = CrossOrigin<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let cors = self.inner.layer(inner.clone());
        CrossOrigin { inner, cors, enabled: self.enabled }
    }
}

/// See the module.
#[derive(Clone)]
pub struct CrossOrigin<S> {
    inner: S,
    cors: Cors<S>,
    enabled: bool,
}

impl<S> Service<Request> for CrossOrigin<S>
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
        let headers = request.headers();
        let options = request.method() == Method::OPTIONS;
        let preflight = options && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !self.enabled || !headers.contains_key(ORIGIN) || (options && !preflight) {
            return Box::pin(self.inner.call(request));
        }
        let answered = self.cors.call(request);
        Box::pin(async move {
            let mut response = answered.await?.map(Body::new);
            if preflight {
                *response.status_mut() = StatusCode::NO_CONTENT;
            }
            Ok(response)
        })
    }
}
