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
pub mod idempotency;
pub mod rate_limit;
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

/// Which of the protocols a request speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Grpc,
    /// Becomes `Grpc` on its branch of the stack; the layers below never see it.
    GrpcWeb,
    Rest,
}

impl Protocol {
    /// By content type, except that everything under `/api/` is REST whatever it claims to be.
    pub fn of<B>(request: &http::Request<B>) -> Self {
        let content_type = request.headers().get(http::header::CONTENT_TYPE);
        let content_type = content_type.map_or(&b""[..], http::HeaderValue::as_bytes);
        let begins_with = |prefix: &[u8]| {
            content_type.get(..prefix.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(prefix))
        };
        if !begins_with(b"application/grpc") || request.uri().path().starts_with("/api/") {
            Self::Rest
        } else if begins_with(b"application/grpc-web") {
            Self::GrpcWeb
        } else {
            Self::Grpc
        }
    }
}
