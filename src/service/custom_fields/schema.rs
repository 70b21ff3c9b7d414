//! The values of a workspace's custom fields as a JSON Schema (draft 2020-12).

use serde_json::{Map, Value, json};

use super::values::message;
use crate::store::tickets::CustomValue;
use crate::store::{CustomField, CustomFieldType};

/// The schema of `customFields` of a new ticket, for these fields, which are active.
pub fn of(fields: &[CustomField]) -> Map<String, Value> {
    let properties: Map<_, _> =
        fields.iter().map(|field| (field.key.clone(), property(field))).collect();
    let required = fields.iter().filter(|field| field.is_required);
    let required: Vec<_> = required.map(|field| field.key.as_str()).collect();
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "customFields",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    match schema {
        Value::Object(schema) => schema,
        _ => unreachable!("it is written as an object"),
    }
}

fn property(field: &CustomField) -> Value {
    let options = field.bounds.options.iter().filter(|option| option.is_active);
    let options: Vec<_> = options.map(|option| option.value.as_str()).collect();
    let most = |most: i32| field.bounds.max_length.map_or(most, |own| own.min(most));
    let mut schema = match field.field_type {
        CustomFieldType::Text => {
            json!({"type": "string", "minLength": 1, "maxLength": most(65_536)})
        }
        CustomFieldType::Integer => json!({
            "type": "integer",
            "minimum": -9_007_199_254_740_991_i64,
            "maximum": 9_007_199_254_740_991_i64,
        }),
        CustomFieldType::Decimal => json!({
            "type": "string",
            "pattern": "^-?[0-9]+(\\.[0-9]+)?$",
            "maxLength": 20,
        }),
        CustomFieldType::Boolean => json!({"type": "boolean"}),
        CustomFieldType::Date => json!({"type": "string", "format": "date"}),
        CustomFieldType::Select => json!({"type": "string", "enum": options}),
        CustomFieldType::MultiSelect => json!({
            "type": "array",
            "items": {"type": "string", "enum": options},
            "uniqueItems": true,
        }),
        CustomFieldType::Url => {
            json!({"type": "string", "format": "uri", "maxLength": most(2_048)})
        }
        CustomFieldType::Email => {
            json!({"type": "string", "format": "email", "maxLength": most(254)})
        }
        CustomFieldType::User => json!({"type": "integer", "minimum": 1}),
    };
    schema["title"] = field.label.clone().into();
    // Decimal numbers and dates are strings, of which JSON Schema knows no bounds.
    let is_number = field.field_type == CustomFieldType::Integer;
    let (least, greatest) = match is_number {
        true => ("minimum", "maximum"),
        false => ("x-minimum", "x-maximum"),
    };
    let mut bound = |name: &str, value: &Option<CustomValue>| {
        if let Some(value) = value {
            let value = message(value.clone());
            schema[name] = json!(rest::write::Value(&value));
        }
    };
    bound(least, &field.bounds.minimum);
    bound(greatest, &field.bounds.maximum);
    schema
}
