//! The events that are sent to webhooks: the schema of each type's payload, and the requests by which
//! they are sent.

use heck::ToUpperCamelCase;
use serde_json::{Map, Value, json};

use super::contract::Contract;
use super::schemas::{Schemas, reference};
use crate::events::{self, EventType};

/// The message that is the payload of every type.
const PAYLOAD: &str = "Event";
/// The part of each delivery's documentation that is the same for all.
const DELIVERY: &str = "Sent to each endpoint that subscribes to the type, or to one of its topics. Verify `X-Orqit-Signature` or `webhook-signature` by the endpoint's secret before you believe it. Answer with any 2xx within 15 seconds; every other answer is tried again. An event can come more than once and out of order: tell them apart by `id`, order them by `sequence`.";

/// The webhooks of the document, by the names of their types. They name their schemas in `schemas`.
pub fn webhooks(contract: &Contract, schemas: &mut Schemas) -> Map<String, Value> {
    let enums = contract.pool.all_enums();
    let types = enums.flat_map(|found| events::of(contract.pool, &found));
    types.map(|found| (found.kind.name.clone(), webhook(contract, schemas, &found))).collect()
}

fn webhook(contract: &Contract, schemas: &mut Schemas, found: &EventType) -> Value {
    let name = found.kind.name.replace(['.', '_'], " ").to_upper_camel_case();
    let payload = payload(contract, schemas, found);
    let payload = schemas.add(&schema_name(&found.kind.name), payload);
    let topics = found.kind.topics.iter().map(|topic| format!("`{topic}`")).collect::<Vec<_>>();
    let topics = match topics.as_slice() {
        [] => String::new(),
        topics => format!(" Narrower topics: {}.", topics.join(", ")),
    };
    json!({
        "post": {
            "operationId": format!("on{name}"),
            "summary": found.about.trim_end_matches('.'),
            "description": format!("{}{topics}\n\n{DELIVERY}", found.about),
            "tags": ["Webhook"],
            "security": [],
            "parameters": headers(),
            "requestBody": {
                "required": true,
                "content": { "application/json": { "schema": payload } },
            },
            "responses": {
                "2XX": { "description": "The event has arrived." },
                "410": { "description": "Nobody wants events here any more: the endpoint is disabled." },
            },
        }
    })
}

/// The name of the schema of a type's payload, such as `TicketUpdatedEvent`.
fn schema_name(event_type: &str) -> String {
    format!("{}{PAYLOAD}", event_type.replace(['.', '_'], " ").to_upper_camel_case())
}

/// The schema of a type's payload: that of any event, with what is known of this one.
fn payload(contract: &Contract, schemas: &mut Schemas, found: &EventType) -> Value {
    let package = found.value.parent_enum().package_name().to_owned();
    let message = |name: &str| {
        let message = contract.pool.get_message_by_name(&format!("{package}.{name}"));
        message
            .unwrap_or_else(|| panic!("{} tells of {name}, which is no message", found.kind.name))
    };
    schemas.answer(&message(PAYLOAD));
    schemas.answer(&message(&found.kind.object));
    let mut data = json!({
        "object": reference(&found.kind.object),
        "changedFields": {
            "type": "array",
            "items": { "type": "string" },
            "description": "The fields of `object` that differ; empty for a new one. An entry of `customFields` is a field of its own, such as `customFields.site`.",
        },
        "previous": {
            "type": "object",
            "description": "What those fields were before.",
        },
    });
    if let Some(beside) = &found.kind.beside {
        for field in message(beside).fields() {
            data[field.json_name()] = schemas.answer_field(&field);
        }
    }
    let required: Vec<_> =
        data.as_object().map(|data| data.keys().cloned().collect()).unwrap_or_default();
    let mut schema = schemas.get(PAYLOAD).expect("it was just made").clone();
    schema["description"] = json!(found.about);
    let topics = std::iter::once(&found.kind.name).chain(&found.kind.topics).collect::<Vec<_>>();
    let properties = &mut schema["properties"];
    properties["type"] = json!({ "type": "string", "const": found.kind.name });
    properties["topics"] = json!({
        "type": "array",
        "items": { "type": "string", "enum": topics },
        "description": "What the event can be subscribed to by: its type, and narrower topics.",
    });
    properties["data"] = json!({ "type": "object", "required": required, "properties": data });
    schema
}

fn headers() -> Value {
    let header = |name: &str, about: &str, example: Value| {
        json!({
            "name": name,
            "in": "header",
            "required": true,
            "description": about,
            "schema": { "type": "string" },
            "example": example,
        })
    };
    json!([
        header(
            "X-Orqit-Signature",
            "The time of the attempt, and a signature by each valid secret of the endpoint: the hexadecimal HMAC-SHA256 of the time, a dot and the body, by the decoded secret.",
            json!("t=1795392000,v1=6d1f0c0d0a6f…"),
        ),
        header(
            "webhook-id",
            "The event's id, the same in every attempt.",
            json!("evt_5b0JmN3kTq8ZbN1xYw4fQ7"),
        ),
        header(
            "webhook-timestamp",
            "The time of the attempt, in seconds since 1970.",
            json!("1795392000")
        ),
        header(
            "webhook-signature",
            "The signature of Standard Webhooks, by each valid secret: the base64 HMAC-SHA256 of id, time and body, joined by dots.",
            json!("v1,bR8MDQpvxQ…"),
        ),
        header("X-Orqit-Event", "The type of the event.", json!("ticket.updated")),
        header("X-Orqit-Event-Id", "The event's id.", json!("evt_5b0JmN3kTq8ZbN1xYw4fQ7")),
        header("X-Orqit-Delivery", "The id of the delivery.", json!("4711")),
        header("X-Orqit-Attempt", "The number of the attempt, from 1.", json!("1")),
    ])
}
