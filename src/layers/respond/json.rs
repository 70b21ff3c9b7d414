//! An error as the JSON envelope.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue};
use http_body_util::Full;
use serde::Serialize;
use tonic::body::Body;

use super::Facts;
use crate::error::{Error, Kind};
use crate::layers::Response;

#[derive(Serialize)]
struct Envelope<'e> {
    success: bool,
    error: ErrorBody<'e>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'e> {
    code: &'e str,
    message: &'e str,
    request_id: &'e str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Detail<'e>>,
    #[serde(flatten)]
    facts: Facts<'e>,
}

#[derive(Serialize)]
struct Detail<'e> {
    field: &'e str,
    code: &'e str,
    message: &'e str,
}

/// The answer that tells of `error`.
pub fn envelope(error: &Error, request_id: &str) -> Response {
    let mut response = http::Response::new(Body::new(Full::new(bytes(error, request_id))));
    *response.status_mut() = error.kind.table().1;
    headers(error, response.headers_mut());
    response
}

/// The envelope that tells of `error`, as JSON.
pub fn bytes(error: &Error, request_id: &str) -> Bytes {
    let details = error.details.iter().map(|violation| Detail {
        field: &violation.field,
        code: violation.code,
        message: &violation.message,
    });
    let body = Envelope {
        success: false,
        error: ErrorBody {
            code: error.code(),
            message: &error.message,
            request_id,
            details: details.collect(),
            facts: Facts::of(error),
        },
    };
    serde_json::to_vec(&body).expect("strings and numbers always serialize").into()
}

fn headers(error: &Error, headers: &mut HeaderMap) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(secs) = error.retry_after_secs() {
        headers.insert(RETRY_AFTER, HeaderValue::from(secs));
    }
    match &error.kind {
        Kind::MissingApiKey | Kind::InvalidApiKey | Kind::ApiKeyExpired => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // What would have been taken (RFC 9110 section 12.5.3).
        Kind::UnsupportedCoding => {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Kind::MethodNotAllowed { allow } => {
            let allow = HeaderValue::from_str(allow).expect("method names are ASCII");
            headers.insert(ALLOW, allow);
        }
        _ => {}
    }
}
