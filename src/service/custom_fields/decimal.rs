//! The order of custom field values that have bounds.

use rest::Wrong;

use crate::service::decimal::digits;
use crate::store::tickets::CustomValue;

/// The most digits of a decimal number.
const DIGITS_MAX: usize = 18;

/// A decimal number as it is written, refused where it is none.
pub fn check(text: &str) -> Result<String, Wrong> {
    if digits(text).is_none() {
        let remedy = "must be a decimal number, such as 12.50";
        return Err(Wrong::new("INVALID_DECIMAL", remedy));
    }
    if text.bytes().filter(u8::is_ascii_digit).count() > DIGITS_MAX {
        let remedy = format!("must have at most {DIGITS_MAX} digits");
        return Err(Wrong::new("TOO_LONG", remedy));
    }
    Ok(text.to_owned())
}

/// Returns true if `one` comes before `other`; values of types without an order never do.
pub fn is_less(one: &CustomValue, other: &CustomValue) -> bool {
    match (one, other) {
        (CustomValue::Integer(one), CustomValue::Integer(other)) => one < other,
        (CustomValue::Decimal(one), CustomValue::Decimal(other)) => scaled(one) < scaled(other),
        // Years have four digits.
        (CustomValue::Date(one), CustomValue::Date(other)) => one < other,
        _ => false,
    }
}

/// Returns the number in units of its smallest digit: 36 digits fit.
fn scaled(text: &str) -> i128 {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let number = format!("{whole}{fraction:0<DIGITS_MAX$}").parse().unwrap_or(i128::MAX);
    if text.starts_with('-') { -number } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_compared_by_their_value() {
        let less = |one: &str, other: &str| {
            let value = |text: &str| CustomValue::Decimal(check(text).expect("a decimal"));
            is_less(&value(one), &value(other))
        };
        for (one, other) in
            [("1.5", "10"), ("-10", "-1.5"), ("-0.1", "0"), ("0.09", "0.1"), ("9", "9.000000001")]
        {
            assert!(less(one, other) && !less(other, one), "{one} {other}");
        }
        assert!(!less("1.50", "1.5") && !less("0", "-0.0"));
    }

    #[test]
    fn a_decimal_has_at_most_18_digits() {
        for right in ["0", "-1", "00.10", "123456789012345678", "0.12345678901234567"] {
            assert!(check(right).is_ok(), "{right}");
        }
        for wrong in
            ["", "-", ".5", "5.", "+1", "1e3", "1,5", "1 ", "1234567890123456789", "١", "--1"]
        {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
