//! What a gRPC status tells in its details.

use tonic::Status;
use tonic_types::{ErrorInfo, StatusExt};

/// The reason, domain and facts of a refusal.
#[track_caller]
pub fn error_info(status: &Status) -> ErrorInfo {
    let info = status.get_details_error_info().expect("an ErrorInfo");
    assert_eq!(info.domain, "orqit");
    info
}

/// The fields that a refusal names.
#[track_caller]
pub fn violations(status: &Status) -> Vec<String> {
    let bad = status.get_details_bad_request().expect("a BadRequest");
    bad.field_violations.into_iter().map(|violation| violation.field).collect()
}
