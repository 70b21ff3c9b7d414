//! The stations of a request before it reaches a service, one file each; `server.rs` stacks them.
//!
//! They know RPCs and callers, never a service. They refuse by returning `Error`, which
//! [`respond`] alone renders.

pub mod admit;
pub mod around;
pub mod audit_denials;
pub mod authenticate;
pub mod authorize;
pub mod bound_answers;
mod client_address;
pub mod cors;
pub mod deadline;
pub mod drain;
pub mod guard_stream;
pub mod head;
pub mod host;
pub mod idempotency;
pub mod rate_limit;
pub mod read_preconditions;
pub mod record;
pub mod request_id;
pub mod resolve;
pub mod respond;
pub mod trace;

use tonic::body::Body;
use tower::BoxError;

/// A request on its way in.
pub type Request = http::Request<Body>;
/// An answer on its way out.
pub type Response = http::Response<Body>;
/// The answer of a layer that has its own future.
pub type ResponseFuture =
    std::pin::Pin<Box<dyn Future<Output = Result<Response, BoxError>> + Send>>;

/// The mark of the answer to an RPC that streams, as an extension of it.
#[derive(Debug, Clone, Copy)]
pub struct IsStream;

/// The protocol of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Grpc,
    /// A request of gRPC-web, which becomes `Grpc` on its branch of the stack; the layers below
    /// never see it.
    GrpcWeb,
    Rest,
}

impl Protocol {
    /// Tells the protocol by content type, except that everything under `/api` is REST whatever it
    /// claims to be. A kind of gRPC that is not spoken here is REST too, which refuses it.
    pub fn of<B>(request: &http::Request<B>) -> Self {
        let path = request.uri().path();
        if path == "/api" || path.starts_with("/api/") {
            return Self::Rest;
        }
        match media_type(request) {
            Some(kind) if GRPC.iter().any(|grpc| kind.eq_ignore_ascii_case(grpc)) => Self::Grpc,
            _ if grpc_web_kind(request).is_some() => Self::GrpcWeb,
            _ => Self::Rest,
        }
    }
}

/// The media type of gRPC-web that a request has, as it is written in full.
pub fn grpc_web_kind<B>(request: &http::Request<B>) -> Option<&'static str> {
    let kind = media_type(request)?;
    GRPC_WEB.into_iter().find(|web| kind.eq_ignore_ascii_case(web))
}

/// The media types of gRPC and of gRPC-web that are spoken.
const GRPC: [&str; 2] = ["application/grpc", "application/grpc+proto"];
const GRPC_WEB: [&str; 4] = [
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/grpc-web-text+proto",
];

/// Returns true if a request says that it is a kind of gRPC, spoken here or not.
pub fn claims_grpc<B>(request: &http::Request<B>) -> bool {
    let prefix = "application/grpc";
    let kind = media_type(request).and_then(|kind| kind.get(..prefix.len()));
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case(prefix))
}

/// The media type of a body, without its parameters.
fn media_type<B>(request: &http::Request<B>) -> Option<&str> {
    let content_type = request.headers().get(http::header::CONTENT_TYPE)?.to_str().ok()?;
    content_type.split(';').next().map(str::trim)
}
