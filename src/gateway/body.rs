//! The body of a REST request within its bounds: media type, size, time, decompression.

use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use http_body::Body as _;
use tonic::body::Body;

use crate::body;
use crate::config::BODY_BYTES_MAX;
use crate::error::{Error, Kind};

/// The whole body, decompressed. `within` bounds how long it may take to arrive.
pub async fn read(
    method: &Method,
    headers: &HeaderMap,
    body: Body,
    within: Duration,
) -> Result<Bytes, Error> {
    receive(method, headers, body, within).await?.decode()
}

/// A body as it was sent.
pub struct Received {
    /// The very bytes, over which a signature may go.
    pub raw: Bytes,
    gzipped: bool,
}

impl Received {
    /// What it says, decompressed.
    pub fn decode(self) -> Result<Bytes, Error> {
        if self.gzipped { gunzip(&self.raw) } else { Ok(self.raw) }
    }
}

/// The whole body as it was sent. `within` bounds how long it may take to arrive.
pub async fn receive(
    method: &Method,
    headers: &HeaderMap,
    body: Body,
    within: Duration,
) -> Result<Received, Error> {
    check_media_type(method, headers)?;
    let gzipped = is_gzipped(headers)?;
    let raw = body::collect(headers, body, BODY_BYTES_MAX, within).await?;
    Ok(Received { raw, gzipped })
}

/// Refuses a body on a route that takes none: what a client sends is never ignored.
pub async fn read_none(headers: &HeaderMap, body: Body, within: Duration) -> Result<(), Error> {
    if body.is_end_stream()
        || body::collect(headers, body, BODY_BYTES_MAX, within).await?.is_empty()
    {
        return Ok(());
    }
    let message = "This route takes no body: send what it should know in the path and query.";
    Err(Error::new(Kind::ValidationFailed, message))
}

/// JSON, or nothing said; for PATCH also a merge patch (RFC 7396).
fn check_media_type(method: &Method, headers: &HeaderMap) -> Result<(), Error> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), more) = (values.next(), values.next()) else {
        return Ok(());
    };
    let accepted = more.is_none() && value.to_str().is_ok_and(|text| is_json(method, text));
    if accepted {
        return Ok(());
    }
    let message = "Content-Type must be application/json (for PATCH also application/merge-patch+json), in UTF-8.";
    Err(Error::new(Kind::UnsupportedMediaType, message))
}

fn is_json(method: &Method, content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let merge_patch = essence.eq_ignore_ascii_case("application/merge-patch+json");
    let json = essence.eq_ignore_ascii_case("application/json")
        || (merge_patch && *method == Method::PATCH);
    let utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    });
    json && utf8
}

fn is_gzipped(headers: &HeaderMap) -> Result<bool, Error> {
    let mut values = headers.get_all(CONTENT_ENCODING).iter();
    match (values.next().map(HeaderValue::as_bytes), values.next()) {
        (None, _) => Ok(false),
        (Some(coding), None) if coding.eq_ignore_ascii_case(b"identity") => Ok(false),
        (Some(coding), None) if coding.eq_ignore_ascii_case(b"gzip") => Ok(true),
        _ => {
            let message = "Content-Encoding must be gzip, or absent.";
            Err(Error::new(Kind::UnsupportedMediaType, message))
        }
    }
}

fn gunzip(raw: &[u8]) -> Result<Bytes, Error> {
    let mut plain = Vec::with_capacity(raw.len().saturating_mul(4).min(BODY_BYTES_MAX));
    let mut bounded = MultiGzDecoder::new(raw).take(BODY_BYTES_MAX as u64 + 1);
    if bounded.read_to_end(&mut plain).is_err() {
        let message = "The body is not valid gzip, though its Content-Encoding says so.";
        return Err(Error::new(Kind::MalformedJson, message));
    }
    if plain.len() > BODY_BYTES_MAX { Err(Error::too_large()) } else { Ok(plain.into()) }
}
