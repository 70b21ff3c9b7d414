//! The refusals that an operation can answer: the codes, their HTTP status, and when they occur.
//!
//! The codes themselves and what they mean come from the enum ErrorReason; a code that it has and
//! that this module does not know stops the build.

use std::collections::BTreeMap;

use heck::ToShoutySnakeCase;
use prost_reflect::{DescriptorPool, Kind, MethodDescriptor};
use serde_json::{Map, Value, json};

use super::contract::{self, Access, Contract, IdempotencyKeyUse, Route, Rpc};
use super::schemas::reference;

/// The condition under which an operation can answer a code.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// The operation needs a key.
    Key,
    /// The operation needs a scope.
    Scope,
    /// The operation takes a body.
    Body,
    /// The operation creates a resource or changes one.
    Write,
    /// The operation reads or changes a resource that has a version.
    Versioned,
    /// The workspace's plan must include it.
    Capability,
    /// The operation takes an `Idempotency-Key`.
    Idempotent,
    /// The operation cannot do without an `Idempotency-Key`.
    IdempotencyRequired,
    /// The method has one of these names.
    Of(&'static [&'static str]),
    /// The operation answers a page of a list.
    Page,
    /// The operation answers a stream.
    Stream,
    /// A credential is looked at, also one that is reported.
    Credential,
    /// The operation takes an id of this kind of resource in its path.
    Id,
    /// Only where no operation is, or of an item among others.
    Nowhere,
}

/// The codes but for `…_NOT_FOUND`, which each resource has one of.
const CODES: [(&str, u16, When); 39] = [
    ("VALIDATION_FAILED", 400, When::Always),
    ("UNKNOWN_FIELD", 400, When::Always),
    ("MALFORMED_JSON", 400, When::Body),
    ("INVALID_REFERENCE", 400, When::Write),
    ("AMBIGUOUS_CREDENTIALS", 400, When::Key),
    ("PAGE_TOO_LARGE", 400, When::Page),
    ("WEBHOOK_URL_FORBIDDEN", 400, When::Of(&["CreateWebhook", "UpdateWebhook"])),
    ("API_KEY_LIMIT_REACHED", 400, When::Of(&["CreateKey"])),
    ("IDEMPOTENCY_KEY_REQUIRED", 400, When::IdempotencyRequired),
    ("INVALID_IDEMPOTENCY_KEY", 400, When::Idempotent),
    ("MISSING_API_KEY", 401, When::Key),
    ("INVALID_API_KEY", 401, When::Key),
    ("API_KEY_EXPIRED", 401, When::Key),
    ("INSUFFICIENT_SCOPE", 403, When::Scope),
    ("FEATURE_NOT_ENABLED", 403, When::Capability),
    ("ROUTE_NOT_FOUND", 404, When::Nowhere),
    ("METHOD_NOT_ALLOWED", 405, When::Always),
    ("REQUEST_TIMEOUT", 408, When::Body),
    (
        "INVALID_STATUS_TRANSITION",
        409,
        When::Of(&["UpdateTicket", "UpdateArticle", "UpdateAsset", "UpdateProject"]),
    ),
    (
        "WEBHOOK_DISABLED",
        409,
        When::Of(&["TestWebhook", "ReplayWebhook", "RedeliverWebhookDelivery"]),
    ),
    ("PROJECT_CLOSED", 409, When::Of(&["CreateTask"])),
    ("ASSET_NOT_ASSIGNABLE", 409, When::Of(&["UpdateAsset"])),
    ("SYSTEM_USER", 409, When::Of(&["UpdateUser", "AnonymizeUser"])),
    ("ALREADY_EXISTS", 409, When::Write),
    ("RESOURCE_LIMIT_REACHED", 409, When::Of(&["CreateCustomField", "CreateWebhook"])),
    ("IDEMPOTENCY_KEY_CONFLICT", 409, When::Idempotent),
    ("IDEMPOTENCY_IN_PROGRESS", 409, When::Idempotent),
    (
        "EVENTS_EXPIRED",
        410,
        When::Of(&[
            "ListEvents",
            "ListTicketChanges",
            "StreamEvents",
            "ReplayWebhook",
            "RedeliverWebhookDelivery",
        ]),
    ),
    ("VERSION_CONFLICT", 412, When::Versioned),
    ("PAYLOAD_TOO_LARGE", 413, When::Body),
    ("UNSUPPORTED_MEDIA_TYPE", 415, When::Always),
    ("BATCH_ABORTED", 424, When::Nowhere),
    ("RATE_LIMIT_EXCEEDED", 429, When::Key),
    ("TOO_MANY_FAILED_ATTEMPTS", 429, When::Credential),
    ("API_KEY_CREATION_LIMITED", 429, When::Of(&["CreateKey"])),
    ("TOO_MANY_STREAMS", 429, When::Stream),
    ("INTERNAL_ERROR", 500, When::Always),
    ("SERVICE_UNAVAILABLE", 503, When::Always),
    ("DEADLINE_EXCEEDED", 504, When::Always),
];

/// The refusing statuses, each with the name of its response and the headers that it alone has.
const STATUSES: [(u16, &str, &[&str]); 15] = [
    (400, "BadRequest", &[]),
    (401, "Unauthorized", &["WWW-Authenticate"]),
    (403, "Forbidden", &[]),
    (404, "NotFound", &[]),
    (405, "MethodNotAllowed", &["Allow"]),
    (408, "RequestTimeout", &[]),
    (409, "Conflict", &[]),
    (410, "Gone", &[]),
    (412, "PreconditionFailed", &[]),
    (413, "PayloadTooLarge", &[]),
    (415, "UnsupportedMediaType", &[]),
    (429, "TooManyRequests", &["Retry-After"]),
    (500, "InternalError", &[]),
    (503, "ServiceUnavailable", &["Retry-After"]),
    (504, "DeadlineExceeded", &[]),
];

/// A code of the contract, with what the document says of it.
pub struct Code {
    pub name: String,
    pub status: u16,
    /// The occasion on which it is answered, in a line.
    pub meaning: String,
    when: When,
}

/// The codes of the contract, in the order of their status, the commonest of each first.
///
/// # Panics
///
/// If ErrorReason is missing, or has a code that this module does not know.
pub fn codes(pool: &DescriptorPool) -> Vec<Code> {
    let reasons = pool
        .get_enum_by_name("orqit.v1.ErrorReason")
        .expect("the descriptors declare orqit.v1.ErrorReason");
    let mut codes: Vec<_> = contract::enum_values(&reasons)
        .into_iter()
        .map(|(name, comment)| {
            let (status, when) = answered(&name);
            Code { name, status, meaning: contract::one_line(&comment), when }
        })
        .collect();
    let place = |code: &Code| CODES.iter().position(|(known, ..)| *known == code.name);
    codes.sort_by_key(|code| (code.status, place(code)));
    codes
}

fn answered(code: &str) -> (u16, When) {
    match CODES.iter().find(|(known, ..)| *known == code) {
        Some((_, status, when)) => (*status, *when),
        None if code.ends_with("_NOT_FOUND") => (404, When::Id),
        None => panic!("say in openapi/errors.rs when {code} is answered"),
    }
}

/// The refusals of one operation: references to the shared responses, each with its codes.
pub fn of(contract: &Contract, codes: &[Code], rpc: &Rpc, route: &Route) -> Map<String, Value> {
    let mut found: BTreeMap<u16, Vec<&Code>> = BTreeMap::new();
    for code in codes.iter().filter(|code| occurs(contract, code, rpc, route)) {
        found.entry(code.status).or_default().push(code);
    }
    found
        .into_iter()
        .map(|(status, codes)| {
            let response = json!({
                "$ref": format!("#/components/responses/{}", response_name(status)),
                "description": describe(&codes),
            });
            (status.to_string(), response)
        })
        .collect()
}

fn occurs(contract: &Contract, code: &Code, rpc: &Rpc, route: &Route) -> bool {
    let request = rpc.method.input();
    let updates = contract.updates(&request);
    let keyed = !matches!(rpc.policy.access, Access::Public);
    match code.when {
        When::Always => true,
        When::Key => keyed,
        When::Scope => matches!(rpc.policy.access, Access::Scope(_)),
        When::Body => !route.body.is_empty(),
        When::Write => updates || rpc.method.name().starts_with("Create"),
        When::Versioned => contract.is_versioned(rpc, route),
        When::Capability => rpc.policy.capability.is_some(),
        When::Idempotent => rpc.policy.idempotency_key != IdempotencyKeyUse::Ignored,
        When::IdempotencyRequired => {
            *rpc.policy.idempotency_key_on(&route.template) == IdempotencyKeyUse::Required
        }
        When::Page => request.get_field_by_name("per_page").is_some(),
        When::Stream => rpc.method.is_server_streaming(),
        When::Credential => keyed || rpc.policy.limited_by_address,
        When::Of(methods) => methods.contains(&rpc.method.name()),
        When::Id => route.template.contains('{') && names(&rpc.method, &code.name),
        When::Nowhere => false,
    }
}

/// Returns true if an RPC, its service or its answer is the resource that a `…_NOT_FOUND` code
/// names.
fn names(method: &MethodDescriptor, code: &str) -> bool {
    let output = method.output();
    let answered = output.fields().filter_map(|field| match field.kind() {
        Kind::Message(message) => Some(message.name().to_owned()),
        _ => None,
    });
    let service = method.parent_service().name().to_owned();
    let mut about = answered.chain([service, method.name().to_owned()]);
    let resource = format!("_{}_", code.trim_end_matches("_NOT_FOUND"));
    about.any(|name| format!("_{}_", name.to_shouty_snake_case()).contains(&resource))
}

fn describe(codes: &[&Code]) -> String {
    let lines = codes.iter().map(|code| format!("- `{}`: {}", code.name, code.meaning));
    lines.collect::<Vec<_>>().join("\n")
}

fn response_name(status: u16) -> &'static str {
    let known = STATUSES.iter().find(|(known, ..)| *known == status);
    known.map(|(_, name, _)| *name).expect("every status of a code has a response")
}

/// The shared responses, one for each refusing status.
pub fn responses(codes: &[Code]) -> Map<String, Value> {
    STATUSES
        .iter()
        .map(|(status, name, headers)| {
            let codes: Vec<_> = codes.iter().filter(|code| code.status == *status).collect();
            (name.to_string(), response(&codes, headers))
        })
        .collect()
}

fn response(codes: &[&Code], own_headers: &[&str]) -> Value {
    let mut headers = Map::new();
    // Before there is a caller, nothing can be told of its limits.
    let keyless = [401, 405, 408, 500, 503, 504];
    let limited = codes.iter().all(|code| !keyless.contains(&code.status));
    let limits = super::RATE_LIMIT_HEADERS.iter().filter(|_| limited);
    for name in ["X-Request-Id"].iter().chain(own_headers).chain(limits) {
        headers.insert(name.to_string(), super::header(name));
    }
    let mut content = json!({ "schema": reference("Error") });
    if let Some(first) = codes.first() {
        content["example"] = example(first);
    }
    json!({
        "description": describe(codes),
        "headers": headers,
        "content": { "application/json": content },
    })
}

fn example(code: &Code) -> Value {
    let mut error = json!({
        "code": code.name,
        "message": code.meaning,
        "requestId": "req_5b0JmN3kTq8ZbN1xYw4fQ7",
    });
    let more = match code.name.as_str() {
        "VALIDATION_FAILED" => json!({ "details": [{
            "field": "perPage",
            "code": "OUT_OF_RANGE",
            "message": "perPage must be 1 to 100",
        }] }),
        "INSUFFICIENT_SCOPE" => json!({ "requiredScope": "tickets:read" }),
        "SERVICE_UNAVAILABLE" => json!({ "retryAfterSeconds": 1 }),
        "RATE_LIMIT_EXCEEDED" => json!({ "retryAfterSeconds": 43 }),
        "INVALID_STATUS_TRANSITION" => {
            json!({ "from": "CANCELLED", "to": "CLOSED", "allowed": ["OPEN"] })
        }
        "ASSET_NOT_ASSIGNABLE" => json!({ "status": "RETIRED" }),
        "EVENTS_EXPIRED" => json!({ "oldestSequence": 4711 }),
        _ => json!({}),
    };
    for (key, value) in more.as_object().into_iter().flatten() {
        error[key] = value.clone();
    }
    json!({ "success": false, "error": error })
}

/// The envelope of every refusal.
pub fn envelope(codes: &[Code]) -> Value {
    json!({
        "type": "object",
        "description": "The envelope of every refusal.",
        "required": ["success", "error"],
        "properties": {
            "success": { "type": "boolean", "const": false },
            "error": {
                "type": "object",
                "required": ["code", "message", "requestId"],
                "properties": error_properties(codes),
                "additionalProperties": false,
            },
        },
        "additionalProperties": false,
    })
}

fn error_properties(codes: &[Code]) -> Value {
    let names: Vec<_> = codes.iter().map(|code| &code.name).collect();
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "code": { "type": "string", "description": "The stable code of the refusal.", "enum": names },
        "message": text("What happened and what to do, as a sentence; its words may change."),
        "requestId": text("The id of the request, as in the header `X-Request-Id`."),
        "details": {
            "type": "array",
            "description": "Every wrong field, when fields are what is wrong.",
            "items": reference("Violation"),
        },
        "retryAfterSeconds": {
            "type": "integer",
            "description": "After how many seconds to try again, as in the header `Retry-After`.",
        },
        "requiredScope": text("The scope that the key lacks."),
        "from": text("The status that the resource has."),
        "to": text("The status that was asked for."),
        "status": text("The status in which the asset cannot be assigned."),
        "oldestSequence": {
            "type": "integer",
            "format": "int64",
            "description": "The sequence of the oldest event that is kept.",
        },
        "allowed": {
            "type": "array",
            "description": "The statuses that could have been asked for.",
            "items": { "type": "string" },
        },
    })
}

/// Returns the schema of one wrong field of a refused request.
pub fn violation() -> Value {
    json!({
        "type": "object",
        "description": "One wrong field of a refused request.",
        "required": ["field", "code", "message"],
        "properties": {
            "field": {
                "type": "string",
                "description": "The path of the field as the caller wrote it, such as `tags[3]`.",
            },
            "code": { "type": "string", "description": "The stable code of what is wrong with it." },
            "message": {
                "type": "string",
                "description": "What is wrong and what would be right, as a sentence.",
            },
        },
        "additionalProperties": false,
    })
}
