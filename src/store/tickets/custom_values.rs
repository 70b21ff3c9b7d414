//! The values of a workspace's own fields in a ticket, and the terms by which tickets are found by them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD as STANDARD_NO_PAD;
use migrations::case_folded;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The longest value that stands in a term itself, in bytes: a row of an index has bounds.
const TERM_BYTES_MAX: usize = 255;

/// The values of a ticket, by the keys of their fields.
pub type CustomValues = BTreeMap<String, CustomValue>;

/// A value of a custom field. It knows its type, which never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomValue {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A decimal number as it was written.
    Decimal(String),
    /// Yes or no.
    Boolean(bool),
    /// A date.
    Date(String),
    /// The value of an option.
    Select(String),
    /// The values of options, each once.
    MultiSelect(Vec<String>),
    /// An address of the web.
    Url(String),
    /// An e-mail address.
    Email(String),
    /// The id of a user.
    User(i64),
}

impl CustomValue {
    /// The value as it is stored.
    pub(in crate::store) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers always serialize")
    }

    /// The bytes of its texts.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Text(text)
            | Self::Decimal(text)
            | Self::Date(text)
            | Self::Select(text)
            | Self::Url(text)
            | Self::Email(text) => text.len(),
            Self::MultiSelect(texts) => texts.iter().map(String::len).sum(),
            Self::Integer(_) | Self::Boolean(_) | Self::User(_) => 0,
        }
    }

    /// Returns the terms by which a ticket with this value is found: the field's key with each
    /// single value, in the one form that equal values have. Long values are told by their hash.
    pub fn terms(&self, key: &str) -> Vec<String> {
        let values: Vec<Cow<'_, str>> = match self {
            Self::Text(text) | Self::Url(text) | Self::Email(text) => {
                vec![case_folded(text).into()]
            }
            Self::Integer(number) | Self::User(number) => vec![number.to_string().into()],
            Self::Decimal(text) => vec![plain_decimal(text).into()],
            Self::Boolean(flag) => vec![flag.to_string().into()],
            Self::Date(text) | Self::Select(text) => vec![text.into()],
            Self::MultiSelect(texts) => texts.iter().map(Cow::from).collect(),
        };
        let term = |value: Cow<'_, str>| match value.len() {
            ..=TERM_BYTES_MAX => format!("{key}={value}"),
            _ => {
                let hash = STANDARD_NO_PAD.encode(Sha256::digest(value.as_bytes()));
                format!("{key}#{hash}")
            }
        };
        values.into_iter().map(term).collect()
    }
}

/// A decimal number without what does not count: signs of zero, zeros before and behind.
fn plain_decimal(text: &str) -> String {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    match (whole, fraction) {
        ("", "") => "0".to_owned(),
        (whole, "") => format!("{sign}{whole}"),
        ("", fraction) => format!("{sign}0.{fraction}"),
        (whole, fraction) => format!("{sign}{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_equal_terms() {
        let terms = |value: CustomValue| value.terms("f");
        let decimal = |text: &str| terms(CustomValue::Decimal(text.to_owned()));
        for equal in [["1.5", "01.50"], ["0", "-0.00"], ["-2", "-2.0"], [".5", "0.5"]] {
            assert_eq!(decimal(equal[0]), decimal(equal[1]));
        }
        assert_ne!(decimal("1.5"), decimal("15"));
        let text = |text: &str| terms(CustomValue::Text(text.to_owned()));
        assert_eq!(text("STRASSE"), text("straße"));
        assert_ne!(text("007"), text("7"));
        let long = "x".repeat(TERM_BYTES_MAX + 1);
        assert_eq!(text(&long), text(&long.to_uppercase()));
        assert_ne!(text(&long), text(&format!("{long}x")));
        assert!(text(&long)[0].len() < 80);
        let options = CustomValue::MultiSelect(vec!["a".to_owned(), "B".to_owned()]);
        assert_eq!(terms(options), ["f=a", "f=B"]);
    }
}
