//! The OpenAPI document, plain and compressed, each made once.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::json;
use crate::layers::Response;

/// See the module.
pub struct OpenApi {
    plain: &'static str,
    gzipped: Bytes,
}

impl OpenApi {
    /// Of this document.
    pub fn new(plain: &'static str) -> Result<Self, String> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let gzipped = encoder.write_all(plain.as_bytes()).and_then(|()| encoder.finish());
        let failed = |error| format!("the OpenAPI document cannot be compressed: {error}");
        Ok(Self { plain, gzipped: gzipped.map_err(failed)?.into() })
    }

    /// The document, compressed for whoever takes that.
    pub fn answer(&self, headers: &HeaderMap) -> Response {
        let takes_gzip = takes_gzip(headers);
        let body = if takes_gzip {
            self.gzipped.clone()
        } else {
            Bytes::from_static(self.plain.as_bytes())
        };
        let mut response = json(StatusCode::OK, body);
        let headers = response.headers_mut();
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if takes_gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

/// Whether Accept-Encoding has gzip, by its own name or else by `*`, with a weight above 0.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    let (mut by_name, mut by_star) = (None, None);
    for coding in lines.flat_map(|line| line.split(',')) {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let mut weights = parts.filter_map(|part| part.strip_prefix(['q', 'Q'])?.strip_prefix('='));
        let weight = weights.next().map_or(Ok(1.0), str::parse::<f32>);
        let is_taken = weight.is_ok_and(|weight| weight > 0.0);
        match name.as_str() {
            "gzip" | "x-gzip" => by_name = Some(is_taken),
            "*" => by_star = Some(is_taken),
            _ => {}
        }
    }
    by_name.or(by_star).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_where_it_is_named_with_a_weight() {
        let takes = |line: &'static str| {
            let line = (ACCEPT_ENCODING, HeaderValue::from_static(line));
            takes_gzip(&HeaderMap::from_iter([line]))
        };
        for line in ["gzip", "br, GZIP;q=0.5", "x-gzip", "*", "identity, *;q=0.1", "gzip;Q=1"] {
            assert!(takes(line), "{line}");
        }
        for line in ["", "br", "gzip;q=0", "gzip;q=0, *", "*;q=0", "identity", "gzip;q=x"] {
            assert!(!takes(line), "{line}");
        }
    }
}
