//! An error as a gRPC status with the details of google.rpc.

use std::collections::HashMap;
use std::time::Duration;

use http::HeaderValue;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use super::Facts;
use crate::error::{Error, Kind};
use crate::layers::Response;

/// The most bytes of field violations in a status. It travels in a header, twice encoded, and
/// common clients refuse more than 8 KiB of headers with an error of their own.
const VIOLATION_BYTES_MAX: usize = 3 * 1024;
/// The most bytes of a message, which stands in the header twice.
const MESSAGE_BYTES_MAX: usize = 512;

/// The answer that tells of `error`.
pub fn answer(error: &Error, request_id: &str) -> Response {
    let mut response = status(error, request_id).into_http();
    if error.kind == Kind::UnsupportedCoding {
        let spoken = HeaderValue::from_static("identity,gzip");
        response.headers_mut().insert("grpc-accept-encoding", spoken);
    }
    response
}

/// The status that tells of `error`.
pub fn status(error: &Error, request_id: &str) -> Status {
    let facts = Facts::of(error);
    let mut details = ErrorDetails::new();
    let mut room = VIOLATION_BYTES_MAX;
    let mut left_out = 0;
    for violation in &error.details {
        let len = violation.field.len() + violation.message.len();
        if len <= room {
            room -= len;
            details.add_bad_request_violation(&violation.field, &violation.message);
        } else {
            left_out += 1;
        }
    }
    let allowed = facts.allowed.map(|allowed| allowed.join(","));
    let oldest = facts.oldest_sequence.map(|oldest| oldest.to_string());
    let left_out = (left_out > 0).then(|| left_out.to_string());
    let metadata = [
        ("requestId", (!request_id.is_empty()).then_some(request_id)),
        ("requiredScope", facts.required_scope),
        ("status", facts.status),
        ("from", facts.from),
        ("to", facts.to),
        ("allowed", allowed.as_deref()),
        ("oldestSequence", oldest.as_deref()),
        ("violationsLeftOut", left_out.as_deref()),
    ];
    let metadata =
        metadata.into_iter().filter_map(|(name, value)| Some((name.into(), value?.into())));
    details.set_error_info(error.code(), "orqit", metadata.collect::<HashMap<_, _>>());
    if let Some(secs) = facts.retry_after_seconds {
        details.set_retry_info(Some(Duration::from_secs(secs.into())));
    }
    if let Kind::RateLimitExceeded { exhausted, .. } = &error.kind {
        for quota in exhausted {
            let description = format!("A window of 60 seconds admits {}.", quota.limit);
            details.add_quota_failure_violation(&quota.subject, description);
        }
    }
    let message = &error.message[..error.message.floor_char_boundary(MESSAGE_BYTES_MAX)];
    Status::with_error_details(error.kind.table().2, message, details)
}

#[cfg(test)]
mod tests {
    use rest::Violations;

    use super::*;

    #[test]
    fn a_status_fits_the_headers_of_common_clients() {
        let mut violations = Violations::default();
        for index in 0..100 {
            violations.add(format!("status[{index}]"), "INVALID_ENUM", "é".repeat(80));
        }
        let status = status(&Error::invalid(violations), "req_1");
        let mut headers = http::HeaderMap::new();
        status.add_header(&mut headers).expect("headers");
        let len: usize =
            headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        assert!(len < 7 * 1024, "{len}");
        let told = status.get_details_bad_request().expect("details").field_violations.len();
        let left_out =
            &status.get_details_error_info().expect("info").metadata["violationsLeftOut"];
        assert_eq!(told + left_out.parse::<usize>().expect("a number"), 100);
    }
}
