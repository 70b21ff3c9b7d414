//! Reads request bodies whole, within a size, a time, and the memory that there is for all of them;
//! the same for both protocols.

use std::future::poll_fn;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::bufread::MultiGzDecoder;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http_body::Body as _;
use http_body_util::BodyExt;
use tonic::body::Body;

use crate::config::{BODY_BYTES_MAX, PUBLIC_BODY_BYTES_MAX};
use crate::error::{Error, Kind};
use crate::held_bytes::{HeldBytes, Hold};
use crate::layers::resolve::Target;
use crate::rpc::Demand;
use crate::trail::Trail;

/// The bytes that a body is charged beside its own, for the state of its request.
const REQUEST_BYTES: usize = 4 * 1024;

/// Reads bodies.
#[derive(Clone)]
pub struct Bodies {
    /// The time within which a body must arrive.
    pub within: Duration,
    /// The bytes that all bodies together hold.
    pub held: HeldBytes,
}

impl Bodies {
    /// The whole body of a request, of at most `max` bytes. Its memory counts as held for as long as
    /// the extensions of the request exist.
    pub async fn collect(&self, parts: &mut Parts, body: Body, max: usize) -> Result<Bytes, Error> {
        if announced(parts).is_some_and(|len| len > max as u64) {
            return Err(Error::too_large(max));
        }
        if body.is_end_stream() {
            return Ok(Bytes::new());
        }
        let hold = self.held.hold(client(parts));
        hold.grow(REQUEST_BYTES + head_bytes(parts))?;
        let collected = tokio::select! {
            biased;
            collected = self.in_time(collect(&hold, body, max)) => collected?,
            () = poll_fn(|cx| hold.poll_given_way(cx)) => return Err(self.gave_way()),
        };
        hold.keep();
        parts.extensions.insert(Arc::new(hold));
        Ok(collected)
    }

    /// Waits for the end of a body that must be empty, and refuses it at its first byte.
    pub async fn expect_none(&self, parts: &Parts, mut body: Body) -> Result<(), Error> {
        if announced(parts).is_some_and(|len| len > 0) {
            return Err(unwanted());
        }
        if body.is_end_stream() {
            return Ok(());
        }
        let hold = self.held.hold(client(parts));
        hold.grow(REQUEST_BYTES + head_bytes(parts))?;
        let ended = async {
            while let Some(frame) = body.frame().await {
                if frame.map_err(|_| broken_off())?.data_ref().is_some_and(|data| !data.is_empty())
                {
                    return Err(unwanted());
                }
            }
            Ok(())
        };
        tokio::select! {
            biased;
            ended = self.in_time(ended) => ended,
            () = poll_fn(|cx| hold.poll_given_way(cx)) => Err(self.gave_way()),
        }
    }

    async fn in_time<T>(&self, read: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::time::timeout(self.within, read).await.unwrap_or_else(|_| {
            let within = self.within;
            let message =
                format!("The body did not arrive within {within:?}. Send the request again.");
            Err(Error::new(Kind::RequestTimeout, message))
        })
    }

    fn gave_way(&self) -> Error {
        let message = "The body took long while many others arrived, and was given up. Send the request again after 1 second.";
        Error::new(Kind::ServiceUnavailable { retry_after_secs: 1 }, message)
    }
}

/// The most bytes that the body of a request may have: few where anybody may send it.
pub fn bytes_max(target: Option<&Target>) -> usize {
    match target {
        // GitHub signs what it sends, and sends many tokens at once.
        Some(Target::GithubSecretScanning) => BODY_BYTES_MAX,
        Some(target) if target.demand() == Demand::Nothing => PUBLIC_BODY_BYTES_MAX,
        _ => BODY_BYTES_MAX,
    }
}

/// Decompresses a gzip body of at most `max` bytes.
pub fn gunzip(raw: &[u8], max: usize) -> Result<Bytes, Error> {
    let mut plain = Vec::with_capacity(raw.len().saturating_mul(4).min(max));
    let mut bounded = MultiGzDecoder::new(raw).take(max as u64 + 1);
    if bounded.read_to_end(&mut plain).is_err() {
        let message = "The body is not valid gzip, though its Content-Encoding says so.";
        return Err(Error::new(Kind::MalformedJson, message));
    }
    if plain.len() > max { Err(Error::too_large(max)) } else { Ok(plain.into()) }
}

async fn collect(hold: &Hold, mut body: Body, max: usize) -> Result<Bytes, Error> {
    let mut first = Bytes::new();
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| broken_off())?.into_data() else { continue };
        if data.is_empty() {
            continue;
        }
        if first.len() + collected.len() + data.len() > max {
            return Err(Error::too_large(max));
        }
        hold.grow(data.len())?;
        // Most bodies are one frame, which is not copied.
        if first.is_empty() && collected.is_empty() {
            first = data;
        } else {
            collected.extend_from_slice(&std::mem::take(&mut first));
            collected.extend_from_slice(&data);
        }
    }
    Ok(if collected.is_empty() { first } else { collected.freeze() })
}

fn announced(parts: &Parts) -> Option<u64> {
    parts.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn head_bytes(parts: &Parts) -> usize {
    parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

fn client(parts: &Parts) -> IpAddr {
    let trail = parts.extensions.get::<Arc<Trail>>();
    trail.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |trail| trail.client)
}

fn broken_off() -> Error {
    Error::new(Kind::ValidationFailed, "The body broke off before its end.")
}

fn unwanted() -> Error {
    let message = "This route takes no body: send what it should know in the path and query.";
    Error::new(Kind::ValidationFailed, message)
}
