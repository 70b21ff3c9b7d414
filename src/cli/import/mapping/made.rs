//! A record as it is made of another by the fields of a mapping.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::rule::{dated, find, is_blank, matches};
use super::{Field, List, Reason};
use crate::cli::import::dates::Dates;

/// The fields that nothing clears: null in the file stands for no value.
const NEVER_NULL: [&str; 9] = [
    "title",
    "description",
    "type",
    "category",
    "priority",
    "status",
    "source",
    "createdAt",
    "updatedAt",
];

/// A record in the making.
pub struct Made<'a> {
    /// The item as far as it is made.
    pub item: Map<String, Value>,
    /// All reasons why the record is refused.
    pub wrong: Vec<Reason>,
    /// The members with a value that are left out, as the mapping has it.
    pub left_out: Vec<String>,
    dates: &'a Dates,
    /// The path of the record within another, such as `comments[2].`.
    at: String,
    used: BTreeSet<&'a str>,
}

impl<'a> Made<'a> {
    /// Begins an item of a record that stands at this path within another.
    pub fn new(dates: &'a Dates, at: String) -> Self {
        let (item, wrong, left_out, used) = Default::default();
        Self { item, wrong, left_out, dates, at, used }
    }

    /// Makes the fields that there are rules for.
    pub fn fields(&mut self, record: &Map<String, Value>, fields: &'a BTreeMap<String, Field>) {
        for (field, rule) in fields {
            let made = match rule {
                Field::Member(name) => {
                    self.used.insert(top(name, record));
                    let found = find(record, name).filter(|value| !is_blank(value)).cloned();
                    found.map(|value| dated(field, value, self.dates)).transpose()
                }
                Field::Rule(rule) => {
                    for name in rule.from.names().chain(&rule.join) {
                        self.used.insert(top(name, record));
                    }
                    rule.make(field, record, self.dates)
                }
            };
            match made {
                Ok(Some(Value::Null)) if NEVER_NULL.contains(&field.as_str()) => {}
                Ok(Some(value)) => put(&mut self.item, field, value),
                Ok(None) => {}
                Err((code, message)) => {
                    let at = format!("{}{field}", self.at);
                    self.wrong.push(Reason::new(&at, code, format!("{at}: {message}")));
                }
            }
        }
    }

    /// Makes a list of the rows of a member, each by the rules of their fields.
    pub fn list(&mut self, record: &Map<String, Value>, name: &str, list: &'a List) {
        self.used.insert(&list.from);
        let Some(Value::Array(rows)) = record.get(&list.from) else {
            if record.get(&list.from).is_some_and(|value| !value.is_null()) {
                let message = format!("{} is no list", list.from);
                self.wrong.push(Reason::new(name, "WRONG_TYPE", message));
            }
            return;
        };
        let mut all = Vec::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            let at = format!("{name}[{index}].");
            let Value::Object(row) = row else {
                let message = format!("{}[{index}] is no object", list.from);
                self.wrong.push(Reason::new(&format!("{name}[{index}]"), "WRONG_TYPE", message));
                continue;
            };
            let mut made = Made::new(self.dates, at);
            made.fields(row, &list.fields);
            made.rest(row, &list.ignore, false);
            self.wrong.append(&mut made.wrong);
            self.left_out.append(&mut made.left_out);
            all.push(Value::Object(made.item));
        }
        self.item.insert(name.to_owned(), Value::Array(all));
    }

    /// Takes over the members that no rule names, leaves them out where the mapping says so, or
    /// refuses them by name.
    pub fn rest(&mut self, record: &Map<String, Value>, ignore: &[String], is_open: bool) {
        for (name, value) in record {
            if self.used.contains(name.as_str()) {
                continue;
            }
            if ignore.iter().any(|one| matches(one, name)) {
                if !value.is_null() {
                    let list = self.at.split('[').next().unwrap_or_default();
                    let dot = if list.is_empty() { "" } else { "." };
                    self.left_out.push(format!("{list}{dot}{name}"));
                }
                continue;
            }
            if is_open && !self.item.contains_key(name.as_str()) {
                match dated(name, value.clone(), self.dates) {
                    Ok(value) => put(&mut self.item, name, value),
                    Err((code, message)) => {
                        let at = format!("{}{name}", self.at);
                        self.wrong.push(Reason::new(&at, code, format!("{at}: {message}")));
                    }
                }
                continue;
            }
            let at = format!("{}{name}", self.at);
            let message = format!(
                "{at} is mapped to no field: map it, or name it in `ignore` to leave it out"
            );
            self.wrong.push(Reason::new(&at, "UNKNOWN_FIELD", message));
        }
    }
}

/// The member of the record that a name takes from.
fn top<'n>(name: &'n str, record: &Map<String, Value>) -> &'n str {
    match name.split_once('.') {
        Some((outer, _)) if !record.contains_key(name) => outer,
        _ => name,
    }
}

/// Puts a value into an item; behind a dot, into an object within. A person of whom there is no address is
/// none.
fn put(item: &mut Map<String, Value>, field: &str, value: Value) {
    let Some((outer, inner)) = field.split_once('.') else {
        item.insert(field.to_owned(), value);
        return;
    };
    if value.is_null() && inner == "email" {
        item.insert(outer.to_owned(), Value::Null);
        return;
    }
    let within = item.entry(outer).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(within) = within {
        put(within, inner, value);
    }
}
