//! The one error of the service, and the one table of what it is called on either protocol.
//!
//! Layers, services and the store return it; it does not render itself: that is for
//! `layers::respond` alone.

use std::borrow::Cow;
use std::sync::Arc;

use http::StatusCode;
use rest::{Violation, Violations};
use tonic::Code;

use crate::resource::Resource;

/// A refusal or failure, with what the caller may know of it.
#[derive(Debug, Clone)]
pub struct Error {
    /// The kind of the refusal.
    pub kind: Kind,
    /// The sentence for the caller: what happened, and what to do.
    pub message: String,
    /// The wrong fields, if the request has any.
    pub details: Vec<Violation>,
    /// The id of the request that was refused first, where this is its answer again.
    pub replay_of: Option<String>,
    /// The cause. It is logged once and never sent to the client.
    pub source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// The kinds of refusal, named for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    MissingApiKey,
    InvalidApiKey,
    ApiKeyExpired,
    AmbiguousCredentials,
    /// The key lacks `required`; none where no scope would help, because the request reaches beyond
    /// the key's own limits or expiry.
    InsufficientScope {
        required: Option<&'static str>,
    },
    /// The workspace's plan lacks a capability.
    FeatureNotEnabled,
    ValidationFailed,
    MalformedJson,
    UnknownField,
    InvalidReference,
    /// The workspace has no such resource.
    NotFound(Resource),
    ApiKeyLimitReached,
    RouteNotFound,
    /// The path has only the methods of `allow`.
    MethodNotAllowed {
        allow: String,
    },
    /// The resource cannot go from its status to the one asked for. Boxed: it would make every error
    /// as large as itself.
    InvalidStatusTransition(Box<Transition>),
    VersionConflict,
    /// The asset has a status in which nobody can have it.
    AssetNotAssignable {
        status: Cow<'static, str>,
    },
    /// The project takes no new tasks.
    ProjectClosed,
    /// The URL is one to which nothing may be sent.
    WebhookUrlForbidden,
    /// The webhook endpoint is disabled, so nothing is sent to it.
    WebhookDisabled,
    /// The events that are asked for begin before the oldest one that is kept.
    EventsExpired {
        /// The sequence of the oldest event.
        oldest: i64,
    },
    /// The built-in SYSTEM user is not changed.
    SystemUser,
    /// The workspace has as many of a kind as it may have.
    ResourceLimitReached,
    AlreadyExists,
    IdempotencyKeyRequired,
    InvalidIdempotencyKey,
    IdempotencyKeyConflict,
    IdempotencyInProgress,
    RateLimitExceeded {
        retry_after_secs: u32,
        /// The limits whose window admits no more.
        exhausted: Vec<Exhausted>,
    },
    ApiKeyCreationLimited {
        retry_after_secs: u32,
    },
    TooManyFailedAttempts {
        retry_after_secs: u32,
    },
    /// The key has as many open streams as it may have.
    TooManyStreams,
    PayloadTooLarge,
    PageTooLarge,
    UnsupportedMediaType,
    /// The body is compressed otherwise than by gzip.
    UnsupportedCoding,
    RequestTimeout,
    DeadlineExceeded,
    ServiceUnavailable {
        retry_after_secs: u32,
    },
    /// An item of an atomic batch that was well itself.
    BatchAborted,
    Internal,
}

/// A rate limit whose window admits no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exhausted {
    /// The subject of the limit: `key:` and the key's id, or `group:` and the endpoint group.
    pub subject: String,
    /// The requests that a window of a minute admits.
    pub limit: u32,
}

/// A step that a status cannot take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The status that the resource has.
    pub from: Cow<'static, str>,
    /// The one that was asked for.
    pub to: Cow<'static, str>,
    /// The statuses that would have been allowed.
    pub allowed: Vec<Cow<'static, str>>,
}

impl Kind {
    /// The stable code, the HTTP status and the gRPC status of the kind.
    pub fn table(&self) -> (&'static str, StatusCode, Code) {
        use StatusCode as Http;
        match self {
            Self::MissingApiKey => ("MISSING_API_KEY", Http::UNAUTHORIZED, Code::Unauthenticated),
            Self::InvalidApiKey => ("INVALID_API_KEY", Http::UNAUTHORIZED, Code::Unauthenticated),
            Self::ApiKeyExpired => ("API_KEY_EXPIRED", Http::UNAUTHORIZED, Code::Unauthenticated),
            Self::AmbiguousCredentials => {
                ("AMBIGUOUS_CREDENTIALS", Http::BAD_REQUEST, Code::InvalidArgument)
            }
            Self::InsufficientScope { .. } => {
                ("INSUFFICIENT_SCOPE", Http::FORBIDDEN, Code::PermissionDenied)
            }
            Self::FeatureNotEnabled => {
                ("FEATURE_NOT_ENABLED", Http::FORBIDDEN, Code::PermissionDenied)
            }
            Self::ValidationFailed => {
                ("VALIDATION_FAILED", Http::BAD_REQUEST, Code::InvalidArgument)
            }
            Self::MalformedJson => ("MALFORMED_JSON", Http::BAD_REQUEST, Code::InvalidArgument),
            Self::UnknownField => ("UNKNOWN_FIELD", Http::BAD_REQUEST, Code::InvalidArgument),
            Self::InvalidReference => {
                ("INVALID_REFERENCE", Http::BAD_REQUEST, Code::InvalidArgument)
            }
            Self::NotFound(resource) => {
                (resource.not_found_code(), Http::NOT_FOUND, Code::NotFound)
            }
            Self::ApiKeyLimitReached => {
                ("API_KEY_LIMIT_REACHED", Http::BAD_REQUEST, Code::FailedPrecondition)
            }
            Self::RouteNotFound => ("ROUTE_NOT_FOUND", Http::NOT_FOUND, Code::Unimplemented),
            Self::MethodNotAllowed { .. } => {
                ("METHOD_NOT_ALLOWED", Http::METHOD_NOT_ALLOWED, Code::Unimplemented)
            }
            Self::InvalidStatusTransition(_) => {
                ("INVALID_STATUS_TRANSITION", Http::CONFLICT, Code::FailedPrecondition)
            }
            Self::AssetNotAssignable { .. } => {
                ("ASSET_NOT_ASSIGNABLE", Http::CONFLICT, Code::FailedPrecondition)
            }
            Self::ProjectClosed => ("PROJECT_CLOSED", Http::CONFLICT, Code::FailedPrecondition),
            Self::WebhookUrlForbidden => {
                ("WEBHOOK_URL_FORBIDDEN", Http::BAD_REQUEST, Code::InvalidArgument)
            }
            Self::WebhookDisabled => ("WEBHOOK_DISABLED", Http::CONFLICT, Code::FailedPrecondition),
            Self::EventsExpired { .. } => ("EVENTS_EXPIRED", Http::GONE, Code::OutOfRange),
            Self::VersionConflict => ("VERSION_CONFLICT", Http::PRECONDITION_FAILED, Code::Aborted),
            Self::SystemUser => ("SYSTEM_USER", Http::CONFLICT, Code::FailedPrecondition),
            Self::ResourceLimitReached => {
                ("RESOURCE_LIMIT_REACHED", Http::CONFLICT, Code::FailedPrecondition)
            }
            Self::AlreadyExists => ("ALREADY_EXISTS", Http::CONFLICT, Code::AlreadyExists),
            Self::IdempotencyKeyRequired => {
                ("IDEMPOTENCY_KEY_REQUIRED", Http::BAD_REQUEST, Code::InvalidArgument)
            }
            Self::InvalidIdempotencyKey => {
                ("INVALID_IDEMPOTENCY_KEY", Http::BAD_REQUEST, Code::InvalidArgument)
            }
            Self::IdempotencyKeyConflict => {
                ("IDEMPOTENCY_KEY_CONFLICT", Http::CONFLICT, Code::AlreadyExists)
            }
            Self::IdempotencyInProgress => {
                ("IDEMPOTENCY_IN_PROGRESS", Http::CONFLICT, Code::Aborted)
            }
            Self::RateLimitExceeded { .. } => {
                ("RATE_LIMIT_EXCEEDED", Http::TOO_MANY_REQUESTS, Code::ResourceExhausted)
            }
            Self::ApiKeyCreationLimited { .. } => {
                ("API_KEY_CREATION_LIMITED", Http::TOO_MANY_REQUESTS, Code::ResourceExhausted)
            }
            Self::TooManyFailedAttempts { .. } => {
                ("TOO_MANY_FAILED_ATTEMPTS", Http::TOO_MANY_REQUESTS, Code::ResourceExhausted)
            }
            Self::TooManyStreams => {
                ("TOO_MANY_STREAMS", Http::TOO_MANY_REQUESTS, Code::ResourceExhausted)
            }
            Self::PayloadTooLarge => {
                ("PAYLOAD_TOO_LARGE", Http::PAYLOAD_TOO_LARGE, Code::ResourceExhausted)
            }
            Self::PageTooLarge => ("PAGE_TOO_LARGE", Http::BAD_REQUEST, Code::OutOfRange),
            Self::UnsupportedMediaType | Self::UnsupportedCoding => {
                ("UNSUPPORTED_MEDIA_TYPE", Http::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument)
            }
            Self::RequestTimeout => ("REQUEST_TIMEOUT", Http::REQUEST_TIMEOUT, Code::Cancelled),
            Self::DeadlineExceeded => {
                ("DEADLINE_EXCEEDED", Http::GATEWAY_TIMEOUT, Code::DeadlineExceeded)
            }
            Self::ServiceUnavailable { .. } => {
                ("SERVICE_UNAVAILABLE", Http::SERVICE_UNAVAILABLE, Code::Unavailable)
            }
            Self::BatchAborted => ("BATCH_ABORTED", Http::FAILED_DEPENDENCY, Code::Aborted),
            Self::Internal => ("INTERNAL_ERROR", Http::INTERNAL_SERVER_ERROR, Code::Internal),
        }
    }
}

impl Error {
    /// A refusal of this kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let (message, details) = (message.into(), Vec::new());
        Self { kind, message, details, replay_of: None, source: None }
    }

    /// A failure on our side: the caller gets a generic text, the log gets `source`.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let message =
            "Something failed on our side. Try again; if it persists, report the request id.";
        Self { source: Some(Arc::from(source.into())), ..Self::new(Kind::Internal, message) }
    }

    /// The database cannot be reached for a moment.
    pub fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let kind = Kind::ServiceUnavailable { retry_after_secs: 1 };
        let message = "The service cannot answer for a moment. Try again after 1 second.";
        Self { source: Some(Arc::from(source.into())), ..Self::new(kind, message) }
    }

    /// Makes the refusal of ids that name nothing in this workspace, each with its field. The text
    /// is the same for an id of another workspace and for one that is nowhere.
    pub fn invalid_reference(violations: Violations) -> Self {
        Self::with_details(Kind::InvalidReference, violations)
    }

    /// A page whose rows are too many bytes.
    pub fn page_too_large(violations: Violations) -> Self {
        Self::with_details(Kind::PageTooLarge, violations)
    }

    /// Makes the refusal of wrong fields: VALIDATION_FAILED, or UNKNOWN_FIELD when unknown names
    /// are all that is wrong.
    pub fn invalid(violations: Violations) -> Self {
        let unknown = violations.as_slice().iter().all(|wrong| wrong.code == "UNKNOWN_FIELD");
        let kind = if unknown { Kind::UnknownField } else { Kind::ValidationFailed };
        Self::with_details(kind, violations)
    }

    /// Makes the refusal of one wrong field.
    pub fn invalid_field(field: &str, code: &'static str, message: impl Into<String>) -> Self {
        let mut violations = Violations::default();
        violations.add(field, code, message);
        Self::invalid(violations)
    }

    /// A refusal of this kind for one field.
    pub fn field_of(
        kind: Kind,
        field: &str,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        let mut violations = Violations::default();
        violations.add(field, code, message);
        Self::with_details(kind, violations)
    }

    fn with_details(kind: Kind, violations: Violations) -> Self {
        let details = violations.as_slice().to_vec();
        let message = match details.as_slice() {
            [only] => only.message.clone(),
            [first, rest @ ..] => format!("{} ({} more in details)", first.message, rest.len()),
            [] => "The request is not valid.".to_owned(),
        };
        Self { details, ..Self::new(kind, message) }
    }

    /// A body or message of more than `max` bytes.
    pub fn too_large(max: usize) -> Self {
        let most = if max >= 1 << 20 {
            format!("{} MiB", max >> 20)
        } else {
            format!("{} KiB", max >> 10)
        };
        let message = format!("The body must be at most {most}, also once decompressed.");
        Self::new(Kind::PayloadTooLarge, message)
    }

    /// Returns the seconds after which to try again, if the kind tells.
    pub fn retry_after_secs(&self) -> Option<u32> {
        match self.kind {
            Kind::ServiceUnavailable { retry_after_secs }
            | Kind::RateLimitExceeded { retry_after_secs, .. }
            | Kind::ApiKeyCreationLimited { retry_after_secs }
            | Kind::TooManyFailedAttempts { retry_after_secs } => Some(retry_after_secs),
            Kind::IdempotencyInProgress => Some(1),
            _ => None,
        }
    }

    /// The stable code of its kind.
    pub fn code(&self) -> &'static str {
        self.kind.table().0
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code(), self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Formats an error with all of its causes, in one line.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line += &format!(": {error}");
        cause = error.source();
    }
    line
}

impl Resource {
    /// Makes the refusal of a resource that is not there.
    pub fn not_found(self) -> Error {
        Error::new(Kind::NotFound(self), self.not_found_remedy())
    }
}

/// Carries an `Error` through tonic's service traits: `layers::respond` takes it out again.
impl From<Error> for tonic::Status {
    fn from(error: Error) -> Self {
        let mut status = tonic::Status::new(error.kind.table().2, error.message.clone());
        status.set_source(Arc::new(error));
        status
    }
}
