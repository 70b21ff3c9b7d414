//! The parameters of a query string.
//!
//! Only the parameters that a route declares exist; every other name is refused. Nothing of a query
//! is ever skipped but an empty part between two `&`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::enums::EnumNames;
use crate::escape::{self, UrlPart};
use crate::place::Place;
use crate::read::{Field, given_twice, noted, twice};
use crate::text::FromText;
use crate::violations::{Violations, Wrong};

/// The parameters that were sent, by those that the route declares.
#[derive(Debug)]
pub struct Query {
    fields: &'static [Field],
    maps: &'static [Field],
    /// The index of the field, and a value that is not empty; in the order sent.
    values: Vec<(usize, String)>,
    /// The index of the map, a key, and a value that is not empty; in the order sent.
    entries: Vec<(usize, String, String)>,
}

impl Query {
    /// Splits and decodes a raw query string, noting names that are not among `fields`, nor one of
    /// `maps` with a dot and a key behind it.
    pub fn read(
        raw: Option<&str>,
        fields: &'static [Field],
        maps: &'static [Field],
        violations: &mut Violations,
    ) -> Self {
        let mut query = Self { fields, maps, values: Vec::new(), entries: Vec::new() };
        let mut spellings = vec![None; fields.len()];
        for pair in raw.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (raw_name, raw_value) = pair.split_once('=').unwrap_or((pair, ""));
            let Ok(name) = escape::decode(raw_name, UrlPart::Query) else {
                violations.note(&Place::ROOT.field(raw_name), bad_escape());
                continue;
            };
            let Some(index) = fields.iter().position(|field| is_called(field, &name)) else {
                if let Some((map, key)) = entry(maps, &name) {
                    query.push_entry(map, key, &name, raw_value, violations);
                    continue;
                }
                let wrong = Wrong::new("UNKNOWN_FIELD", "is not a parameter here; leave it out");
                violations.note(&Place::ROOT.field(&name), wrong);
                continue;
            };
            let field = &fields[index];
            match escape::decode(raw_value, UrlPart::Query) {
                _ if *spellings[index].get_or_insert_with(|| name.to_string()) != name => {
                    violations.note(&Place::ROOT.field(field.json), twice(field));
                }
                Err(_) => violations.note(&Place::ROOT.field(field.json), bad_escape()),
                Ok(value) if value.is_empty() => {
                    violations.note(&Place::ROOT.field(field.json), empty());
                }
                Ok(value) => query.values.push((index, value.into_owned())),
            }
        }
        query
    }

    /// Adds an entry of a map, unless its key was given before or its value is none.
    fn push_entry(
        &mut self,
        map: usize,
        key: &str,
        name: &str,
        raw_value: &str,
        violations: &mut Violations,
    ) {
        let is_given = |(other, given, _): &(usize, String, String)| *other == map && given == key;
        let wrong = match escape::decode(raw_value, UrlPart::Query) {
            _ if self.entries.iter().any(is_given) => given_twice(),
            Err(_) => bad_escape(),
            Ok(value) if value.is_empty() => empty(),
            Ok(value) => {
                self.entries.push((map, key.to_owned(), value.into_owned()));
                return;
            }
        };
        violations.note(&Place::ROOT.field(name), wrong);
    }

    /// The entries of a map; `None` when there are none.
    pub fn entries<K: FromText + Ord>(
        &self,
        map: usize,
        violations: &mut Violations,
    ) -> Option<BTreeMap<K, String>> {
        let mut found = BTreeMap::new();
        let map_place = Place::ROOT.field(self.maps[map].json);
        for (_, key, value) in self.entries.iter().filter(|(of, ..)| *of == map) {
            let at = map_place.field(key);
            let Some(key) = noted(K::from_text(key), &at, violations) else { continue };
            match found.entry(key) {
                Entry::Vacant(vacant) => {
                    vacant.insert(value.clone());
                }
                // The same number in two spellings.
                Entry::Occupied(_) => violations.note(&at, given_twice()),
            }
        }
        (!found.is_empty()).then_some(found)
    }

    /// The value of a parameter that may be given once.
    pub fn one<T: FromText>(&self, field: usize, violations: &mut Violations) -> Option<T> {
        self.one_by(field, violations, T::from_text)
    }

    /// The enum value of a parameter that may be given once.
    pub fn one_enum(
        &self,
        field: usize,
        names: &EnumNames,
        violations: &mut Violations,
    ) -> Option<i32> {
        self.one_by(field, violations, |name| names.parse(name))
    }

    /// The values of a parameter that may be repeated, and list several with commas unless they
    /// are strings; `None` when there are none.
    pub fn many<T: FromText>(&self, field: usize, violations: &mut Violations) -> Option<Vec<T>> {
        self.many_by(field, violations, T::LISTS_BY_COMMA, T::from_text)
    }

    /// Returns the values of strings that are names, of which a comma is never a part.
    pub fn many_names(&self, field: usize, violations: &mut Violations) -> Option<Vec<String>> {
        self.many_by(field, violations, true, String::from_text)
    }

    /// The enum values of a parameter that may be repeated and list several with commas.
    pub fn many_enum(
        &self,
        field: usize,
        names: &EnumNames,
        violations: &mut Violations,
    ) -> Option<Vec<i32>> {
        self.many_by(field, violations, true, |name| names.parse(name))
    }

    fn one_by<T>(
        &self,
        field: usize,
        violations: &mut Violations,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        let mut values = self.values_of(field);
        let first = values.next()?;
        let at = Place::ROOT.field(self.fields[field].json);
        if values.next().is_some() {
            violations.note(&at, given_twice());
            return None;
        }
        noted(parse(first), &at, violations)
    }

    fn many_by<T>(
        &self,
        field: usize,
        violations: &mut Violations,
        by_comma: bool,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Option<Vec<T>> {
        let at = Place::ROOT.field(self.fields[field].json);
        let mut parsed = Vec::new();
        for value in self.values_of(field) {
            for element in value.split(|c| by_comma && c == ',') {
                let element = if element.is_empty() { Err(empty()) } else { parse(element) };
                parsed.extend(noted(element, &at, violations));
            }
        }
        (!parsed.is_empty()).then_some(parsed)
    }

    fn values_of(&self, field: usize) -> impl Iterator<Item = &str> {
        let of_field = move |(index, _): &&(usize, String)| *index == field;
        self.values.iter().filter(of_field).map(|(_, value)| value.as_str())
    }
}

/// The map that `name` begins with, and the key behind it.
fn entry<'n>(maps: &[Field], name: &'n str) -> Option<(usize, &'n str)> {
    maps.iter().enumerate().find_map(|(index, map)| {
        let behind = |prefix| name.strip_prefix(prefix)?.strip_prefix('.');
        let key = behind(map.json).or_else(|| behind(map.proto))?;
        (!key.is_empty()).then_some((index, key))
    })
}

/// Returns true if `name` means the field; each step of a nested name may be in either spelling.
fn is_called(field: &Field, name: &str) -> bool {
    let (mut json, mut proto) = (field.json.split('.'), field.proto.split('.'));
    let fits = |step| {
        let names = [json.next(), proto.next()];
        names.contains(&Some(step))
    };
    field.is_called(name)
        || (name.split('.').all(fits) && json.next().is_none() && name.contains('.'))
}

fn empty() -> Wrong {
    Wrong::new("EMPTY", "must not be empty; leave it out or give it a value")
}

fn bad_escape() -> Wrong {
    let remedy = "must be UTF-8 with percent escapes of two hexadecimal digits";
    Wrong::new("BAD_ESCAPE", remedy)
}
