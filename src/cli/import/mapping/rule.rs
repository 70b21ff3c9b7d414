//! The making of one field from the members of a record.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Kind, OneOrMore, Rule};
use crate::cli::import::dates::{Dates, date, time};

/// The code and the sentence of a fault in a value.
pub type Wrong = (&'static str, String);

impl Rule {
    /// Makes the field of a record; none where the record has nothing for it.
    pub fn make(
        &self,
        field: &str,
        record: &Map<String, Value>,
        dates: &Dates,
    ) -> Result<Option<Value>, Wrong> {
        let separator = self.separator.as_deref();
        let found = if self.join.is_empty() {
            let all = self.from.names().filter_map(|name| find(record, name));
            let all: Vec<_> = all.filter(|value| !is_blank(value)).collect();
            let first = all.iter().find(|value| !value.is_null()).or(all.first());
            first.map(|value| (*value).clone())
        } else {
            let texts = self.join.iter().filter_map(|name| find(record, name).and_then(text_of));
            let texts: Vec<_> = texts.collect();
            (!texts.is_empty()).then(|| Value::from(texts.join(separator.unwrap_or(" "))))
        };
        let Some(value) = found.filter(|value| !value.is_null() || self.value.is_none()) else {
            return Ok(self.value.clone());
        };
        if value.is_null() {
            return Ok(Some(value));
        }
        let value = match &self.values {
            Some(values) => Value::from(stands_for(values, &value)?),
            None => value,
        };
        self.as_kind(dated(field, value, &self.dates(dates))?).map(Some)
    }

    fn as_kind(&self, value: Value) -> Result<Value, Wrong> {
        let Some(kind) = self.kind else { return Ok(value) };
        let text = || text_of(&value).unwrap_or_default();
        Ok(match kind {
            Kind::Text => Value::from(text_of(&value).unwrap_or_else(|| value.to_string())),
            Kind::Boolean => match text().as_str() {
                "true" => Value::from(true),
                "false" => Value::from(false),
                other => return Err(("WRONG_TYPE", format!("`{other}` is not true or false"))),
            },
            Kind::Number => match serde_json::from_str(text().trim()) {
                Ok(Value::Number(number)) => Value::Number(number),
                _ => return Err(("WRONG_TYPE", format!("`{}` is no number", text()))),
            },
            Kind::List => match &value {
                Value::Array(_) => value,
                _ => {
                    let text = text();
                    let parts = text.split(self.separator.as_deref().unwrap_or(","));
                    let parts = parts.map(str::trim).filter(|part| !part.is_empty());
                    parts.map(Value::from).collect()
                }
            },
        })
    }

    /// Returns the formats of times of this rule, which are those of `base` where it names none.
    pub fn dates(&self, base: &Dates) -> Dates {
        Dates { format: self.format.clone(), zone: self.zone.clone() }.or(base.clone())
    }
}

impl OneOrMore {
    /// The names, the first of which that is there counts.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        let names = match self {
            Self::None => &[],
            Self::One(name) => std::slice::from_ref(name),
            Self::More(names) => names.as_slice(),
        };
        names.iter()
    }
}

/// Returns the value that another one stands for: the one of the same text, or that of the longest
/// pattern that matches.
fn stands_for(values: &BTreeMap<String, String>, value: &Value) -> Result<String, Wrong> {
    let text = text_of(value).unwrap_or_default();
    if let Some(to) = values.get(&text) {
        return Ok(to.clone());
    }
    let patterns = values.iter().filter(|(from, _)| from.contains('*') && matches(from, &text));
    if let Some((_, to)) = patterns.max_by_key(|(from, _)| from.len()) {
        return Ok(to.clone());
    }
    let known: Vec<_> = values.keys().take(20).map(|known| format!("`{known}`")).collect();
    let message = format!("`{text}` is not mapped; these are: {}", known.join(", "));
    Err(("UNMAPPED_VALUE", message))
}

/// Returns true if a text matches a pattern, in which `*` stands for any characters.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(part) = last.replace(part) {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

/// A time or a date as the contract writes it, where the field is one and a text.
pub fn dated(field: &str, value: Value, dates: &Dates) -> Result<Value, Wrong> {
    let name = field.rsplit('.').next().unwrap_or(field);
    let Value::String(text) = &value else { return Ok(value) };
    let is_date =
        matches!(name, "purchaseDate" | "startDate" | "dueDate") || name == "warrantyExpiresAt";
    if is_date {
        return date(text, dates).map(Value::from);
    }
    match name.ends_with("At") {
        true => time(text, dates).map(Value::from),
        false => Ok(value),
    }
}

/// The value of a member; behind a dot, of one within.
pub fn find<'r>(record: &'r Map<String, Value>, name: &str) -> Option<&'r Value> {
    if let Some(value) = record.get(name) {
        return Some(value);
    }
    let (outer, inner) = name.split_once('.')?;
    match record.get(outer)? {
        Value::Object(within) => find(within, inner),
        Value::Null => Some(&Value::Null),
        _ => None,
    }
}

/// The text of a text or a number.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

pub fn is_blank(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_any_characters() {
        for (pattern, text, is_like) in [
            ("Awaiting*", "Awaiting User Info", true),
            ("Awaiting*", "awaiting", false),
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "abx", false),
            ("a*b*c", "a1b2b3c", true),
            ("a", "ab", false),
            ("*a*", "xax", true),
            ("xy*yx", "xyx", false),
        ] {
            assert_eq!(matches(pattern, text), is_like, "{pattern} {text}");
        }
    }
}
