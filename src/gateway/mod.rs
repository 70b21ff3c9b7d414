//! REST as another transport of the same services: takes a request that the layers let through,
//! has its binding answer, and makes an HTTP response of the answer.
//!
//! The bindings are generated from the HTTP rules; no service is named here, and no error is
//! rendered: that is for `layers::respond`.

mod body;
pub mod github;
mod openapi;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::Full;
use rest::{Binding, Call, Refusal, Reply};
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tower::BoxError;

use self::github::Github;
pub use self::openapi::OpenApi;
use crate::body::{Bodies, bytes_max};
use crate::error::{Error, Kind};
use crate::layers::resolve::{Page, Target};
use crate::layers::respond::IDEMPOTENT_REPLAYED;
use crate::layers::{Request, Response};
use crate::metrics;
use crate::readiness::Readiness;

/// Headers that become metadata of the call; no other header reaches a service.
const METADATA: [HeaderName; 1] = [IF_MATCH];

/// Metadata of an answer that become headers; no other metadata leave a service over REST.
const ANSWERED: [HeaderName; 2] = [CACHE_CONTROL, IDEMPOTENT_REPLAYED];

/// Answers everything that is not gRPC.
pub struct Gateway {
    /// Whether the service is ready.
    pub readiness: Readiness,
    /// What reads bodies.
    pub bodies: Bodies,
    /// The OpenAPI document.
    pub openapi: OpenApi,
    /// What takes the reports of GitHub's secret scanning, where they are let in.
    pub github: Option<Github>,
}

impl Gateway {
    /// Answers a request whose target is known.
    pub async fn answer(&self, mut request: Request) -> Result<Response, BoxError> {
        let max = bytes_max(request.extensions().get::<Target>());
        Ok(match request.extensions_mut().remove::<Target>() {
            Some(Target::Rest { binding, captures, .. }) => {
                self.call(request, binding, captures, max).await?
            }
            Some(Target::Options { allow }) => options(&allow)?,
            Some(Target::Page(page)) => self.show(request, page).await?,
            Some(Target::GithubSecretScanning) => {
                let github = self.github.as_ref().ok_or_else(unresolved)?;
                github.answer(request, &self.bodies).await?
            }
            Some(Target::Grpc { .. } | Target::GrpcStream { .. }) | None => {
                return Err(unresolved().into());
            }
        })
    }

    /// Answers what is no RPC. Nothing that a client sends is ignored there either.
    async fn show(&self, request: Request, page: Page) -> Result<Response, Error> {
        let (parts, body) = request.into_parts();
        body::check_coding(&parts.headers)?;
        self.bodies.expect_none(&parts, body).await?;
        if parts.uri.query().is_some() {
            return Err(Error::new(Kind::UnknownField, "This path takes no query parameters."));
        }
        Ok(match page {
            Page::Live => text("ok"),
            Page::Ready => {
                self.readiness.check().await?;
                text("ok")
            }
            Page::Metrics => text(metrics::render()),
            Page::OpenApi => self.openapi.answer(&parts.headers),
        })
    }

    async fn call(
        &self,
        request: Request,
        binding: Binding,
        captures: Vec<String>,
        max: usize,
    ) -> Result<Response, Error> {
        let (mut parts, body) = request.into_parts();
        let body = if binding.takes_body {
            body::read(&self.bodies, &mut parts, body, max).await?
        } else {
            body::check_coding(&parts.headers)?;
            self.bodies.expect_none(&parts, body).await?;
            Bytes::new()
        };
        let query = parts.uri.query().map(str::to_owned);
        let metadata = metadata(&parts.headers);
        let call = Call { captures, query, body, metadata, extensions: parts.extensions };
        match binding.call(call).await {
            Ok(reply) => respond(reply),
            Err(Refusal::MalformedJson(sentence)) => Err(Error::new(Kind::MalformedJson, sentence)),
            Err(Refusal::Status(status)) => {
                Err(Error::of_status(status).unwrap_or_else(Error::internal))
            }
        }
    }
}

/// The layers before let through only what there is an answer for.
fn unresolved() -> Error {
    Error::internal("a request reached the gateway unresolved")
}

fn metadata(headers: &HeaderMap) -> MetadataMap {
    let mut allowed = HeaderMap::new();
    for name in METADATA {
        for value in headers.get_all(&name) {
            allowed.append(&name, value.clone());
        }
    }
    MetadataMap::from_headers(allowed)
}

fn respond(reply: Reply) -> Result<Response, Error> {
    let status = StatusCode::from_u16(reply.status).map_err(Error::internal)?;
    let mut response = json(status, reply.body);
    if let Some(etag) = reply.etag {
        let etag = HeaderValue::from_str(&etag).map_err(Error::internal)?;
        response.headers_mut().insert(ETAG, etag);
    }
    let metadata = reply.metadata.into_headers();
    for name in ANSWERED {
        if let Some(value) = metadata.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    Ok(response)
}

fn json(status: StatusCode, body: Bytes) -> Response {
    let mut response = http::Response::new(Body::new(Full::new(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn text(body: impl Into<Bytes>) -> Response {
    let mut response = http::Response::new(Body::new(Full::new(body.into())));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn options(allow: &str) -> Result<Response, Error> {
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let allow = HeaderValue::from_str(allow).map_err(Error::internal)?;
    response.headers_mut().insert(ALLOW, allow);
    Ok(response)
}
