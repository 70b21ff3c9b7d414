//! REST as another transport of the same services: takes a request that the layers let through,
//! has its binding answer, and makes an HTTP response of the answer.
//!
//! The bindings are generated from the HTTP rules; no service is named here, and no error is
//! rendered: that is for `layers::respond`.

mod accept;
mod body;
pub mod github;
mod json;
mod openapi;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use rest::{Binding, Call, Content, Refusal, Reply, StreamFormat, stream};
use sha2::{Digest, Sha256};
use tonic::Status;
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tower::BoxError;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

use self::accept::stream_format;
use self::github::Github;
use self::json::json;
pub use self::openapi::OpenApi;
use crate::body::{Bodies, bytes_max};
use crate::config::COMPRESS_BYTES_MIN;
use crate::error::{Error, Kind};
use crate::layers::request_id::RequestId;
use crate::layers::resolve::{Page, Target};
use crate::layers::respond::{self, IDEMPOTENT_REPLAYED};
use crate::layers::{Request, Response};
use crate::metrics;
use crate::preconditions::{Outcome, Preconditions};
use crate::readiness::Readiness;

/// The metadata of an answer that become headers; no other metadata leave a service over REST.
const ANSWERED: [HeaderName; 2] = [CACHE_CONTROL, IDEMPOTENT_REPLAYED];

/// The headers that become metadata; no other header reaches a service over REST.
const FORWARDED: [HeaderName; 1] = [HeaderName::from_static("last-event-id")];

/// The header that has nginx hand on each frame of a stream as it comes.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Answers everything that is not gRPC.
pub struct Gateway {
    /// The readiness of the service.
    pub readiness: Readiness,
    /// The reader of bodies.
    pub bodies: Bodies,
    /// The OpenAPI document.
    pub openapi: OpenApi,
    /// The receiver of reports from GitHub's secret scanning, where they are let in.
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

    /// Answers a request for a page that is no RPC. Nothing that a client sends is ignored there
    /// either.
    async fn show(&self, request: Request, page: Page) -> Result<Response, Error> {
        let (parts, body) = request.into_parts();
        body::check_coding(&parts.headers)?;
        self.bodies.expect_none(&parts, body).await?;
        let preconditions = parts.extensions.get::<Arc<Preconditions>>();
        if let Some(conditions) = preconditions.filter(|it| !it.violations.is_empty()) {
            return Err(Error::invalid(conditions.violations.clone()));
        }
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
        let conditions = parts.extensions.get::<Arc<Preconditions>>().cloned();
        let metadata = forwarded(&parts.headers);
        let stream_format = stream_format(&parts.headers);
        let request_id = parts.extensions.get::<RequestId>().cloned();
        let extensions = parts.extensions;
        let call = Call { captures, query, body, metadata, extensions, stream_format };
        match binding.call(call).await {
            Ok(Reply { status, content: Content::Stream(frames), .. }) => {
                let status = StatusCode::from_u16(status).map_err(Error::internal)?;
                Ok(streamed(status, frames, stream_format, request_id))
            }
            Ok(Reply { status, content: Content::Whole(body), version, metadata }) => {
                let reply = Whole { status, body, metadata };
                let tag = version.map(|version| entity_tag(&binding, version, &reply.body));
                let is_read = parts.method == Method::GET || parts.method == Method::HEAD;
                if let (true, Some(conditions), Some(version), Some(tag)) =
                    (is_read, conditions, version, &tag)
                    && conditions.answer(version, tag)? == Outcome::NotModified
                {
                    return not_modified(reply, tag);
                }
                respond(reply, tag.as_deref())
            }
            Err(Refusal::MalformedJson(sentence)) => Err(Error::new(Kind::MalformedJson, sentence)),
            Err(Refusal::Status(status)) => {
                Err(Error::of_status(status).unwrap_or_else(Error::internal))
            }
        }
    }
}

/// Returns the predicate for answers that are compressed: large ones, and never a stream, whose
/// frames would wait for more.
pub fn is_compressed() -> impl Predicate {
    SizeAbove::new(COMPRESS_BYTES_MIN)
        .and(NotForContentType::const_new(StreamFormat::Sse.media_type()))
        .and(NotForContentType::const_new(StreamFormat::Ndjson.media_type()))
}

/// An answer that is whole.
struct Whole {
    status: u16,
    body: Bytes,
    metadata: MetadataMap,
}

/// The layers before let through only what there is an answer for.
fn unresolved() -> Error {
    Error::internal("a request reached the gateway unresolved")
}

/// The version, and a digest of the answer where it shows figures that change without one. 64 bits
/// are enough to tell one answer from the next.
fn entity_tag(binding: &Binding, version: i64, body: &[u8]) -> String {
    if !binding.rpc.has_figures {
        return version.to_string();
    }
    let digest = Sha256::digest(body);
    let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{version}-{digest}")
}

/// Tells who asks that they have the answer (RFC 9110 section 15.4.5).
fn not_modified(reply: Whole, tag: &str) -> Result<Response, Error> {
    let reply = Whole { status: StatusCode::NOT_MODIFIED.as_u16(), body: Bytes::new(), ..reply };
    let mut response = respond(reply, Some(tag))?;
    *response.body_mut() = Body::empty();
    response.headers_mut().remove(CONTENT_TYPE);
    // As the whole answer has it, which may be compressed.
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
    Ok(response)
}

fn respond(reply: Whole, tag: Option<&str>) -> Result<Response, Error> {
    let status = StatusCode::from_u16(reply.status).map_err(Error::internal)?;
    let mut response = json(status, reply.body);
    if let Some(tag) = tag {
        let tag = HeaderValue::from_str(&format!("\"{tag}\"")).map_err(Error::internal)?;
        response.headers_mut().insert(ETAG, tag);
    }
    let metadata = reply.metadata.into_headers();
    for name in ANSWERED {
        if let Some(value) = metadata.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    Ok(response)
}

fn forwarded(headers: &HeaderMap) -> MetadataMap {
    let mut metadata = HeaderMap::new();
    for name in FORWARDED {
        for value in headers.get_all(&name) {
            metadata.append(name.clone(), value.clone());
        }
    }
    MetadataMap::from_headers(metadata)
}

/// An open stream. The error by which it ends is its last frame.
fn streamed(
    status: StatusCode,
    frames: stream::Frames,
    format: StreamFormat,
    request_id: Option<RequestId>,
) -> Response {
    let frames = frames.map(move |frame| {
        Ok::<_, Status>(Frame::data(frame.unwrap_or_else(|status| {
            let error = Error::of_status(status).unwrap_or_else(Error::internal);
            let request_id = request_id.as_ref().map_or("", RequestId::as_str);
            stream::error(format, &respond::bytes(&error, request_id))
        })))
    });
    let mut response = http::Response::new(Body::new(StreamBody::new(frames)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
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
