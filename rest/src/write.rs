//! The writing of messages as JSON: the adapters that generated `Serialize` implementations put
//! round values, and the envelope.
//!
//! Nothing here allocates per field. Every key is always written; what is not set is null.

use std::collections::BTreeMap;
use std::fmt;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use prost_types::value::Kind;
use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::enums::EnumNames;
use crate::time;

/// The envelope of a success, as bytes of JSON.
pub fn envelope(data: &impl Serialize) -> Bytes {
    to_bytes(&Envelope::<_, ()> { data, meta: None })
}

/// The envelope of a page: `meta` stands beside the data.
pub fn envelope_with_meta(data: &impl Serialize, meta: &impl Serialize) -> Bytes {
    to_bytes(&Envelope { data, meta: Some(meta) })
}

fn to_bytes(envelope: &impl Serialize) -> Bytes {
    let mut json = Vec::with_capacity(1024);
    serde_json::to_writer(&mut json, envelope)
        .expect("a Vec takes all bytes, and the keys of generated maps are strings and numbers");
    Bytes::from(json)
}

struct Envelope<'a, D, M> {
    data: &'a D,
    meta: Option<&'a M>,
}

impl<D: Serialize, M: Serialize> Serialize for Envelope<'_, D, M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut envelope = serializer.serialize_struct("Envelope", 3)?;
        envelope.serialize_field("success", &true)?;
        envelope.serialize_field("data", self.data)?;
        if let Some(meta) = self.meta {
            envelope.serialize_field("meta", meta)?;
        }
        envelope.end()
    }
}

/// An enum value by its short name; zero, and a number that the enum lacks, is null.
pub struct Enum(pub i32, pub &'static EnumNames);

impl Serialize for Enum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.1.name(self.0) {
            Some(name) => serializer.serialize_str(name),
            None => serializer.serialize_none(),
        }
    }
}

/// An instant in RFC 3339, UTC, with milliseconds; outside the years 1 to 9999 null.
pub struct Timestamp<'a>(pub &'a prost_types::Timestamp);

impl Serialize for Timestamp<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = time::format_timestamp(self.0);
        match text.as_ref().and_then(|text| str::from_utf8(text).ok()) {
            Some(text) => serializer.serialize_str(text),
            None => serializer.serialize_none(),
        }
    }
}

/// A duration in seconds, such as `3.5s`.
pub struct Duration<'a>(pub &'a prost_types::Duration);

impl fmt::Display for Duration<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prost_types::Duration { seconds, nanos } = *self.0;
        let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
        write!(f, "{sign}{}", seconds.unsigned_abs())?;
        match nanos.unsigned_abs() {
            0 => f.write_str("s"),
            nanos if nanos % 1_000_000 == 0 => write!(f, ".{:03}s", nanos / 1_000_000),
            nanos if nanos % 1_000 == 0 => write!(f, ".{:06}s", nanos / 1_000),
            nanos => write!(f, ".{nanos:09}s"),
        }
    }
}

impl Serialize for Duration<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The adapter of field names, joined by commas.
pub struct FieldMask<'a>(pub &'a prost_types::FieldMask);

impl fmt::Display for FieldMask<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, path) in self.0.paths.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{path}")?;
        }
        Ok(())
    }
}

impl Serialize for FieldMask<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The adapter of bytes in base64, standard alphabet, padded.
pub struct Base64<'a>(pub &'a Vec<u8>);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

/// A list whose elements need an adapter.
pub struct List<'a, T, F>(pub &'a [T], pub F);

impl<'a, T, F: Fn(&'a T) -> A, A: Serialize> Serialize for List<'a, T, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(&self.1))
    }
}

/// A map whose values need an adapter.
pub struct Map<'a, K, V, F>(pub &'a BTreeMap<K, V>, pub F);

impl<'a, K: Serialize, V, F: Fn(&'a V) -> A, A: Serialize> Serialize for Map<'a, K, V, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, (self.1)(value))))
    }
}

/// A `google.protobuf.Struct`: any JSON object.
pub struct Struct<'a>(pub &'a prost_types::Struct);

impl Serialize for Struct<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Map(&self.0.fields, Value).serialize(serializer)
    }
}

/// A `google.protobuf.ListValue`: any JSON array.
pub struct ListValue<'a>(pub &'a prost_types::ListValue);

impl Serialize for ListValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        List(&self.0.values, Value).serialize(serializer)
    }
}

/// A `google.protobuf.Value`: any JSON. Whole numbers are written without a fraction.
pub struct Value<'a>(pub &'a prost_types::Value);

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// The number below which every whole float is exact: 2^53.
        const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
        match &self.0.kind {
            None | Some(Kind::NullValue(_)) => serializer.serialize_none(),
            Some(Kind::BoolValue(value)) => serializer.serialize_bool(*value),
            Some(Kind::NumberValue(value)) if value.fract() == 0.0 && value.abs() < EXACT_MAX => {
                serializer.serialize_i64(*value as i64)
            }
            Some(Kind::NumberValue(value)) => serializer.serialize_f64(*value),
            Some(Kind::StringValue(value)) => serializer.serialize_str(value),
            Some(Kind::ListValue(value)) => ListValue(value).serialize(serializer),
            Some(Kind::StructValue(value)) => Struct(value).serialize(serializer),
        }
    }
}
