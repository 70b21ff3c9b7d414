//! Responses with a JSON body.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use http_body_util::Full;
use tonic::body::Body;

use crate::layers::Response;

/// Makes a response of JSON that is rendered already.
pub(super) fn json(status: StatusCode, body: Bytes) -> Response {
    let mut response = http::Response::new(Body::new(Full::new(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
