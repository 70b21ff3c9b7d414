//! Writes the OpenAPI 3.1 document of the REST side of the API, from the descriptors alone.
//!
//! The comments of the `.proto` files are its descriptions, the HTTP rules its operations, the
//! options of `orqit.v1` its demands and bounds. What holds for the API as a whole, whichever RPC
//! is called, stands in `conventions.md`. The document does not list HEAD and OPTIONS, which every
//! path answers.

mod answers;
pub mod contract;
mod errors;
mod events;
mod examples;
mod operations;
mod schemas;

use std::collections::BTreeSet;

use heck::ToTitleCase;
use prost_reflect::{DescriptorPool, ServiceDescriptor};
use serde_json::{Map, Value, json};

use contract::Contract;
use errors::Code;
use schemas::Schemas;

const CONVENTIONS: &str = include_str!("conventions.md");

/// The address of the service in the document; whoever serves the document puts its own in its
/// place.
pub const SERVER: &str = "http://127.0.0.1:8080";

/// The texts that the descriptors do not have.
#[derive(Debug, Clone)]
pub struct Info<'a> {
    /// The name of the API.
    pub title: &'a str,
    /// The version of the API.
    pub version: &'a str,
    /// The description of the API, in markdown; the conventions and the table of codes follow it.
    pub description: &'a str,
    /// The contact.
    pub contact: &'a str,
    /// The SPDX identifier of the licence.
    pub license: &'a str,
}

/// The OpenAPI document of every RPC in `pool` that has an HTTP rule. The same descriptors give
/// the same document, byte for byte. Descriptions need descriptors with source information.
///
/// # Panics
///
/// If the descriptors say something that the document cannot: a build stops, no request does.
pub fn document(pool: &DescriptorPool, info: &Info) -> Value {
    let contract = Contract::new(pool);
    let codes = errors::codes(pool);
    let mut schemas = Schemas::new(&contract);
    schemas.add("Error", errors::envelope(&codes));
    schemas.add("Violation", errors::violation());
    let paths = operations::paths(&contract, &codes, &mut schemas);
    let webhooks = events::webhooks(&contract, &mut schemas);
    let mut document = json!({
        "openapi": "3.1.0",
        "info": describe(info, &codes),
        "servers": [{ "url": SERVER, "description": "The service that serves this document." }],
        "tags": tags(&contract),
        "paths": paths,
        "webhooks": webhooks,
        "components": {
            "schemas": schemas.into_named(),
            "responses": errors::responses(&codes),
            "parameters": parameters(),
            "headers": headers(),
            "securitySchemes": security_schemes(),
        },
    });
    prune(&mut document);
    document
}

fn describe(info: &Info, codes: &[Code]) -> Value {
    let rows = codes.iter().map(|code| {
        format!("| `{}` | {} | {} |", code.name, code.status, code.meaning.replace('|', "\\|"))
    });
    let rows = rows.collect::<Vec<_>>().join("\n");
    let conventions = CONVENTIONS.replace("{codes}", &rows);
    json!({
        "title": info.title,
        "version": info.version,
        "description": format!("{}\n\n{}", info.description.trim(), conventions.trim()),
        "contact": { "name": info.contact },
        "license": { "name": info.license, "identifier": info.license },
    })
}

/// Returns the tag under which operations of a service are listed: `Ticket` for TicketService.
fn tag_name(service: &ServiceDescriptor) -> String {
    let name = service.name();
    name.strip_suffix("Service").unwrap_or(name).to_title_case()
}

fn tags(contract: &Contract) -> Vec<Value> {
    let mut tags: Vec<Value> = Vec::new();
    for rpc in contract.rpcs() {
        let comment = contract::comment(&rpc.service.parent_file(), rpc.service.path());
        let tag = json!({
            "name": tag_name(&rpc.service),
            "description": contract::about(rpc.service.name(), &comment),
        });
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

fn parameters() -> Value {
    json!({
        "If-Match": {
            "name": "If-Match",
            "in": "header",
            "description": "Answer, or change the resource, only if one of these is its `ETag`; `*` means whatever it is. What stands behind a hyphen in a tag does not count.",
            "schema": { "type": "string" },
            "example": "*",
        },
        "If-None-Match": {
            "name": "If-None-Match",
            "in": "header",
            "description": "Answer only if none of these is the resource's `ETag`: a read is 304 then, a change 412.",
            "schema": { "type": "string" },
            "example": "\"0\"",
        },
        "Last-Event-ID": {
            "name": "Last-Event-ID",
            "in": "header",
            "description": "The last `id` of a stream that broke off: the new one goes on after it.",
            "schema": { "type": "integer", "minimum": 0 },
            "example": 4711,
        },
    })
}

/// The headers by which every answer to a key tells its limits.
const RATE_LIMIT_HEADERS: [&str; 6] = [
    "RateLimit-Policy",
    "RateLimit",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "X-RateLimit-Resource",
];

/// A reference to a shared header.
fn header(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

fn headers() -> Map<String, Value> {
    let text = json!({ "type": "string" });
    let seconds = json!({ "type": "integer", "minimum": 0 });
    let headers = [
        (
            "X-Request-Id",
            "The id of the request: the one that was sent, or a new one.",
            text.clone(),
        ),
        (
            "ETag",
            "The version of the resource in quotation marks, for `If-Match` and `If-None-Match`. Where figures stand beside it, a hyphen and a digest of them follow.",
            text.clone(),
        ),
        ("Allow", "The methods that the path has.", text.clone()),
        ("Retry-After", "After how many seconds to try again.", seconds.clone()),
        ("WWW-Authenticate", "Always `Bearer`.", text.clone()),
    ];
    // Not always there: a key without limits has none to tell of, and a first answer is no replay.
    let sometimes = [
        (
            "RateLimit-Policy",
            "The limits that count here: `\"key\";q=60;w=60` is 60 requests in each window of 60 seconds.",
            text.clone(),
        ),
        (
            "RateLimit",
            "What is left: `\"key\";r=41;t=43` is 41 requests in the next 43 seconds.",
            text.clone(),
        ),
        ("X-RateLimit-Limit", "The limit that has the fewest requests left.", seconds.clone()),
        ("X-RateLimit-Remaining", "How many requests it has left.", seconds.clone()),
        ("X-RateLimit-Reset", "Seconds until its next window begins.", seconds),
        ("X-RateLimit-Resource", "`key`, or the endpoint group that it is for.", text.clone()),
        ("Idempotent-Replayed", "`true` when this is the first answer again.", text),
    ];
    let always = headers.into_iter().map(|header| (header, true));
    let headers = always.chain(sometimes.into_iter().map(|header| (header, false)));
    let headers = headers.map(|((name, description, schema), required)| {
        let header = json!({ "description": description, "required": required, "schema": schema });
        (name.to_owned(), header)
    });
    headers.collect()
}

fn security_schemes() -> Value {
    json!({
        "bearerAuth": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "orq_…",
            "description": "An API key: `Authorization: Bearer orq_…`.",
        },
        "apiKeyHeader": {
            "type": "apiKey",
            "in": "header",
            "name": "X-API-Key",
            "description": "The same API key in a header of its own.",
        },
    })
}

/// Takes out the shared parts that nothing refers to, and then those that only they referred to.
fn prune(document: &mut Value) {
    loop {
        let mut used = BTreeSet::new();
        references(document, &mut used);
        let mut pruned = false;
        for section in ["schemas", "responses", "parameters", "headers"] {
            let parts = document["components"][section].as_object_mut();
            let parts = parts.expect("the sections were just made");
            let before = parts.len();
            parts.retain(|name, _| used.contains(&format!("#/components/{section}/{name}")));
            pruned |= parts.len() < before;
        }
        if !pruned {
            return;
        }
    }
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(target)) = object.get("$ref") {
                found.insert(target.clone());
            }
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}
