//! The values of custom fields: from JSON, to the store, and in the filters of lists.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::value::Kind;
use prost_types::{ListValue, Value};
use rest::validate::is_date;
use rest::{Place, Violations, Wrong};

use super::decimal;
use crate::service::number;
use crate::store::tickets::{CustomValue, CustomValues};
use crate::store::{CustomField, CustomFieldType};
use rest::validate::is_address;

/// The most that all values of a ticket have together, as JSON.
const VALUES_BYTES_MAX: usize = 64 * 1024;
/// The largest whole number that every reader of JSON takes for itself.
const INTEGER_MAX: f64 = 9_007_199_254_740_991.0;

/// A value as the contract shows it.
pub fn message(value: CustomValue) -> Value {
    let kind = match value {
        CustomValue::Text(text)
        | CustomValue::Decimal(text)
        | CustomValue::Date(text)
        | CustomValue::Select(text)
        | CustomValue::Url(text)
        | CustomValue::Email(text) => Kind::StringValue(text),
        // At most 2^53 - 1, which a double tells from its neighbours.
        CustomValue::Integer(number) | CustomValue::User(number) => {
            Kind::NumberValue(number as f64)
        }
        CustomValue::Boolean(flag) => Kind::BoolValue(flag),
        CustomValue::MultiSelect(texts) => {
            let value = |text| Value { kind: Some(Kind::StringValue(text)) };
            Kind::ListValue(ListValue { values: texts.into_iter().map(value).collect() })
        }
    };
    Value { kind: Some(kind) }
}

/// The values of a ticket as the contract shows them.
pub fn messages(values: CustomValues) -> BTreeMap<String, Value> {
    values.into_iter().map(|(key, value)| (key, message(value))).collect()
}

/// Returns the values of a ticket after those that were sent; an empty map takes out all. `fields`
/// are those that were named, and for a new ticket those that it must have a value of.
pub fn apply(
    fields: &[CustomField],
    before: Option<&CustomValues>,
    sent: &BTreeMap<String, Value>,
    violations: &mut Violations,
) -> CustomValues {
    let none = CustomValues::new();
    let was = before.unwrap_or(&none);
    let mut after = if sent.is_empty() { CustomValues::new() } else { was.clone() };
    for (key, value) in sent {
        let field = fields.iter().find(|field| field.key == *key);
        let held = was.get(key).is_some_and(|held| message(held.clone()) == *value);
        let read = match field {
            // What a ticket has stays right, whatever has become of its field.
            _ if held => continue,
            None => Err(unknown()),
            Some(_) if is_null(value) => Ok(None),
            Some(field) if !field.is_active => {
                Err(Wrong::new("INACTIVE_FIELD", "is not active; it can only be cleared"))
            }
            Some(field) => read(field, value),
        };
        match read {
            Ok(Some(value)) => after.insert(key.clone(), value),
            Ok(None) => after.remove(key),
            Err(wrong) => {
                violations.note(&Place::ROOT.field("customFields").field(key), wrong);
                None
            }
        };
    }
    for field in fields.iter().filter(|field| field.is_required && field.is_active) {
        let binds = before.is_none_or(|before| before.contains_key(&field.key));
        if binds && !after.contains_key(&field.key) {
            let at = Place::ROOT.field("customFields");
            violations.note(&at.field(&field.key), Wrong::new("REQUIRED", "must have a value"));
        }
    }
    let is_larger = after != *was && bytes(&after) > VALUES_BYTES_MAX;
    if is_larger {
        let remedy = "customFields must have at most 64 KiB as JSON";
        violations.add("customFields", "TOO_LONG", remedy);
    }
    after
}

/// The values that a list is asked for by the text of a parameter: any one of them is enough.
pub fn asked(field: &CustomField, text: &str) -> Result<Vec<CustomValue>, Wrong> {
    let several = || text.split(',');
    let one = |value| Ok(vec![value]);
    match field.field_type {
        CustomFieldType::Text => one(CustomValue::Text(text.to_owned())),
        CustomFieldType::Url => one(CustomValue::Url(text.to_owned())),
        CustomFieldType::Email => one(CustomValue::Email(text.to_owned())),
        CustomFieldType::Decimal => one(CustomValue::Decimal(decimal::check(text)?)),
        CustomFieldType::Date => one(CustomValue::Date(date(text)?)),
        CustomFieldType::Integer => match text.parse() {
            Ok(number) => one(CustomValue::Integer(number)),
            Err(_) => Err(Wrong::wrong_type("must be a whole number")),
        },
        CustomFieldType::Boolean => match text {
            "true" => one(CustomValue::Boolean(true)),
            "false" => one(CustomValue::Boolean(false)),
            _ => Err(Wrong::wrong_type("must be true or false")),
        },
        CustomFieldType::Select | CustomFieldType::MultiSelect => {
            // An option may have a comma in it.
            if field.bounds.options.iter().any(|option| option.value == text) {
                return one(CustomValue::Select(text.to_owned()));
            }
            let values = several().map(|value| match value {
                "" => Err(Wrong::new("EMPTY", "must not have an empty value between commas")),
                value => Ok(CustomValue::Select(value.to_owned())),
            });
            values.collect()
        }
        CustomFieldType::User => {
            let ids = several().map(|id| match number(id) {
                Some(id) => Ok(CustomValue::User(id)),
                None => Err(Wrong::wrong_type("must be ids of users, such as 7 or 7,12")),
            });
            ids.collect()
        }
    }
}

/// Returns the violation of a key that no field has.
pub fn unknown() -> Wrong {
    Wrong::new("UNKNOWN_FIELD", "is no custom field of this workspace; leave it out")
}

/// Reads a value within the bounds of its field; none for an empty list.
fn read(field: &CustomField, value: &Value) -> Result<Option<CustomValue>, Wrong> {
    let value = of_type(field.field_type, value)?;
    let active = || field.bounds.options.iter().filter(|one| one.is_active).map(|one| &one.value);
    match &value {
        CustomValue::MultiSelect(texts) if texts.is_empty() => return Ok(None),
        CustomValue::Select(text) if !active().any(|value| value == text) => {
            return Err(no_option(field));
        }
        CustomValue::MultiSelect(texts) => {
            // Each may be one of hundreds.
            let active: BTreeSet<_> = active().collect();
            if !texts.iter().all(|text| active.contains(text)) {
                return Err(no_option(field));
            }
        }
        CustomValue::Text(text) | CustomValue::Url(text) | CustomValue::Email(text) => {
            let most = field.bounds.max_length.and_then(|most| usize::try_from(most).ok());
            if let Some(most) = most.filter(|most| text.chars().count() > *most) {
                let remedy = format!("must have at most {most} characters");
                return Err(Wrong::new("TOO_LONG", remedy));
            }
        }
        _ => {}
    }
    let below = |bound: &CustomValue| decimal::is_less(&value, bound);
    if let Some(minimum) = field.bounds.minimum.as_ref().filter(|minimum| below(minimum)) {
        return Err(Wrong::new("OUT_OF_RANGE", format!("must be at least {}", told(minimum))));
    }
    let above = |bound: &CustomValue| decimal::is_less(bound, &value);
    if let Some(maximum) = field.bounds.maximum.as_ref().filter(|maximum| above(maximum)) {
        return Err(Wrong::new("OUT_OF_RANGE", format!("must be at most {}", told(maximum))));
    }
    Ok(Some(value))
}

/// Reads a value of a type, whatever the bounds of its field.
pub fn of_type(field_type: CustomFieldType, value: &Value) -> Result<CustomValue, Wrong> {
    let text = match &value.kind {
        Some(Kind::StringValue(text)) => Some(text.as_str()),
        _ => None,
    };
    let whole = match value.kind {
        Some(Kind::NumberValue(number)) if number.fract() == 0.0 && number.abs() <= INTEGER_MAX => {
            Some(number as i64)
        }
        _ => None,
    };
    let wrong = Wrong::wrong_type;
    Ok(match field_type {
        CustomFieldType::Text => CustomValue::Text(line(text, 65_536)?),
        CustomFieldType::Integer => CustomValue::Integer(whole.ok_or_else(|| {
            wrong("must be a whole number from -9007199254740991 to 9007199254740991")
        })?),
        CustomFieldType::Decimal => {
            let remedy = "must be a decimal number in a string, such as \"12.50\"";
            CustomValue::Decimal(decimal::check(text.ok_or_else(|| wrong(remedy))?)?)
        }
        CustomFieldType::Boolean => match value.kind {
            Some(Kind::BoolValue(flag)) => CustomValue::Boolean(flag),
            _ => return Err(wrong("must be true or false")),
        },
        CustomFieldType::Date => CustomValue::Date(date(text.unwrap_or_default())?),
        CustomFieldType::Select => {
            let remedy = "must be the value of an option, a string";
            CustomValue::Select(text.ok_or_else(|| wrong(remedy))?.to_owned())
        }
        CustomFieldType::MultiSelect => CustomValue::MultiSelect(texts(value)?),
        CustomFieldType::Url => {
            let text = line(text, 2_048)?;
            let parsed = url::Url::parse(&text).ok();
            let is_web = parsed
                .is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            if !is_web || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
                let remedy = "must be an address such as https://example.com/page";
                return Err(Wrong::new("INVALID_URL", remedy));
            }
            CustomValue::Url(text)
        }
        CustomFieldType::Email => {
            let text = line(text, 254)?;
            if !is_address(&text) {
                return Err(Wrong::new("INVALID_EMAIL", "must be an address such as name@host"));
            }
            CustomValue::Email(text)
        }
        CustomFieldType::User => {
            CustomValue::User(whole.ok_or_else(|| wrong("must be the id of a user, a number"))?)
        }
    })
}

/// A string of 1 to `most` characters.
fn line(text: Option<&str>, most: usize) -> Result<String, Wrong> {
    let text = text.ok_or_else(|| Wrong::wrong_type("must be a string"))?;
    match text.chars().count() {
        0 => Err(Wrong::new("TOO_SHORT", "must not be empty; null clears it")),
        length if length > most => {
            Err(Wrong::new("TOO_LONG", format!("must have at most {most} characters")))
        }
        _ => Ok(text.to_owned()),
    }
}

/// The strings of a list, none of them twice.
fn texts(value: &Value) -> Result<Vec<String>, Wrong> {
    let wrong = || Wrong::wrong_type("must be an array of the values of options, strings");
    let Some(Kind::ListValue(list)) = &value.kind else { return Err(wrong()) };
    let mut texts = Vec::with_capacity(list.values.len());
    for value in &list.values {
        let Some(Kind::StringValue(text)) = &value.kind else { return Err(wrong()) };
        texts.push(text.clone());
    }
    let mut sorted: Vec<_> = texts.iter().collect();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Wrong::new("DUPLICATE_ITEM", "lists a value twice; leave one out"));
    }
    Ok(texts)
}

/// A date as RFC 3339 writes it.
fn date(text: &str) -> Result<String, Wrong> {
    match is_date(text) {
        true => Ok(text.to_owned()),
        false => Err(Wrong::new("INVALID_DATE", "must be a date such as \"2026-11-23\"")),
    }
}

fn no_option(field: &CustomField) -> Wrong {
    let options = field.bounds.options.iter().filter(|option| option.is_active);
    let first: Vec<_> = options.map(|option| option.value.as_str()).take(10).collect();
    let more = if field.bounds.options.len() > first.len() { ", …" } else { "" };
    Wrong::new("INVALID_OPTION", format!("must be an active option: {}{more}", first.join(", ")))
}

fn told(bound: &CustomValue) -> String {
    match bound {
        CustomValue::Integer(number) => number.to_string(),
        CustomValue::Decimal(text) | CustomValue::Date(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

/// Returns true if a value is null.
pub fn is_null(value: &Value) -> bool {
    matches!(value.kind, None | Some(Kind::NullValue(_)))
}

/// Returns the size of the values as JSON.
fn bytes(values: &CustomValues) -> usize {
    let messages = messages(values.clone());
    let json = serde_json::to_vec(&rest::write::Map(&messages, rest::write::Value));
    json.map_or(usize::MAX, |json| json.len())
}
