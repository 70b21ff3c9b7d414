//! The answers of operations that succeed: the envelope, its headers, an example.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::contract::{Access, IdempotencyKeyUse};
use super::operations::Operation;
use super::schemas::Schemas;
use super::{contract, examples};
use crate::write::PAGE_METAS;

impl Operation<'_> {
    /// The response of a success.
    pub fn success(&self, schemas: &mut Schemas) -> Value {
        if self.rpc.method.is_server_streaming() {
            return self.stream(schemas);
        }
        let response = self.rpc.method.output();
        let data = self.data_field(&response);
        let meta = response.fields().find(|field| data.is_some() && is_page_meta(field));
        let envelope = envelope(&response, data.as_ref(), meta.as_ref(), schemas);
        let name = format!("{}Envelope", self.rpc.method.name());
        let comment = contract::comment(&response.parent_file(), response.path());
        json!({
            "description": contract::about(response.name(), &comment),
            "headers": self.success_headers(data.as_ref()),
            "content": { "application/json": {
                "schema": self.named(schemas, &name, "Envelope", envelope),
                "example": self.answer_example(data.as_ref(), meta.as_ref()),
            } },
        })
    }

    /// The response of a stream, in both of its formats.
    fn stream(&self, schemas: &mut Schemas) -> Value {
        let response = self.rpc.method.output();
        let (event, checkpoint) = self.contract.streamed(self.rpc);
        let data = match &event {
            Some(event) => schemas.answer_field(event),
            None => schemas.answer(&response),
        };
        let lines: Vec<_> =
            event.iter().chain(&checkpoint).map(|field| line(field, schemas)).collect();
        let error = super::schemas::reference("Error");
        let mut lines = if lines.is_empty() { vec![data.clone()] } else { lines };
        lines.push(error);
        let line = json!({ "anyOf": lines });
        let comment = contract::comment(&response.parent_file(), response.path());
        let checkpoints = if checkpoint.is_some() {
            " A frame that has an `id` and no `data` tells how far the stream has been read."
        } else {
            ""
        };
        let about = contract::about(response.name(), &comment);
        json!({
            "description": format!(
                "{about}\n\nServer-Sent Events, each with one JSON document as its `data`; where `Accept` has `application/x-ndjson`, the same as lines of JSON.{checkpoints} A stream that ends by an error tells it in its last frame, whose `event` is `error`."
            ),
            "headers": self.success_headers(None),
            "content": {
                "text/event-stream": { "schema": {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "contentSchema": data,
                } },
                "application/x-ndjson": { "schema": {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "contentSchema": line,
                } },
            },
        })
    }

    /// The answer to who has the resource as it is.
    pub fn not_modified(&self) -> Value {
        let mut headers = json!({ "X-Request-Id": super::header("X-Request-Id") });
        headers["ETag"] = super::header("ETag");
        for name in super::RATE_LIMIT_HEADERS {
            headers[name] = super::header(name);
        }
        json!({ "description": "The resource is as `If-None-Match` has it.", "headers": headers })
    }

    fn data_field(&self, response: &MessageDescriptor) -> Option<FieldDescriptor> {
        let name = &self.route.response_body;
        (!name.is_empty()).then(|| {
            let field = response.get_field_by_name(name);
            field.unwrap_or_else(|| panic!("{}: {name} is no field of its response", self.id))
        })
    }

    /// A resource with a version has an entity tag; who has a key is told what is left of its limits;
    /// and what can be replayed says whether it was.
    fn success_headers(&self, data: Option<&FieldDescriptor>) -> Value {
        let mut headers = json!({ "X-Request-Id": super::header("X-Request-Id") });
        let mut add = |name: &str| headers[name] = super::header(name);
        let resource = data.filter(|field| !field.is_list()).map(FieldDescriptor::kind);
        if let Some(Kind::Message(resource)) = resource {
            let version = resource.get_field_by_name("version").map(|field| field.kind());
            if version == Some(Kind::Int64) {
                add("ETag");
            }
        }
        if !matches!(self.rpc.policy.access, Access::Public) {
            super::RATE_LIMIT_HEADERS.into_iter().for_each(&mut add);
        }
        if self.rpc.policy.idempotency_key != IdempotencyKeyUse::Ignored {
            add("Idempotent-Replayed");
        }
        headers
    }

    /// The answer to the request's example: what that says is what this shows.
    fn answer_example(
        &self,
        data: Option<&FieldDescriptor>,
        meta: Option<&FieldDescriptor>,
    ) -> Value {
        let mut shown = match data {
            Some(field) => examples::answer_field(self.contract, field),
            None => examples::answer(self.contract, &self.rpc.method.output()),
        };
        let updates = self.contract.updates(&self.rpc.method.input());
        for field in self.body_fields() {
            let sent = self.contract.rules(&field).example;
            let sent = sent.or_else(|| (field.is_list() && !updates).then(|| json!([])));
            if let (Some(shown), Some(sent)) = (shown.get_mut(field.json_name()), sent) {
                *shown = sent;
            }
        }
        let mut example = json!({ "success": true, "data": shown });
        if let Some(meta) = meta {
            example["meta"] = examples::answer_field(self.contract, meta);
        }
        example
    }
}

/// The schema of a line that tells of one field alone.
fn line(field: &FieldDescriptor, schemas: &mut Schemas) -> Value {
    json!({
        "type": "object",
        "required": [field.json_name()],
        "properties": { field.json_name(): schemas.answer_field(field) },
        "additionalProperties": false,
    })
}

fn is_page_meta(field: &FieldDescriptor) -> bool {
    match field.kind() {
        Kind::Message(message) => PAGE_METAS.contains(&message.name()),
        _ => false,
    }
}

fn envelope(
    response: &MessageDescriptor,
    data: Option<&FieldDescriptor>,
    meta: Option<&FieldDescriptor>,
    schemas: &mut Schemas,
) -> Value {
    let data = match data {
        Some(field) => schemas.answer_field(field),
        None => schemas.answer(response),
    };
    let mut properties = json!({ "success": { "type": "boolean", "const": true }, "data": data });
    if let Some(meta) = meta {
        properties["meta"] = schemas.answer_field(meta);
    }
    let required: Vec<_> = properties.as_object().into_iter().flat_map(Map::keys).collect();
    json!({
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": false,
    })
}
