//! The conversion of JSON values to the types of fields.
//!
//! What a wrong one is called stands here and in [`crate::text`]; which field it is for does not.

use prost_types::{Duration, FieldMask, ListValue, Struct, Timestamp, Value};

use crate::json::{Json, Number};
use crate::place::Place;
use crate::read::{Body, ReadJson, list, map, noted, object};
use crate::text::{FromText, integer_name, narrow, out_of_range};
use crate::violations::{Violations, Wrong};

/// A type that a JSON value converts into.
pub trait FromJson: Sized {
    /// The value, or `None` when it is wrong and that was noted.
    fn from_json(json: Json, at: &Place<'_>, violations: &mut Violations) -> Option<Self>;
}

/// [`FromJson::from_json`] as a function.
pub fn value<T: FromJson>(json: Json, at: &Place<'_>, violations: &mut Violations) -> Option<T> {
    T::from_json(json, at, violations)
}

impl FromJson for bool {
    fn from_json(json: Json, at: &Place<'_>, violations: &mut Violations) -> Option<Self> {
        let value = match json {
            Json::Bool(value) => Ok(value),
            _ => Err(Wrong::wrong_type("must be true or false")),
        };
        noted(value, at, violations)
    }
}

impl FromJson for String {
    fn from_json(json: Json, at: &Place<'_>, violations: &mut Violations) -> Option<Self> {
        let value = match json {
            Json::String(value) => Ok(value),
            _ => Err(Wrong::wrong_type("must be a string")),
        };
        noted(value, at, violations)
    }
}

impl FromJson for i32 {
    fn from_json(json: Json, at: &Place<'_>, violations: &mut Violations) -> Option<Self> {
        noted(integer(&json), at, violations)
    }
}

impl FromJson for u32 {
    fn from_json(json: Json, at: &Place<'_>, violations: &mut Violations) -> Option<Self> {
        noted(integer(&json), at, violations)
    }
}

impl FromJson for i64 {
    fn from_json(json: Json, at: &Place<'_>, violations: &mut Violations) -> Option<Self> {
        noted(integer_or_digits(&json), at, violations)
    }
}

impl FromJson for u64 {
    fn from_json(json: Json, at: &Place<'_>, violations: &mut Violations) -> Option<Self> {
        noted(integer_or_digits(&json), at, violations)
    }
}

/// Reads a 64-bit integer, also from a string: many writers of JSON send it so, because JavaScript
/// would round it.
fn integer_or_digits<T: TryFrom<i128> + FromText>(json: &Json) -> Result<T, Wrong> {
    match json {
        Json::String(digits) => T::from_text(digits),
        json => integer(json),
    }
}

fn integer<T: TryFrom<i128>>(json: &Json) -> Result<T, Wrong> {
    /// The number up to which every integer is a float of its own: 2^53.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let too_big = || out_of_range(&integer_name::<T>());
    let integer = match json {
        Json::Number(Number::Integer(value)) => *value,
        Json::Number(Number::Float(value)) if value.fract() == 0.0 => {
            if value.abs() > EXACT_MAX {
                return Err(too_big());
            }
            *value as i128
        }
        _ => return Err(Wrong::wrong_type("must be an integer")),
    };
    T::try_from(integer).map_err(|_| too_big())
}

impl FromJson for f64 {
    fn from_json(json: Json, at: &Place<'_>, violations: &mut Violations) -> Option<Self> {
        noted(float(&json), at, violations)
    }
}

impl FromJson for f32 {
    fn from_json(json: Json, at: &Place<'_>, violations: &mut Violations) -> Option<Self> {
        noted(float(&json).and_then(narrow), at, violations)
    }
}

fn float(json: &Json) -> Result<f64, Wrong> {
    match json {
        Json::Number(Number::Integer(value)) => Ok(*value as f64),
        Json::Number(Number::Float(value)) => Ok(*value),
        _ => Err(Wrong::wrong_type("must be a number")),
    }
}

impl FromJson for Vec<u8> {
    fn from_json(json: Json, at: &Place<'_>, violations: &mut Violations) -> Option<Self> {
        noted(from_string(&json, "must be base64 in a string"), at, violations)
    }
}

impl FromJson for Timestamp {
    fn from_json(json: Json, at: &Place<'_>, violations: &mut Violations) -> Option<Self> {
        let remedy = "must be an RFC 3339 time in a string";
        noted(from_string(&json, remedy), at, violations)
    }
}

impl FromJson for Duration {
    fn from_json(json: Json, at: &Place<'_>, violations: &mut Violations) -> Option<Self> {
        noted(from_string(&json, "must be a duration such as \"3.5s\""), at, violations)
    }
}

impl FromJson for FieldMask {
    fn from_json(json: Json, at: &Place<'_>, violations: &mut Violations) -> Option<Self> {
        let remedy = "must be field names with commas in a string";
        noted(from_string(&json, remedy), at, violations)
    }
}

fn from_string<T: FromText>(json: &Json, remedy: &'static str) -> Result<T, Wrong> {
    match json {
        Json::String(text) => T::from_text(text),
        _ => Err(Wrong::wrong_type(remedy)),
    }
}

impl FromJson for Struct {
    fn from_json(json: Json, at: &Place<'_>, violations: &mut Violations) -> Option<Self> {
        let fields = map(json, at, violations, value);
        Some(Self { fields })
    }
}

impl FromJson for ListValue {
    fn from_json(json: Json, at: &Place<'_>, violations: &mut Violations) -> Option<Self> {
        let values = list(json, at, violations, value);
        Some(Self { values })
    }
}

impl FromJson for Value {
    fn from_json(json: Json, at: &Place<'_>, violations: &mut Violations) -> Option<Self> {
        use prost_types::value::Kind;
        let kind = match json {
            Json::Null => Kind::NullValue(0),
            Json::Bool(value) => Kind::BoolValue(value),
            Json::Number(_) => Kind::NumberValue(value(json, at, violations)?),
            Json::String(value) => Kind::StringValue(value),
            Json::Array(_) => Kind::ListValue(value(json, at, violations)?),
            Json::Object(_) => Kind::StructValue(value(json, at, violations)?),
        };
        Some(Self { kind: Some(kind) })
    }
}

impl<T: ReadJson> FromJson for T {
    fn from_json(json: Json, at: &Place<'_>, violations: &mut Violations) -> Option<Self> {
        const NO_RULES: Body = Body { required: false, elsewhere: &[], read_only: &[] };
        let Json::Object(members) = json else {
            violations.note(at, Wrong::wrong_type("must be an object"));
            return None;
        };
        let mut message = T::default();
        object(members, &NO_RULES, &mut message, at, violations);
        Some(message)
    }
}
