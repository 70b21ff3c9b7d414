//! The translation between the messages of custom fields and the store, and the rules of a
//! definition.

use prost_types::Value;
use rest::{Place, Violations, Wrong};

use super::decimal::is_less;
use super::values::{self, is_null};
use crate::pb;
use crate::service::from_number;
use crate::store::tickets::CustomValue;
use crate::store::{Bounds, CustomField, CustomFieldType, FieldOption, NewCustomField};

from_number! {
    field_type -> CustomFieldType,
}

/// A custom field as the contract shows it.
pub fn shown(field: CustomField) -> pb::CustomField {
    let options = field.bounds.options.into_iter().map(|option| pb::CustomFieldOption {
        value: option.value,
        label: Some(option.label),
        active: Some(option.is_active),
    });
    pb::CustomField {
        id: field.id,
        key: field.key,
        label: field.label,
        r#type: field.field_type.as_i16().into(),
        required: field.is_required,
        options: options.collect(),
        minimum: field.bounds.minimum.map(values::message),
        maximum: field.bounds.maximum.map(values::message),
        max_length: field.bounds.max_length,
        active: field.is_active,
        created_at: Some(field.created_at.into()),
        updated_at: Some(field.updated_at.into()),
        version: field.version,
    }
}

/// The field that a request asks for. What is wrong with it is noted.
pub fn new(message: pb::CreateCustomFieldRequest, violations: &mut Violations) -> NewCustomField {
    check_key(&message.key, violations);
    let field_type = field_type(message.r#type);
    let (minimum, maximum) = (message.minimum, message.maximum);
    let bounds =
        bounds(field_type, message.options, (minimum, maximum), message.max_length, violations);
    NewCustomField {
        key: message.key,
        label: message.label,
        field_type,
        is_required: message.required.unwrap_or(false),
        bounds,
        is_active: message.active.unwrap_or(true),
    }
}

/// The field `before` as `wanted` shows it. What is wrong with it is noted.
pub fn updated(
    before: &CustomField,
    wanted: pb::CustomField,
    violations: &mut Violations,
) -> CustomField {
    let (minimum, maximum) = (wanted.minimum, wanted.maximum);
    let field_type = before.field_type;
    CustomField {
        label: wanted.label,
        is_required: wanted.required,
        bounds: bounds(
            field_type,
            wanted.options,
            (minimum, maximum),
            wanted.max_length,
            violations,
        ),
        is_active: wanted.active,
        ..before.clone()
    }
}

fn check_key(key: &str, violations: &mut Violations) {
    let mut rest = key.chars();
    // That an empty one is wrong is told already.
    let begins = rest.next().is_none_or(|first| first.is_ascii_lowercase());
    let goes_on = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !begins || !rest.all(goes_on) {
        let remedy = "key must be a small letter, then small letters, digits and underscores";
        violations.add("key", "INVALID_VALUE", remedy);
    }
}

fn bounds(
    field_type: CustomFieldType,
    options: Vec<pb::CustomFieldOption>,
    (minimum, maximum): (Option<Value>, Option<Value>),
    max_length: Option<i32>,
    violations: &mut Violations,
) -> Bounds {
    use CustomFieldType::{Date, Decimal, Email, Integer, MultiSelect, Select, Text, Url};
    if max_length.is_some() && !matches!(field_type, Text | Url | Email) {
        refuse("maxLength", "TEXT, URL and EMAIL", violations);
    }
    let has_order = matches!(field_type, Integer | Decimal | Date);
    let mut bound = |name: &'static str, value: Option<Value>| -> Option<CustomValue> {
        let value = value.filter(|value| !is_null(value))?;
        if !has_order {
            refuse(name, "INTEGER, DECIMAL and DATE", violations);
            return None;
        }
        let read = values::of_type(field_type, &value);
        read.map_err(|wrong| violations.note(&Place::ROOT.field(name), wrong)).ok()
    };
    let (minimum, maximum) = (bound("minimum", minimum), bound("maximum", maximum));
    if let (Some(minimum), Some(maximum)) = (&minimum, &maximum)
        && is_less(maximum, minimum)
    {
        violations.add("maximum", "OUT_OF_RANGE", "maximum must be at least minimum");
    }
    let is_select = matches!(field_type, Select | MultiSelect);
    if !is_select && !options.is_empty() {
        refuse("options", "SELECT and MULTI_SELECT", violations);
    }
    if is_select && options.is_empty() {
        violations.add("options", "REQUIRED", "options must have at least 1 item");
    }
    Bounds { options: self::options(options, violations), minimum, maximum, max_length }
}

fn options(options: Vec<pb::CustomFieldOption>, violations: &mut Violations) -> Vec<FieldOption> {
    let mut seen = std::collections::BTreeSet::new();
    let at = Place::ROOT.field("options");
    for (index, option) in options.iter().enumerate() {
        let at = at.index(index);
        let lines = [Some(&option.value), option.label.as_ref()];
        if lines.into_iter().flatten().any(|text| text.contains(char::is_control)) {
            violations.note(&at, Wrong::new("INVALID_VALUE", "must be one line of text"));
        } else if !seen.insert(option.value.as_str()) {
            let wrong = Wrong::new("DUPLICATE_ITEM", "has the value of another option");
            violations.note(&at.field("value"), wrong);
        }
    }
    let option = |option: pb::CustomFieldOption| FieldOption {
        label: option.label.unwrap_or_else(|| option.value.clone()),
        is_active: option.active.unwrap_or(true),
        value: option.value,
    };
    options.into_iter().map(option).collect()
}

fn refuse(field: &str, types: &str, violations: &mut Violations) {
    let remedy = format!("{field} is only for fields of the types {types}; leave it out");
    violations.add(field, "INVALID_COMBINATION", remedy);
}
