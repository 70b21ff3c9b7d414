//! The OpenAPI document, plain and compressed, each made once.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::accept::takes_gzip;
use super::json;
use crate::layers::Response;

/// The address of the service in the document.
const SERVER: &str = "http://127.0.0.1:8080";

/// The OpenAPI document, plain and compressed.
pub struct OpenApi {
    plain: Bytes,
    gzipped: Bytes,
}

impl OpenApi {
    /// Makes the page of this document, for a service that is reached at `url`.
    pub fn new(document: &str, url: &str) -> Result<Self, String> {
        let quoted = |url: &str| serde_json::Value::from(url).to_string();
        if !document.contains(&quoted(SERVER)) {
            return Err(format!("the OpenAPI document does not name its server as {SERVER}"));
        }
        let plain = document.replacen(&quoted(SERVER), &quoted(url), 1);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let gzipped = encoder.write_all(plain.as_bytes()).and_then(|()| encoder.finish());
        let failed = |error| format!("the OpenAPI document cannot be compressed: {error}");
        Ok(Self { plain: plain.into(), gzipped: gzipped.map_err(failed)?.into() })
    }

    /// Returns the document, compressed for clients that accept it.
    pub fn answer(&self, headers: &HeaderMap) -> Response {
        let takes_gzip = takes_gzip(headers);
        let body = if takes_gzip { self.gzipped.clone() } else { self.plain.clone() };
        let mut response = json(StatusCode::OK, body);
        let headers = response.headers_mut();
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if takes_gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}
