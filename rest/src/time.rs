//! Instants and durations as text: RFC 3339, and seconds with an `s`.
//!
//! It does not ask what time it is, and it rounds nothing away but what the format has no room for.

use std::ops::RangeInclusive;

use prost_types::{Duration, Timestamp};

use crate::violations::Wrong;

/// The seconds since 1970-01-01T00:00:00Z of the instants that RFC 3339 can write: years 1 to 9999.
pub(crate) const SECONDS: RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// The most seconds of a duration, in either direction: about 10,000 years.
pub(crate) const DURATION_SECONDS_MAX: i64 = 315_576_000_000;

const DAY_SECONDS: i64 = 86_400;

/// Formats an instant as RFC 3339 in UTC with exactly milliseconds and `Z`, such as
/// `2026-01-31T09:30:00.000Z`; what is below a millisecond is cut off. `None` outside the years 1
/// to 9999.
pub fn format_timestamp(timestamp: &Timestamp) -> Option<[u8; 24]> {
    if !SECONDS.contains(&timestamp.seconds) {
        return None;
    }
    let (year, month, day) = civil(timestamp.seconds.div_euclid(DAY_SECONDS));
    let second = timestamp.seconds.rem_euclid(DAY_SECONDS);
    let millis = i64::from(timestamp.nanos.clamp(0, 999_999_999) / 1_000_000);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    put(&mut text[0..4], year);
    put(&mut text[5..7], month);
    put(&mut text[8..10], day);
    put(&mut text[11..13], second / 3600);
    put(&mut text[14..16], second / 60 % 60);
    put(&mut text[17..19], second % 60);
    put(&mut text[20..23], millis);
    Some(text)
}

fn put(digits: &mut [u8], mut value: i64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// An instant in RFC 3339 with `Z` or any offset, and any number of digits below the second, of
/// which nine count.
pub fn parse_timestamp(text: &str) -> Result<Timestamp, Wrong> {
    let malformed = || invalid("must be an RFC 3339 time such as 2026-01-31T09:30:00Z");
    let bytes = text.as_bytes();
    let (date_and_time, after) = bytes.split_at_checked(19).ok_or_else(malformed)?;
    let [_, _, _, _, b'-', _, _, b'-', _, _, b'T' | b't', _, _, b':', _, _, b':', _, _] =
        date_and_time
    else {
        return Err(malformed());
    };
    let part = |range: std::ops::Range<usize>| number(&bytes[range]).ok_or_else(malformed);
    let (year, month, day) = (part(0..4)?, part(5..7)?, part(8..10)?);
    let (hour, minute, second) = (part(11..13)?, part(14..16)?, part(17..19)?);
    if second == 60 {
        return Err(invalid("must not be a leap second; send :59"));
    }
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return Err(invalid("must be a date that exists"));
    }
    if hour > 23 || minute > 59 || second > 59 {
        return Err(invalid("must be a time of day that exists"));
    }
    let (nanos, offset) = fraction(after).ok_or_else(malformed)?;
    let seconds = days(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second
        - offset_seconds(offset)?;
    if !SECONDS.contains(&seconds) {
        return Err(invalid("must be in the years 0001 to 9999"));
    }
    Ok(Timestamp { seconds, nanos })
}

/// Splits `.123Z` into nanoseconds and what follows them.
fn fraction(text: &[u8]) -> Option<(i32, &[u8])> {
    let [b'.', digits @ ..] = text else { return Some((0, text)) };
    let len = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = digits.split_at(len);
    let nine = digits.iter().chain(std::iter::repeat(&b'0')).take(9);
    let nanos = nine.fold(0, |nanos, digit| nanos * 10 + i32::from(digit - b'0'));
    (len > 0).then_some((nanos, rest))
}

fn offset_seconds(text: &[u8]) -> Result<i64, Wrong> {
    let (sign, hours, minutes) = match text {
        b"Z" | b"z" => return Ok(0),
        [b'+', h1, h2, b':', m1, m2] => (1, [*h1, *h2], [*m1, *m2]),
        [b'-', h1, h2, b':', m1, m2] => (-1, [*h1, *h2], [*m1, *m2]),
        [b' ', ..] => return Err(invalid("must write the + of its offset as %2B in a URL")),
        _ => return Err(invalid("must end in Z or in an offset such as +01:00")),
    };
    match (number(&hours), number(&minutes)) {
        (Some(hours @ 0..=23), Some(minutes @ 0..=59)) => Ok(sign * (hours * 3600 + minutes * 60)),
        _ => Err(invalid("must end in Z or in an offset such as +01:00")),
    }
}

fn invalid(remedy: &'static str) -> Wrong {
    Wrong::new("INVALID_TIMESTAMP", remedy)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value, byte| {
        byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0'))
    })
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns the days from 1970-01-01 to a date of the proleptic Gregorian calendar: Howard Hinnant's
/// `days_from_civil`, with years that begin in March so that the leap day comes last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The date of a day counted from 1970-01-01: `civil_from_days`, the inverse of [`days`].
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// A duration as protobuf's JSON writes it: seconds with at most nine digits and an `s`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, Wrong> {
    let wrong = || Wrong::new("INVALID_DURATION", "must be seconds with an s, such as 3.5s");
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, rest) = unsigned.split_at(unsigned.find(['.', 's']).ok_or_else(wrong)?);
    if whole.is_empty() || whole.len() > 12 {
        return Err(wrong());
    }
    let seconds = number(whole.as_bytes()).ok_or_else(wrong)?;
    let (nanos, unit) = fraction(rest.as_bytes()).ok_or_else(wrong)?;
    if unit != b"s" || seconds > DURATION_SECONDS_MAX {
        return Err(wrong());
    }
    let sign = if unsigned.len() < text.len() { -1 } else { 1 };
    Ok(Duration { seconds: seconds * sign, nanos: nanos * sign as i32 })
}
