//! Bounds how long a request may take until its answer begins.
//!
//! The bound is the server's own, or the client's `grpc-timeout` when that is sooner. A stream has
//! begun its answer once it is open; from then on its client's bound alone counts (`guard_stream`).

use std::time::Duration;

use http::HeaderName;

use super::around::{Answered, Around};
use super::{Protocol, Request, ResponseFuture};
use crate::error::{Error, Kind};

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The layer that bounds the time until an answer begins.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    /// The server's own bound.
    pub longest: Duration,
}

impl Around for Deadline {
    fn around<F: Answered>(
        &self,
        request: Request,
        next: impl FnOnce(Request) -> F,
    ) -> ResponseFuture {
        let allowed = of_client(&request).map_or(self.longest, |asked| asked.min(self.longest));
        let answered = next(request);
        Box::pin(async move {
            tokio::time::timeout(allowed, answered)
                .await
                .unwrap_or_else(|_| Err(exceeded(allowed).into()))
        })
    }
}

/// Refuses a `grpc-timeout` that cannot be read; route, credentials and scope are told first.
pub fn check(request: &Request) -> Result<(), Error> {
    asked(request).map(|_| ())
}

/// The refusal of what was not done within `allowed`.
pub fn exceeded(allowed: Duration) -> Error {
    let message = format!("The request was not done within its deadline of {allowed:?}.");
    Error::new(Kind::DeadlineExceeded, message)
}

/// The bound that the client set, if it did.
pub fn of_client(request: &Request) -> Option<Duration> {
    asked(request).ok().flatten()
}

/// The `grpc-timeout` of a gRPC request: at most eight digits and a unit.
fn asked(request: &Request) -> Result<Option<Duration>, Error> {
    let header = request.headers().get(GRPC_TIMEOUT);
    let Some(header) = header.filter(|_| Protocol::of(request) == Protocol::Grpc) else {
        return Ok(None);
    };
    let parsed = header.to_str().ok().and_then(parse);
    parsed.map(Some).ok_or_else(|| {
        let remedy = "grpc-timeout must be 1 to 8 digits and one of H, M, S, m, u, n";
        Error::invalid_field("grpc-timeout", "INVALID_VALUE", remedy)
    })
}

fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let digits_only = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !digits_only || digits.len() > 8 {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grpc_timeout_is_digits_and_a_unit() {
        assert_eq!(parse("100m"), Some(Duration::from_millis(100)));
        assert_eq!(parse("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for wrong in ["", "m", "100", "1x", "-1S", "123456789S", "1 S", "1é"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
