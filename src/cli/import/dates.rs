//! Times and dates as files write them.

use jiff::civil;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde::Deserialize;

/// The formats of times and dates.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dates {
    /// The format as strptime has it; RFC 3339, or with a blank and without seconds, by default.
    pub format: Option<String>,
    /// The zone of times that name none, UTC by default.
    pub zone: Option<String>,
}

type Wrong = (&'static str, String);

impl Dates {
    /// Returns these formats, with those that they leave out taken from others.
    pub fn or(self, others: Self) -> Self {
        Self { format: self.format.or(others.format), zone: self.zone.or(others.zone) }
    }

    /// Refuses a zone that there is not, and a format that nothing is written in.
    pub fn check(&self) -> Result<(), String> {
        self.zone()?;
        if let Some(format) = &self.format {
            let now = Zoned::now();
            strtime::format(format, &now)
                .map_err(|error| format!("`{format}` is no format of times: {error}"))?;
        }
        Ok(())
    }

    fn zone(&self) -> Result<TimeZone, String> {
        let Some(zone) = &self.zone else { return Ok(TimeZone::UTC) };
        TimeZone::get(zone)
            .map_err(|_| format!("`{zone}` is no time zone: write one such as Europe/Berlin"))
    }
}

/// An instant as RFC 3339.
pub fn time(text: &str, dates: &Dates) -> Result<String, Wrong> {
    let zone = dates.zone().map_err(|message| ("INVALID_TIMESTAMP", message))?;
    let instant = match &dates.format {
        Some(format) => by_format(text.trim(), format, &zone),
        None => plain(text.trim(), &zone),
    };
    let instant = instant.ok_or_else(|| {
        let written = dates.format.as_deref().unwrap_or("2024-03-01T08:15:00Z");
        ("INVALID_TIMESTAMP", format!("`{text}` is not a time written as {written}"))
    })?;
    Ok(instant.to_string())
}

/// A date such as `2024-03-01`.
pub fn date(text: &str, dates: &Dates) -> Result<String, Wrong> {
    let text = text.trim();
    let date = match &dates.format {
        Some(format) => strtime::parse(format, text).ok().and_then(|it| it.to_date().ok()),
        None => text.parse::<civil::Date>().ok(),
    };
    let date = date.ok_or_else(|| {
        let written = dates.format.as_deref().unwrap_or("2024-03-01");
        ("INVALID_DATE", format!("`{text}` is not a date written as {written}"))
    })?;
    Ok(date.to_string())
}

fn by_format(text: &str, format: &str, zone: &TimeZone) -> Option<Timestamp> {
    let parsed = strtime::parse(format, text).ok()?;
    if let Ok(instant) = parsed.to_timestamp() {
        return Some(instant);
    }
    let local = parsed.to_datetime().or_else(|_| parsed.to_date().map(Into::into)).ok()?;
    zone.to_ambiguous_zoned(local).compatible().ok().map(|zoned| zoned.timestamp())
}

fn plain(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    if let Ok(instant) = text.parse() {
        return Some(instant);
    }
    let local: civil::DateTime = text.parse().ok()?;
    zone.to_ambiguous_zoned(local).compatible().ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dates(format: Option<&str>, zone: Option<&str>) -> Dates {
        Dates { format: format.map(str::to_owned), zone: zone.map(str::to_owned) }
    }

    #[test]
    fn a_time_is_read_by_its_format_and_zone() {
        for (text, format, zone, expected) in [
            ("2024-03-01T08:15:00Z", None, None, "2024-03-01T08:15:00Z"),
            ("2024-03-01T08:15:00.5+02:00", None, Some("Asia/Tokyo"), "2024-03-01T06:15:00.5Z"),
            ("2024-03-01 08:15", None, Some("Europe/Berlin"), "2024-03-01T07:15:00Z"),
            (
                "1.7.2024 9:05",
                Some("%d.%m.%Y %H:%M"),
                Some("Europe/Berlin"),
                "2024-07-01T07:05:00Z",
            ),
            ("03/01/24", Some("%m/%d/%y"), None, "2024-03-01T00:00:00Z"),
            ("2024-07-01 09:05 -0300", Some("%Y-%m-%d %H:%M %z"), None, "2024-07-01T12:05:00Z"),
        ] {
            assert_eq!(time(text, &dates(format, zone)).as_deref(), Ok(expected), "{text}");
        }
        for text in ["", "yesterday", "2024-13-01T00:00:00Z", "01.07.2024"] {
            let wrong = time(text, &dates(None, None)).expect_err(text);
            assert_eq!(wrong.0, "INVALID_TIMESTAMP");
        }
        assert_eq!(date("01.07.2024", &dates(Some("%d.%m.%Y"), None)).as_deref(), Ok("2024-07-01"));
        assert!(date("2024-02-30", &dates(None, None)).is_err());
    }
}
