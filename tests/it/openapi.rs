//! The document that the service serves is the one that is checked in, and it tells every error.

use std::collections::BTreeSet;

use orqit::error::{Kind, Transition};
use orqit::pb::ErrorReason;
use orqit::resource::Resource;
use serde_json::Value;

use crate::support::server::Orqit;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
/// Set, it makes the test write the file instead of comparing with it.
const RENEW: &str = "UPDATE_SNAPSHOTS";

#[tokio::test]
async fn the_served_document_is_the_one_checked_in() {
    let orqit = Orqit::start().await;
    let answer = orqit.rest("").get("/openapi.json").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type")),
        (200, Some("application/json"))
    );
    if std::env::var_os(RENEW).is_some() {
        std::fs::write(FILE, &answer.body).expect("written");
    }
    let checked_in = std::fs::read(FILE).expect("docs/openapi.json");
    let same = answer.body == checked_in;
    assert!(
        same,
        "docs/openapi.json is not what is served: run the tests with {RENEW}=1 and look at the difference"
    );
    assert_eq!(answer.json()["openapi"], "3.1.0");
}

#[test]
fn every_error_has_its_reason_in_the_contract() {
    let kinds: BTreeSet<_> = kinds().iter().map(|kind| kind.table().0.to_owned()).collect();
    let unspecified = ErrorReason::Unspecified;
    let reasons: BTreeSet<_> = (1..)
        .map_while(|number| ErrorReason::try_from(number).ok())
        .filter(|reason| *reason != unspecified)
        .map(|reason| reason.as_str_name().trim_start_matches("ERROR_REASON_").to_owned())
        .collect();
    assert_eq!(kinds, reasons);
}

#[test]
fn the_document_names_every_code() {
    let document: Value = serde_json::from_str(orqit::server::OPENAPI).expect("JSON");
    let text = document.to_string();
    for kind in kinds() {
        let (code, status, _) = kind.table();
        assert!(text.contains(code), "{code} ({status}) is not in the document");
    }
}

/// Every kind there is: each leads to the next, so that a new one cannot be forgotten.
fn kinds() -> Vec<Kind> {
    fn next(kind: &Kind) -> Option<Kind> {
        Some(match kind {
            Kind::MissingApiKey => Kind::InvalidApiKey,
            Kind::InvalidApiKey => Kind::ApiKeyExpired,
            Kind::ApiKeyExpired => Kind::AmbiguousCredentials,
            Kind::AmbiguousCredentials => Kind::InsufficientScope { required: None },
            Kind::InsufficientScope { .. } => Kind::FeatureNotEnabled,
            Kind::FeatureNotEnabled => Kind::ValidationFailed,
            Kind::ValidationFailed => Kind::MalformedJson,
            Kind::MalformedJson => Kind::UnknownField,
            Kind::UnknownField => Kind::InvalidReference,
            Kind::InvalidReference => Kind::NotFound(Resource::Ticket),
            Kind::NotFound(Resource::Ticket) => Kind::NotFound(Resource::ApiKey),
            Kind::NotFound(Resource::ApiKey) => Kind::NotFound(Resource::User),
            Kind::NotFound(Resource::User) => Kind::NotFound(Resource::Category),
            Kind::NotFound(Resource::Category) => Kind::NotFound(Resource::CustomField),
            Kind::NotFound(Resource::CustomField) => Kind::NotFound(Resource::Article),
            Kind::NotFound(Resource::Article) => Kind::NotFound(Resource::Asset),
            Kind::NotFound(Resource::Asset) => Kind::NotFound(Resource::Project),
            Kind::NotFound(Resource::Project) => Kind::NotFound(Resource::Task),
            Kind::NotFound(Resource::Task) => Kind::NotFound(Resource::Event),
            Kind::NotFound(Resource::Event) => Kind::NotFound(Resource::Webhook),
            Kind::NotFound(Resource::Webhook) => Kind::NotFound(Resource::Delivery),
            Kind::NotFound(Resource::Delivery) => Kind::NotFound(Resource::Email),
            Kind::NotFound(Resource::Email) => Kind::ApiKeyLimitReached,
            Kind::ApiKeyLimitReached => Kind::RouteNotFound,
            Kind::RouteNotFound => Kind::MethodNotAllowed { allow: "GET".to_owned() },
            Kind::MethodNotAllowed { .. } => {
                let (from, to) = ("OPEN".into(), "OPEN".into());
                let step = Transition { from, to, allowed: Vec::new() };
                Kind::InvalidStatusTransition(Box::new(step))
            }
            Kind::InvalidStatusTransition(_) => Kind::VersionConflict,
            Kind::VersionConflict => Kind::AssetNotAssignable { status: "RETIRED".into() },
            Kind::AssetNotAssignable { .. } => Kind::ProjectClosed,
            Kind::ProjectClosed => Kind::EventsExpired { oldest: 1 },
            Kind::EventsExpired { .. } => Kind::WebhookUrlForbidden,
            Kind::WebhookUrlForbidden => Kind::WebhookDisabled,
            Kind::WebhookDisabled => Kind::SystemUser,
            Kind::SystemUser => Kind::ResourceLimitReached,
            Kind::ResourceLimitReached => Kind::AlreadyExists,
            Kind::AlreadyExists => Kind::IdempotencyKeyRequired,
            Kind::IdempotencyKeyRequired => Kind::InvalidIdempotencyKey,
            Kind::InvalidIdempotencyKey => Kind::IdempotencyKeyConflict,
            Kind::IdempotencyKeyConflict => Kind::IdempotencyInProgress,
            Kind::IdempotencyInProgress => {
                Kind::RateLimitExceeded { retry_after_secs: 1, exhausted: Vec::new() }
            }
            Kind::RateLimitExceeded { .. } => Kind::ApiKeyCreationLimited { retry_after_secs: 1 },
            Kind::ApiKeyCreationLimited { .. } => {
                Kind::TooManyFailedAttempts { retry_after_secs: 1 }
            }
            Kind::TooManyFailedAttempts { .. } => Kind::TooManyStreams,
            Kind::TooManyStreams => Kind::PayloadTooLarge,
            Kind::PayloadTooLarge => Kind::PageTooLarge,
            Kind::PageTooLarge => Kind::UnsupportedMediaType,
            Kind::UnsupportedMediaType => Kind::UnsupportedCoding,
            Kind::UnsupportedCoding => Kind::RequestTimeout,
            Kind::RequestTimeout => Kind::DeadlineExceeded,
            Kind::DeadlineExceeded => Kind::ServiceUnavailable { retry_after_secs: 1 },
            Kind::ServiceUnavailable { .. } => Kind::BatchAborted,
            Kind::BatchAborted => Kind::Internal,
            Kind::Internal => return None,
        })
    }
    std::iter::successors(Some(Kind::MissingApiKey), next).collect()
}
