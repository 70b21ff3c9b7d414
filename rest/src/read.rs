//! The reading of messages from JSON trees: names are matched, values converted, and every fault is
//! noted with its place. It never stops at the first.
//!
//! The generated code knows the fields and their types; how a name is matched, a list walked or a
//! violation worded stands here. Bounds of values are for [`crate::validate`].

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use prost_types::FieldMask;

use crate::binding::Refusal;
use crate::enums::EnumNames;
use crate::json::{Json, Number};
use crate::place::Place;
use crate::text::FromText;
use crate::violations::{Violations, Wrong};

/// The field that guards an update against a lost one; it is never itself updated.
const GUARD: &str = "version";

/// The two names of a field; callers may use either, messages use the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The name in JSON, such as `dueAt`; of a nested query parameter, `filter.dueAt`.
    pub json: &'static str,
    /// The name in the `.proto` file, such as `due_at`.
    pub proto: &'static str,
}

impl Field {
    /// Returns true if a caller who writes `name` means this field.
    pub fn is_called(&self, name: &str) -> bool {
        name == self.json || name == self.proto
    }
}

/// A message that is read from a JSON object, field by field.
pub trait ReadJson: Default {
    /// The fields that it has.
    const FIELDS: &'static [Field];
    /// The proto names of those that an update merges entry by entry: an empty object changes nothing
    /// of them, and so does not name them.
    const MERGED: &'static [&'static str] = &[];

    /// Sets the field at this index of [`Self::FIELDS`], or notes what is wrong with `value`.
    fn read_field(
        &mut self,
        field: usize,
        value: Json,
        at: &Place<'_>,
        violations: &mut Violations,
    );
}

// prost boxes the fields of messages that contain themselves.
impl<T: ReadJson> ReadJson for Box<T> {
    const FIELDS: &'static [Field] = T::FIELDS;
    const MERGED: &'static [&'static str] = T::MERGED;

    fn read_field(
        &mut self,
        field: usize,
        value: Json,
        at: &Place<'_>,
        violations: &mut Violations,
    ) {
        T::read_field(self, field, value, at, violations);
    }
}

/// The members that the body of one route may hold beside the fields of its message.
#[derive(Debug)]
pub struct Body {
    /// True if an empty body is refused.
    pub required: bool,
    /// The fields of the message that do not come from the body.
    pub elsewhere: &'static [Field],
    /// The fields that the resource has but that cannot be changed.
    pub read_only: &'static [Field],
}

/// Reads a body into `message` and tells the proto names of the fields that it names, those that
/// it sets to null included. Only a body that is no JSON object stops it.
pub fn body<T: ReadJson>(
    bytes: &[u8],
    rules: &Body,
    message: &mut T,
    at: &Place<'_>,
    violations: &mut Violations,
) -> Result<Vec<&'static str>, Refusal> {
    if bytes.is_empty() {
        let refusal = "The body is empty; send a JSON object.".to_owned();
        return if rules.required { Err(Refusal::MalformedJson(refusal)) } else { Ok(Vec::new()) };
    }
    match Json::parse(bytes).map_err(Refusal::MalformedJson)? {
        Json::Object(members) => Ok(object(members, rules, message, at, violations)),
        _ => Err(Refusal::MalformedJson("The body must be a JSON object.".to_owned())),
    }
}

/// The update mask that the fields named by a body stand for.
pub fn mask(named: Vec<&'static str>) -> FieldMask {
    let paths = named.into_iter().filter(|name| *name != GUARD);
    FieldMask { paths: paths.map(str::to_owned).collect() }
}

pub(crate) fn object<T: ReadJson>(
    members: Vec<(String, Json)>,
    rules: &Body,
    message: &mut T,
    at: &Place<'_>,
    violations: &mut Violations,
) -> Vec<&'static str> {
    let (mut named, mut unchanged) = (Vec::new(), Vec::new());
    for (name, value) in members {
        let is_called = |field: &&Field| field.is_called(&name);
        if let Some(field) = rules.read_only.iter().find(is_called) {
            let wrong = Wrong::new("READ_ONLY", "is read-only; leave it out");
            violations.note(&at.field(field.json), wrong);
            continue;
        }
        let known = T::FIELDS.iter().position(|field| field.is_called(&name));
        let elsewhere = rules.elsewhere.iter().any(|field| field.is_called(&name));
        let Some(index) = known.filter(|_| !elsewhere) else {
            let wrong = Wrong::new("UNKNOWN_FIELD", "is not a field here; leave it out");
            violations.note(&at.field(&name), wrong);
            continue;
        };
        let field = &T::FIELDS[index];
        let place = at.field(field.json);
        if named.contains(&field.proto) {
            violations.note(&place, twice(field));
            continue;
        }
        named.push(field.proto);
        if T::MERGED.contains(&field.proto) && value == Json::Object(Vec::new()) {
            unchanged.push(field.proto);
        }
        if value != Json::Null {
            message.read_field(index, value, &place, violations);
        }
    }
    named.retain(|name| !unchanged.contains(name));
    named
}

/// Returns the violation of a field that is named a second time.
pub(crate) fn twice(field: &Field) -> Wrong {
    if field.json == field.proto {
        return given_twice();
    }
    let remedy = format!("must be given only once; {} is the same field", field.proto);
    Wrong::new("DUPLICATE_FIELD", remedy)
}

/// Returns the violation of a name that stands there a second time.
pub(crate) fn given_twice() -> Wrong {
    Wrong::new("DUPLICATE_FIELD", "must be given only once")
}

/// The text of a JSON string, or the digits of a JSON integer of at most 64 bits.
pub fn string_or_number(json: Json, at: &Place<'_>, violations: &mut Violations) -> Option<String> {
    let value = match json {
        Json::String(text) => Ok(text),
        Json::Number(Number::Integer(number)) => Ok(number.to_string()),
        _ => Err(Wrong::wrong_type("must be a string or an integer")),
    };
    noted(value, at, violations)
}

/// The value of a path's variable.
pub fn text<T: FromText>(text: &str, at: &Place<'_>, violations: &mut Violations) -> Option<T> {
    noted(T::from_text(text), at, violations)
}

/// The number of the enum value that a path's variable names.
pub fn text_enum(
    text: &str,
    names: &EnumNames,
    at: &Place<'_>,
    violations: &mut Violations,
) -> Option<i32> {
    noted(names.parse(text), at, violations)
}

/// Overwrites a field that has no presence, if there is a value.
pub fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// Sets a oneof, of which a request may give one member.
pub fn choose<T>(
    oneof: &mut Option<T>,
    value: Option<T>,
    members: &'static str,
    at: &Place<'_>,
    violations: &mut Violations,
) {
    if oneof.is_none() {
        *oneof = value;
    } else {
        let remedy = format!("cannot stand beside another one of {members}");
        violations.note(at, Wrong::new("INVALID_VALUE", remedy));
    }
}

/// The number of the enum value that a JSON string names.
pub fn enumeration(
    json: Json,
    names: &EnumNames,
    at: &Place<'_>,
    violations: &mut Violations,
) -> Option<i32> {
    let number = match json {
        Json::String(name) => names.parse(&name),
        _ => Err(names.wrong()),
    };
    noted(number, at, violations)
}

/// The elements of a JSON array. A wrong one is noted and leaves its default, so that the places
/// of those behind it stay right.
pub fn list<T: Default>(
    json: Json,
    at: &Place<'_>,
    violations: &mut Violations,
    element: impl Fn(Json, &Place<'_>, &mut Violations) -> Option<T>,
) -> Vec<T> {
    let Json::Array(elements) = json else {
        violations.note(at, Wrong::wrong_type("must be an array"));
        return Vec::new();
    };
    let read = |(index, json)| element(json, &at.index(index), violations).unwrap_or_default();
    elements.into_iter().enumerate().map(read).collect()
}

/// The items of a list that are judged one by one, each noted with what is wrong in it; `finish` gets
/// an item with the fields that it names. Items beyond `max`, for which the request is refused, are not
/// read.
pub fn judged<T: ReadJson>(
    json: Json,
    (rules, max): (&Body, usize),
    at: &Place<'_>,
    violations: &mut Violations,
    finish: impl Fn(&mut T, Vec<&'static str>),
) -> Vec<T> {
    let Json::Array(elements) = json else {
        violations.note(at, Wrong::wrong_type("must be an array"));
        return Vec::new();
    };
    let read = |(index, json)| {
        let mut item = T::default();
        match json {
            Json::Object(_) if index >= max => {}
            Json::Object(members) => {
                let of_item = violations.item(index);
                let named = object(members, rules, &mut item, &Place::ROOT, of_item);
                finish(&mut item, named);
            }
            _ => violations.note(&at.index(index), Wrong::wrong_type("must be an object")),
        }
        item
    };
    elements.into_iter().enumerate().map(read).collect()
}

/// The entries of a JSON object whose names are data.
pub fn map<K: FromText + Ord, V>(
    json: Json,
    at: &Place<'_>,
    violations: &mut Violations,
    value: impl Fn(Json, &Place<'_>, &mut Violations) -> Option<V>,
) -> BTreeMap<K, V> {
    let mut entries = BTreeMap::new();
    let Json::Object(members) = json else {
        violations.note(at, Wrong::wrong_type("must be an object"));
        return entries;
    };
    for (name, json) in members {
        let at = at.field(&name);
        let Some(key) = noted(K::from_text(&name), &at, violations) else { continue };
        match entries.entry(key) {
            Entry::Occupied(_) => violations.note(&at, given_twice()),
            Entry::Vacant(vacant) => {
                if let Some(value) = value(json, &at, violations) {
                    vacant.insert(value);
                }
            }
        }
    }
    entries
}

/// The value, or `None` after noting what is wrong with it.
pub(crate) fn noted<T>(
    value: Result<T, Wrong>,
    at: &Place<'_>,
    violations: &mut Violations,
) -> Option<T> {
    value.map_err(|wrong| violations.note(at, wrong)).ok()
}
