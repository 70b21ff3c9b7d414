//! As much of JSON Schema as the document uses, to hold its examples against its schemas.

use serde_json::{Value, json};

/// Whether `value` fits `schema`, as far as the document's own vocabulary goes.
pub fn fits(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(target) = schema["$ref"].as_str() {
        let target = document.pointer(&target[1..]).ok_or(format!("{target} dangles"))?;
        return fits(document, target, value);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let fitting = choices.iter().any(|choice| fits(document, choice, value).is_ok());
        return ensure(fitting, schema, value);
    }
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.clone(),
        Value::Null => return Ok(()),
        kind => vec![kind.clone()],
    };
    let is_number = value.is_number() && kinds.contains(&json!("number"));
    ensure(is_number || kinds.contains(&json!(kind(value))), schema, value)?;
    ensure(schema.get("const").is_none_or(|only| only == value), schema, value)?;
    let values = schema["enum"].as_array();
    ensure(values.is_none_or(|values| values.contains(value)), schema, value)?;
    ensure(within_bounds(schema, value), schema, value)?;
    fits_inside(document, schema, value)
}

fn ensure(fits: bool, schema: &Value, value: &Value) -> Result<(), String> {
    if fits { Ok(()) } else { Err(format!("{value} does not fit {schema}")) }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn within_bounds(schema: &Value, value: &Value) -> bool {
    let bound = |name: &str| schema[name].as_i64();
    let (size, least, most) = match value {
        // No fraction has bounds here.
        Value::Number(number) if number.is_f64() => return true,
        Value::Number(number) => (number.as_i64(), bound("minimum"), bound("maximum")),
        Value::String(text) => {
            (i64::try_from(text.chars().count()).ok(), bound("minLength"), bound("maxLength"))
        }
        Value::Array(list) => {
            (i64::try_from(list.len()).ok(), bound("minItems"), bound("maxItems"))
        }
        _ => return true,
    };
    size.is_some_and(|size| {
        least.is_none_or(|least| size >= least) && most.is_none_or(|most| size <= most)
    })
}

fn fits_inside(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    for element in value.as_array().into_iter().flatten() {
        fits(document, &schema["items"], element)?;
    }
    for (key, inner) in value.as_object().into_iter().flatten() {
        let property = schema["properties"].get(key);
        ensure(property.is_some() || schema["additionalProperties"] != false, schema, value)?;
        fits(document, property.unwrap_or(&Value::Null), inner)?;
    }
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let missing = required.filter(|key| value.is_object() && value.get(key).is_none()).count();
    ensure(missing == 0, schema, value)
}
