//! Examples of bodies and answers, put together from the examples that single fields have.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::contract::{self, Contract};

/// The depth to which an example goes into messages that contain themselves.
const DEPTH_MAX: usize = 4;
const INSTANT: &str = "2026-01-15T09:30:00.000Z";

/// A body with every field that has an example of its own; none if no field has one, but some must have
/// a value.
pub fn body(contract: &Contract, fields: &[FieldDescriptor]) -> Option<Value> {
    let mut body = Map::new();
    for field in fields {
        if let Some(example) = contract.rules(field).example {
            body.insert(field.json_name().to_owned(), example);
        }
    }
    let takes_nothing = !fields.iter().any(|field| contract.rules(field).required);
    (takes_nothing || !body.is_empty()).then_some(Value::Object(body))
}

/// A field of an answer.
pub fn answer_field(contract: &Contract, field: &FieldDescriptor) -> Value {
    answered(contract, field, 0, true)
}

/// A message as an answer has it, with every key.
pub fn answer(contract: &Contract, message: &MessageDescriptor) -> Value {
    object(contract, message, 0)
}

fn object(contract: &Contract, message: &MessageDescriptor, depth: usize) -> Value {
    let fields = message.fields();
    fields
        .map(|field| (field.json_name().to_owned(), answered(contract, &field, depth, false)))
        .collect::<Map<_, _>>()
        .into()
}

/// Returns the example of an answer's field; `whole` is the field that the answer is about, which
/// is never left empty.
fn answered(contract: &Contract, field: &FieldDescriptor, depth: usize, whole: bool) -> Value {
    if let Some(example) = contract.rules(field).example {
        return example;
    }
    if field.is_map() {
        return json!({});
    }
    if field.is_list() {
        return if whole { json!([value(contract, field, depth)]) } else { json!([]) };
    }
    if let Kind::Message(message) = field.kind()
        && contract.list(&message).is_some()
    {
        return Value::Null;
    }
    let set = whole || matches!(field.kind(), Kind::Message(_)) || !field.supports_presence();
    if set { value(contract, field, depth) } else { Value::Null }
}

fn value(contract: &Contract, field: &FieldDescriptor, depth: usize) -> Value {
    match field.kind() {
        Kind::Bool => json!(false),
        Kind::String | Kind::Bytes => json!(""),
        Kind::Enum(values) => {
            contract::enum_values(&values).first().map_or(Value::Null, |(name, _)| json!(name))
        }
        Kind::Message(message) => match message.full_name() {
            // What is created has been created; what may happen has not happened yet.
            "google.protobuf.Timestamp" => match field.name() {
                "created_at" | "updated_at" => json!(INSTANT),
                _ => Value::Null,
            },
            "google.protobuf.Struct" => json!({}),
            _ if depth == DEPTH_MAX => Value::Null,
            _ => object(contract, &message, depth + 1),
        },
        _ => json!(0),
    }
}
