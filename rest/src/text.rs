//! The parsing of values from text: in a path, in a query parameter, or in a JSON string.
//!
//! It does no percent-decoding, and it trims nothing: ` 1` is not a number.

use std::str::FromStr;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost_types::{Duration, FieldMask, Timestamp};

use crate::time;
use crate::violations::Wrong;

/// A type whose values can be written as text.
pub trait FromText: Sized {
    /// True if a parameter that may be given several times may also list its values with commas.
    const LISTS_BY_COMMA: bool = true;

    /// The value that `text` writes.
    fn from_text(text: &str) -> Result<Self, Wrong>;
}

impl FromText for String {
    // In a text a comma is data.
    const LISTS_BY_COMMA: bool = false;

    fn from_text(text: &str) -> Result<Self, Wrong> {
        Ok(text.to_owned())
    }
}

impl FromText for bool {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        text.parse().map_err(|_| Wrong::wrong_type("must be true or false"))
    }
}

impl FromText for i32 {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        integer(text)
    }
}

impl FromText for i64 {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        integer(text)
    }
}

impl FromText for u32 {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        integer(text)
    }
}

impl FromText for u64 {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        integer(text)
    }
}

impl FromText for f64 {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        // Rust also reads `inf`, `+1` and `.5`, which JSON does not know.
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let is_json = unsigned.starts_with(|first: char| first.is_ascii_digit());
        let number = || text.parse::<f64>().ok().filter(|_| is_json);
        match number().ok_or_else(|| Wrong::wrong_type("must be a number"))? {
            finite if finite.is_finite() => Ok(finite),
            _ => Err(out_of_range("a 64-bit float")),
        }
    }
}

impl FromText for f32 {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        f64::from_text(text).and_then(narrow)
    }
}

impl FromText for Timestamp {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        time::parse_timestamp(text)
    }
}

impl FromText for Duration {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        time::parse_duration(text)
    }
}

impl FromText for FieldMask {
    // The mask itself lists its paths with commas.
    const LISTS_BY_COMMA: bool = false;

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let paths = text.split(',').filter(|path| !path.is_empty()).map(str::to_owned).collect();
        Ok(Self { paths })
    }
}

impl FromText for Vec<u8> {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        const ANY_PADDING: GeneralPurposeConfig =
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let is_url_safe = text.contains(['-', '_']);
        let alphabet = if is_url_safe { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
        GeneralPurpose::new(alphabet, ANY_PADDING)
            .decode(text)
            .map_err(|_| Wrong::wrong_type("must be base64"))
    }
}

/// The float as 32 bits.
pub(crate) fn narrow(value: f64) -> Result<f32, Wrong> {
    let narrowed = value as f32;
    if narrowed.is_finite() { Ok(narrowed) } else { Err(out_of_range("a 32-bit float")) }
}

/// A number beyond what its type holds.
pub(crate) fn out_of_range(of: &str) -> Wrong {
    Wrong::new("OUT_OF_RANGE", format!("must fit {of}"))
}

/// Returns the name of an integer type in a message.
pub(crate) fn integer_name<T>() -> String {
    format!("an integer of {} bits", size_of::<T>() * 8)
}

fn integer<T: FromStr>(text: &str) -> Result<T, Wrong> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Wrong::wrong_type("must be an integer"));
    }
    text.parse().map_err(|_| out_of_range(&integer_name::<T>()))
}
