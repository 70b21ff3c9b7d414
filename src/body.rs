//! Reads a request body whole, within a size and a time; the same for both protocols.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tonic::body::Body;

use crate::error::{Error, Kind};

/// The bytes of the body: at most `max`, and there `within` this time.
pub async fn collect(
    headers: &HeaderMap,
    body: Body,
    max: usize,
    within: Duration,
) -> Result<Bytes, Error> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|len: u64| len > max as u64) {
        return Err(Error::too_large());
    }
    match tokio::time::timeout(within, Limited::new(body, max).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Error::too_large()),
        Ok(Err(_)) => Err(Error::new(Kind::ValidationFailed, "The body broke off before its end.")),
        Err(_) => {
            let message =
                format!("The body did not arrive within {within:?}. Send the request again.");
            Err(Error::new(Kind::RequestTimeout, message))
        }
    }
}
