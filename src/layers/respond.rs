//! Renders every refusal and failure, as the JSON envelope or as a gRPC status with details.
//!
//! Nothing else renders an error: what the layers and services return comes here as `Error`, a
//! panic is caught here, and what tonic refuses by itself is put into our words here. A key that
//! somebody wrote into a field's name, and that a refusal would therefore repeat, is cut here.

mod grpc;
mod json;

use std::borrow::Cow;
use std::error::Error as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt;
use http::{HeaderName, HeaderValue};
use serde::Serialize;
use tonic::{Code, Status};
use tower::BoxError;

use super::around::{Answered, Around};
use super::record::Refused;
use super::request_id::RequestId;
use super::{Protocol, Request, ResponseFuture};
use crate::auth::key::redact;
use crate::error::{Error, Kind, causes};

pub use grpc::status;
pub use json::bytes;

/// The header that says of an answer that it was given before, to the same request.
pub const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The layer that renders refusals and failures.
#[derive(Debug, Clone, Copy)]
pub struct Respond;

impl Around for Respond {
    fn around<F: Answered>(
        &self,
        request: Request,
        next: impl FnOnce(Request) -> F,
    ) -> ResponseFuture {
        let protocol = Protocol::of(&request);
        let request_id = request.extensions().get::<RequestId>().cloned();
        // What is below may panic before it has given a future as well as in it.
        let answered = catch_unwind(AssertUnwindSafe(|| AssertUnwindSafe(next(request))));
        Box::pin(async move {
            let answered = match answered {
                Ok(answered) => answered.catch_unwind().await,
                Err(panic) => Err(panic),
            };
            let answered = match answered {
                Ok(Ok(response)) => Ok(response),
                Ok(Err(error)) => Err(Error::of_box(error)),
                Err(panic) => Err(Error::of_panic(panic.as_ref())),
            };
            let response = answered.unwrap_or_else(|error| {
                let error = logged(error);
                let request_id = request_id.as_ref().map_or("", RequestId::as_str);
                // An answer again is the first one to the letter, its request id too.
                let request_id = error.replay_of.as_deref().unwrap_or(request_id);
                let mut response = match protocol {
                    Protocol::Grpc | Protocol::GrpcWeb => grpc::answer(&error, request_id),
                    Protocol::Rest => json::envelope(&error, request_id),
                };
                if error.replay_of.is_some() {
                    let replayed = HeaderValue::from_static("true");
                    response.headers_mut().insert(IDEMPOTENT_REPLAYED, replayed);
                }
                let (code, status, _) = error.kind.table();
                response.extensions_mut().insert(Refused { code, status: status.as_u16() });
                response
            });
            Ok(response)
        })
    }
}

impl Error {
    /// The error that a status carries, or our words for what tonic itself refused; the status
    /// back when it belongs to somebody else (health, reflection).
    pub(crate) fn of_status(status: Status) -> Result<Self, Status> {
        if let Some(error) = status.source().and_then(|source| source.downcast_ref::<Self>()) {
            return Ok(error.clone());
        }
        match status.code() {
            // The only statuses of this code that are not ours are about messages that tonic
            // could not decode: bytes of the client, so never an internal error.
            Code::Internal => {
                let message = format!("The request message cannot be read: {}", status.message());
                Ok(Self::new(Kind::ValidationFailed, message))
            }
            Code::OutOfRange | Code::ResourceExhausted => {
                let message = "The message must be at most 1 MiB, or 4 KiB where no key is needed, also once decompressed.";
                Ok(Self::new(Kind::PayloadTooLarge, message))
            }
            Code::Unimplemented if status.message().starts_with("Content is compressed") => {
                let message = "Messages must be compressed with gzip, or not at all.";
                Ok(Self::new(Kind::UnsupportedCoding, message))
            }
            _ => Err(status),
        }
    }

    /// The error in the box of a tower service; any other one is a failure on our side.
    fn of_box(error: BoxError) -> Self {
        match error.downcast::<Self>() {
            Ok(error) => *error,
            Err(other) => Self::internal(other),
        }
    }

    pub(crate) fn of_panic(panic: &(dyn std::any::Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Self::internal(format!("a handler panicked: {}", text.unwrap_or("without a text")))
    }
}

/// The error as the client may see it. What is internal is logged here, once, with its chain; a refusal
/// is the caller's business.
pub fn logged(error: Error) -> Error {
    if let Some(source) = error.source() {
        tracing::error!(code = error.code(), cause = causes(source), "request failed");
    }
    redacted(error)
}

/// The error without any key that the request had where it does not belong.
fn redacted(mut error: Error) -> Error {
    redact(&mut error.message);
    for violation in &mut error.details {
        redact(&mut violation.field);
        redact(&mut violation.message);
    }
    error
}

/// The facts that a kind of error tells beside its text.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Facts<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    required_scope: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed: Option<&'e [Cow<'static, str>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_sequence: Option<i64>,
}

impl<'e> Facts<'e> {
    fn of(error: &'e Error) -> Self {
        match &error.kind {
            Kind::InsufficientScope { required } => {
                Self { required_scope: *required, ..Self::default() }
            }
            Kind::InvalidStatusTransition(step) => Self {
                from: Some(&step.from),
                to: Some(&step.to),
                allowed: Some(&step.allowed),
                ..Self::default()
            },
            Kind::AssetNotAssignable { status } => Self { status: Some(status), ..Self::default() },
            Kind::EventsExpired { oldest } => {
                Self { oldest_sequence: Some(*oldest), ..Self::default() }
            }
            _ => Self { retry_after_seconds: error.retry_after_secs(), ..Self::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;
    use http_body_util::BodyExt;
    use tonic::body::Body;
    use tonic_types::StatusExt;

    use tower::{Layer, Service};

    use super::super::Response;
    use super::*;
    use crate::layers::around::AroundLayer;
    use crate::layers::request_id::RequestIds;

    async fn answer(content_type: &'static str) -> Response {
        let panicking = tower::service_fn(|request: Request| async move {
            assert!(request.uri().path().is_empty(), "the secret of this test");
            Ok::<Response, BoxError>(Response::default())
        });
        let mut stack = AroundLayer(RequestIds).layer(AroundLayer(Respond).layer(panicking));
        let request = http::Request::post("/orqit.v1.TicketService/GetTicket")
            .header(CONTENT_TYPE, content_type)
            .header("x-request-id", "trace-1");
        let answered = stack.call(request.body(Body::empty()).expect("a request")).await;
        answered.expect("a panic becomes an answer")
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_error_that_tells_only_the_request_id() {
        let rest = answer("application/json").await;
        assert_eq!(
            (rest.status().as_u16(), &rest.headers()["x-request-id"]),
            (500, &"trace-1".parse().expect("ASCII"))
        );
        let body = rest.into_body().collect().await.expect("a body").to_bytes();
        let json: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        let text =
            "Something failed on our side. Try again; if it persists, report the request id.";
        let error =
            serde_json::json!({"code": "INTERNAL_ERROR", "message": text, "requestId": "trace-1"});
        assert_eq!(json, serde_json::json!({"success": false, "error": error}));

        let grpc = answer("application/grpc").await;
        assert_eq!(
            (grpc.status().as_u16(), &grpc.headers()["x-request-id"]),
            (200, &"trace-1".parse().expect("ASCII"))
        );
        let status = Status::from_header_map(grpc.headers()).expect("a status");
        assert_eq!((status.code(), status.message()), (Code::Internal, text));
        let info = status.get_details_error_info().expect("an ErrorInfo");
        assert_eq!(
            (info.reason.as_str(), info.metadata["requestId"].as_str()),
            ("INTERNAL_ERROR", "trace-1")
        );
    }
}
