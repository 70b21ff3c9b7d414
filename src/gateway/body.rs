//! The body of a REST request within its bounds: media type, size, time, decompression.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};
use tonic::body::Body;

use crate::body::{Bodies, gunzip};
use crate::error::{Error, Kind};

/// The whole body, decompressed, of at most `max` bytes.
pub async fn read(
    bodies: &Bodies,
    parts: &mut Parts,
    body: Body,
    max: usize,
) -> Result<Bytes, Error> {
    receive(bodies, parts, body, max).await?.decode()
}

/// A body as it was sent.
pub struct Received {
    /// The very bytes, over which a signature may go.
    pub raw: Bytes,
    gzipped: bool,
    max: usize,
}

impl Received {
    /// Returns the body, decompressed.
    pub fn decode(self) -> Result<Bytes, Error> {
        if self.gzipped { gunzip(&self.raw, self.max) } else { Ok(self.raw) }
    }
}

/// The whole body as it was sent, of at most `max` bytes, also once decompressed.
pub async fn receive(
    bodies: &Bodies,
    parts: &mut Parts,
    body: Body,
    max: usize,
) -> Result<Received, Error> {
    check_media_type(&parts.method, &parts.headers)?;
    let gzipped = is_gzipped(&parts.headers)?;
    let raw = bodies.collect(parts, body, max).await?;
    Ok(Received { raw, gzipped, max })
}

/// Checks the media type: JSON or none; for PATCH also a merge patch (RFC 7396).
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

/// Refuses a coding that is not spoken where no body is taken, as where one is.
pub fn check_coding(headers: &HeaderMap) -> Result<(), Error> {
    is_gzipped(headers).map(|_| ())
}

/// Returns true if a coding is gzip, also by its older name (RFC 9110 section 8.4.1.3).
fn is_gzip(coding: &[u8]) -> bool {
    coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip")
}

fn is_gzipped(headers: &HeaderMap) -> Result<bool, Error> {
    let mut values = headers.get_all(CONTENT_ENCODING).iter();
    match (values.next().map(HeaderValue::as_bytes), values.next()) {
        (None, _) => Ok(false),
        (Some(coding), None) if coding.eq_ignore_ascii_case(b"identity") => Ok(false),
        (Some(coding), None) if is_gzip(coding) => Ok(true),
        _ => {
            let message = "Content-Encoding must be gzip, or absent.";
            Err(Error::new(Kind::UnsupportedCoding, message))
        }
    }
}
