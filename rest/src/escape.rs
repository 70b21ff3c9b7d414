//! Percent escapes of paths and query strings.
//!
//! Nothing is repaired: a bad escape and bytes that are not UTF-8 are refused.

use std::borrow::Cow;

/// A bad percent escape, or bytes that are not UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadEscape;

/// The part of a URL that a text is in, on which the meaning of escapes and plus signs depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UrlPart {
    /// A segment of a path: `+` is a plus.
    Segment,
    /// Several segments of a path: `%2F` stays, so that it can be told from the slash between two.
    Segments,
    /// A name or value of a query string: `+` is a space.
    Query,
}

/// The text that `raw` stands for; borrowed when there is nothing to decode.
pub(crate) fn decode(raw: &str, part: UrlPart) -> Result<Cow<'_, str>, BadEscape> {
    let is_special = |byte: &u8| *byte == b'%' || (*byte == b'+' && part == UrlPart::Query);
    let Some(first) = raw.as_bytes().iter().position(is_special) else {
        return Ok(Cow::Borrowed(raw));
    };
    let mut decoded = raw.as_bytes()[..first].to_vec();
    let mut rest = &raw.as_bytes()[first..];
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'+' if part == UrlPart::Query => decoded.push(b' '),
            b'%' => {
                let [high, low, after @ ..] = rest else { return Err(BadEscape) };
                let byte = digit(*high)? << 4 | digit(*low)?;
                if byte == b'/' && part == UrlPart::Segments {
                    decoded.extend_from_slice(b"%2F");
                } else {
                    decoded.push(byte);
                }
                rest = after;
            }
            plain => decoded.push(*plain),
        }
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| BadEscape)
}

fn digit(hex: u8) -> Result<u8, BadEscape> {
    let value = char::from(hex).to_digit(16).ok_or(BadEscape)?;
    Ok(u8::try_from(value).expect("a hexadecimal digit is below 16"))
}
