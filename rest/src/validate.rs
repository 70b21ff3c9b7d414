//! The bounds of values, for messages of either protocol.
//!
//! The generated code says which rule a field has; how it is checked and worded stands here. What
//! needs the store or two fields at once is for the service.

use std::collections::BTreeMap;

use prost_types::value::Kind;

use crate::enums::EnumNames;
use crate::place::Place;
use crate::time;
use crate::violations::{Violations, Wrong};

/// A request, or a message in one, whose values have bounds.
pub trait Validate {
    /// Notes every value that is out of bounds, below the place of this message.
    fn check(&self, at: &Place<'_>, violations: &mut Violations);

    /// Notes every value that is out of bounds, unless its field was already noted.
    fn validate(&self, violations: &mut Violations) {
        self.check(&Place::ROOT, violations);
    }

    /// Makes requests that mean the same the same: the mask of an update names what is changed, in
    /// the order of the names, also where it was left out.
    fn normalize(&mut self) {}

    /// The version that the resource must have for the change that it asks for, if it says one.
    fn version(&self) -> Option<i64> {
        None
    }

    /// The text that it searches for, if it is for a list that can be searched.
    fn searched(&self) -> Option<&str> {
        None
    }

    /// The page that it asks for, if it asks for one of a list.
    fn page_parameters(&self) -> Option<PageParameters<'_>> {
        None
    }
}

/// The page of a list that a request asks for, as its message has it.
#[derive(Debug, Clone, Copy, Default)]
pub struct PageParameters<'m> {
    /// The number of the page.
    pub page: Option<i32>,
    /// The most rows of the page.
    pub per_page: Option<i32>,
    /// The cursor at which the page before ended.
    pub cursor: Option<&'m str>,
}

// prost boxes the fields of messages that contain themselves.
impl<T: Validate> Validate for Box<T> {
    fn check(&self, at: &Place<'_>, violations: &mut Violations) {
        T::check(self, at, violations);
    }
}

/// The bounds of one field.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// True if it must have a value.
    pub required: bool,
    /// The fewest characters (Unicode scalar values) of a string.
    pub min_length: usize,
    /// The most characters (Unicode scalar values) of a string.
    pub max_length: usize,
    /// The most elements of a list or entries of a map.
    pub max_items: usize,
    /// The least number.
    pub minimum: Option<i64>,
    /// The greatest number.
    pub maximum: Option<i64>,
    /// The only strings, unless empty.
    pub one_of: &'static [&'static str],
    /// The string is one line of text.
    pub line: bool,
    /// The form that the string has, if it is bound to one.
    pub format: Option<Format>,
}

/// A form of strings.
#[derive(Debug, Clone, Copy)]
pub enum Format {
    /// A date as RFC 3339 writes it, of a year from 1 to 9999.
    Date,
    /// An e-mail address: one `@` with something on both sides, no blanks and no control characters.
    Address,
    /// A time zone as IANA names them; whether there is one of that name is not looked up.
    TimeZone,
    /// A language tag of BCP 47: parts of 1 to 8 letters and digits, the first of 2 or more letters.
    Language,
}

impl Format {
    /// Notes a string that does not have the form.
    fn check(self, value: &str, at: &Place<'_>, violations: &mut Violations) {
        let (has_form, code, remedy) = match self {
            Self::Date => (is_date(value), "INVALID_DATE", "must be a date such as \"2026-11-23\""),
            Self::Address => {
                let remedy = "must be an address such as name@host";
                (is_address(value), "INVALID_EMAIL", remedy)
            }
            Self::TimeZone => {
                let remedy = "must be an IANA name such as Europe/Lisbon";
                (is_time_zone(value), "INVALID_VALUE", remedy)
            }
            Self::Language => {
                let remedy = "must be a BCP 47 tag such as pt-PT";
                (is_language(value), "INVALID_VALUE", remedy)
            }
        };
        if !has_form {
            violations.note(at, Wrong::new(code, remedy));
        }
    }
}

impl Rules {
    /// The rules of a field that says nothing.
    pub const DEFAULT: Self = Self {
        required: false,
        min_length: 0,
        max_length: 65_536,
        max_items: 100,
        minimum: None,
        maximum: None,
        one_of: &[],
        line: false,
        format: None,
    };

    fn lengths(&self) -> String {
        match (self.min_length, self.max_length) {
            (0, max) => format!("must be at most {max} characters"),
            (min, max) if min == max => format!("must be exactly {min} characters"),
            (min, max) => format!("must be {min} to {max} characters"),
        }
    }

    fn range(&self) -> String {
        match (self.minimum, self.maximum) {
            (Some(minimum), Some(maximum)) => format!("must be {minimum} to {maximum}"),
            (Some(minimum), None) => format!("must be at least {minimum}"),
            (None, Some(maximum)) => format!("must be at most {maximum}"),
            (None, None) => String::new(),
        }
    }
}

/// A field without presence: its default means that nothing was given.
pub fn implicit<T: Default + PartialEq>(
    value: &T,
    rules: &Rules,
    at: &Place<'_>,
    violations: &mut Violations,
    check: impl Fn(&T, &Place<'_>, &mut Violations),
) {
    optional(Some(value).filter(|value| **value != T::default()), rules, at, violations, check);
}

/// A field without presence whose default is a value like any other.
pub fn present<T>(
    value: &T,
    at: &Place<'_>,
    violations: &mut Violations,
    check: impl Fn(&T, &Place<'_>, &mut Violations),
) {
    check(value, at, violations);
}

/// A field with presence.
pub fn optional<T>(
    value: Option<&T>,
    rules: &Rules,
    at: &Place<'_>,
    violations: &mut Violations,
    check: impl Fn(&T, &Place<'_>, &mut Violations),
) {
    match value {
        Some(value) => check(value, at, violations),
        None if rules.required => violations.note(at, Wrong::new("REQUIRED", "is required")),
        None => {}
    }
}

/// A field that an update names must be set, when the rules require it.
pub fn updated(is_named: bool, is_set: bool, at: &Place<'_>, violations: &mut Violations) {
    if is_named && !is_set {
        violations.note(at, Wrong::new("REQUIRED", "cannot be null"));
    }
}

/// A list: how many there are, and each element. The elements of a list that is too long are not
/// looked at.
pub fn list<T>(
    elements: &[T],
    rules: &Rules,
    at: &Place<'_>,
    violations: &mut Violations,
    check: impl Fn(&T, &Place<'_>, &mut Violations),
) {
    if count(elements.len(), rules, at, violations) {
        for (index, element) in elements.iter().enumerate() {
            check(element, &at.index(index), violations);
        }
    }
}

/// A list whose items are judged one by one: how many there are, and each item by itself.
pub fn judged<T: Validate>(
    items: &[T],
    rules: &Rules,
    at: &Place<'_>,
    violations: &mut Violations,
) {
    if count(items.len(), rules, at, violations) {
        for (index, item) in items.iter().enumerate() {
            item.validate(violations.item(index));
        }
    }
}

/// Notes each element that equals an earlier one. Lists beyond `max_items` are not looked at.
pub fn unique<T: PartialEq>(
    elements: &[T],
    rules: &Rules,
    at: &Place<'_>,
    violations: &mut Violations,
) {
    let looked_at = if elements.len() > rules.max_items { &[] } else { elements };
    for (index, element) in looked_at.iter().enumerate() {
        if elements[..index].contains(element) {
            let wrong = Wrong::new("DUPLICATE_ITEM", "is listed twice; leave one out");
            violations.note(&at.index(index), wrong);
        }
    }
}

/// A map: how many entries there are, each key, and each value.
pub fn map<K: ToString, V>(
    entries: &BTreeMap<K, V>,
    rules: &Rules,
    at: &Place<'_>,
    violations: &mut Violations,
    check: impl Fn(&V, &Place<'_>, &mut Violations),
) {
    if count(entries.len(), rules, at, violations) {
        for (key, value) in entries {
            let key = key.to_string();
            let at = at.field(&key);
            string(&key, &Rules::DEFAULT, &at, violations);
            check(value, &at, violations);
        }
    }
}

fn count(len: usize, rules: &Rules, at: &Place<'_>, violations: &mut Violations) -> bool {
    if len == 0 && rules.required {
        violations.note(at, Wrong::new("REQUIRED", "must have at least 1 item"));
    }
    if len > rules.max_items {
        let remedy = format!("must have at most {} items", rules.max_items);
        violations.note(at, Wrong::new("TOO_MANY_ITEMS", remedy));
    }
    len <= rules.max_items
}

/// The characters of a string: how many, which, and whether it is one of those listed.
pub fn string(value: &str, rules: &Rules, at: &Place<'_>, violations: &mut Violations) {
    // A character has at most four bytes: most strings need not be counted.
    let may_be_out = value.len() > rules.max_length || value.len() < rules.min_length * 4;
    if may_be_out && !(rules.min_length..=rules.max_length).contains(&value.chars().count()) {
        violations.note(at, Wrong::new("LENGTH", rules.lengths()));
    }
    if value.contains('\0') {
        violations.note(at, Wrong::new("NUL", "must not contain the character U+0000"));
    }
    if rules.line && value.contains(char::is_control) {
        violations.note(at, Wrong::new("INVALID_VALUE", "must be one line of text"));
    }
    if let Some(format) = rules.format {
        format.check(value, at, violations);
    }
    if !rules.one_of.is_empty() && !rules.one_of.contains(&value) {
        let remedy = format!("must be one of {}", rules.one_of.join(", "));
        violations.note(at, Wrong::new("INVALID_VALUE", remedy));
    }
}

/// Returns true if a text is a date as RFC 3339 writes it, of a year from 1 to 9999.
pub fn is_date(text: &str) -> bool {
    text.len() == 10 && time::parse_timestamp(&format!("{text}T00:00:00Z")).is_ok()
}

/// Returns true if a text is an e-mail address, as [`Format::Address`] has it.
pub fn is_address(text: &str) -> bool {
    let parts = text.split_once('@');
    let whole = parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    let one = text.matches('@').count() == 1;
    whole && one && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn is_time_zone(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_-+".contains(&byte))
}

fn is_language(text: &str) -> bool {
    let mut parts = text.split('-');
    let language = parts.next().unwrap_or_default();
    let shaped = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    (2..=8).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_alphabetic())
        && parts.all(shaped)
}

/// The range of an integer.
pub fn integer(value: impl Into<i128>, rules: &Rules, at: &Place<'_>, violations: &mut Violations) {
    let value = value.into();
    let is_below = rules.minimum.is_some_and(|minimum| value < minimum.into());
    if is_below || rules.maximum.is_some_and(|maximum| value > maximum.into()) {
        violations.note(at, Wrong::new("OUT_OF_RANGE", rules.range()));
    }
}

/// The range of a float; one that is not a number is in none.
pub fn float(value: impl Into<f64>, rules: &Rules, at: &Place<'_>, violations: &mut Violations) {
    let value = value.into();
    let is_in = rules.minimum.is_none_or(|minimum| value >= minimum as f64)
        && rules.maximum.is_none_or(|maximum| value <= maximum as f64);
    if !is_in {
        violations.note(at, Wrong::new("OUT_OF_RANGE", rules.range()));
    }
}

/// An enum value that was given must be one that the enum names.
pub fn enumeration(value: i32, names: &EnumNames, at: &Place<'_>, violations: &mut Violations) {
    if names.name(value).is_none() {
        violations.note(at, names.wrong());
    }
}

/// An instant must be one that RFC 3339 can write.
pub fn timestamp(value: &prost_types::Timestamp, at: &Place<'_>, violations: &mut Violations) {
    if !time::SECONDS.contains(&value.seconds) || !(0..1_000_000_000).contains(&value.nanos) {
        let remedy = "must be in the years 0001 to 9999, with 0 to 999999999 nanoseconds";
        violations.note(at, Wrong::new("INVALID_TIMESTAMP", remedy));
    }
}

/// A duration must be one that protobuf's JSON can write: its two parts of one sign and in range.
pub fn duration(value: &prost_types::Duration, at: &Place<'_>, violations: &mut Violations) {
    let signs = value.seconds.signum() * i64::from(value.nanos.signum());
    let is_in = value.seconds.unsigned_abs() <= time::DURATION_SECONDS_MAX.unsigned_abs()
        && value.nanos.unsigned_abs() < 1_000_000_000;
    if signs < 0 || !is_in {
        let remedy = "must be within 315576000000 seconds, its nanoseconds of the same sign";
        violations.note(at, Wrong::new("INVALID_DURATION", remedy));
    }
}

/// The rules of free JSON: as many elements as the body has room for.
const FREE: Rules = Rules { max_items: usize::MAX, ..Rules::DEFAULT };

/// The strings of a `google.protobuf.Struct`.
pub fn structure(value: &prost_types::Struct, at: &Place<'_>, violations: &mut Violations) {
    map(&value.fields, &FREE, at, violations, self::value);
}

/// The strings of a `google.protobuf.ListValue`.
pub fn list_value(value: &prost_types::ListValue, at: &Place<'_>, violations: &mut Violations) {
    list(&value.values, &FREE, at, violations, self::value);
}

/// The strings of a `google.protobuf.Value`.
pub fn value(value: &prost_types::Value, at: &Place<'_>, violations: &mut Violations) {
    match &value.kind {
        Some(Kind::StringValue(text)) => string(text, &Rules::DEFAULT, at, violations),
        Some(Kind::StructValue(value)) => structure(value, at, violations),
        Some(Kind::ListValue(value)) => list_value(value, at, violations),
        _ => {}
    }
}
