//! Decimal numbers as texts, which are kept as they are written.

/// The digits of a decimal number before and behind its point, without its sign; none where the text
/// is no such number.
pub fn digits(text: &str) -> Option<(&str, &str)> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(whole) && is_number(fraction)).then_some((whole, fraction))
}

/// Returns true if a text is a decimal number from 0 on with at most so many digits before and
/// behind its point.
pub fn fits(text: &str, (before, behind): (usize, usize)) -> bool {
    let digits = digits(text).filter(|_| !text.starts_with('-'));
    digits.is_some_and(|(whole, fraction)| whole.len() <= before && fraction.len() <= behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_has_bounds_on_both_sides_of_its_point() {
        for right in ["0", "1299.00", "0.0001", "999999999999.9999", "007"] {
            assert!(fits(right, (12, 4)), "{right}");
        }
        for wrong in ["", "-1", "-0", ".5", "5.", "1.00000", "1000000000000", "1e3", "1,5", "١"] {
            assert!(!fits(wrong, (12, 4)), "{wrong}");
        }
    }
}
