//! The clock of the service, which a test can advance.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An instant in milliseconds since 1970-01-01T00:00:00Z: the precision that the API shows and
/// the store keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The instant `millis` later, or earlier when negative.
    pub fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// The instant so much later.
    pub fn plus(self, duration: Duration) -> Self {
        self.plus_millis(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
    }

    /// The instant so much earlier.
    pub fn minus(self, duration: Duration) -> Self {
        self.plus_millis(i64::try_from(duration.as_millis()).map_or(i64::MIN, |millis| -millis))
    }

    /// Formats the time as RFC 3339 in UTC with milliseconds and `Z`, as answers have it; empty
    /// outside the years 1 to 9999.
    pub fn to_rfc3339(self) -> String {
        let text = rest::format_timestamp(&self.into());
        text.and_then(|text| String::from_utf8(text.to_vec()).ok()).unwrap_or_default()
    }
}

/// A date of the calendar, kept as the instant at which it begins in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(Timestamp);

impl Date {
    /// The date that a text such as `2026-11-23` is; none where it is no date.
    pub fn parse(text: &str) -> Option<Self> {
        let start = rest::validate::is_date(text).then(|| format!("{text}T00:00:00Z"))?;
        rest::parse_timestamp(&start).ok().map(|start| Self(start.into()))
    }

    /// The date of an instant in UTC.
    pub fn of(instant: Timestamp) -> Self {
        const DAY_MILLIS: i64 = 24 * 3600 * 1000;
        Self(Timestamp(instant.0.div_euclid(DAY_MILLIS) * DAY_MILLIS))
    }

    /// Returns the instant at which the date begins.
    pub fn start(self) -> Timestamp {
        self.0
    }
}

/// The date as RFC 3339 writes it.
impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.0.to_rfc3339();
        f.write_str(text.split('T').next().unwrap_or_default())
    }
}

/// The source of the current time.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that a test advances by hand.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// Makes a clock that shows `start` until it is advanced.
    pub fn manual(start: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(start.0)))
    }

    /// The current instant.
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp(since_1970(SystemTime::now())),
            Self::Manual(millis) => Timestamp(millis.load(Ordering::SeqCst)),
        }
    }

    /// Advances a manual clock; the machine's clock stays as it is.
    pub fn advance_millis(&self, millis: i64) {
        if let Self::Manual(now) = self {
            now.fetch_add(millis, Ordering::SeqCst);
        }
    }
}

/// Returns the milliseconds since 1970. A machine whose clock is set before that counts as standing
/// there.
fn since_1970(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

impl From<Timestamp> for prost_types::Timestamp {
    fn from(time: Timestamp) -> Self {
        let millis = time.0.rem_euclid(1000);
        Self { seconds: time.0.div_euclid(1000), nanos: (millis * 1_000_000) as i32 }
    }
}

impl From<prost_types::Timestamp> for Timestamp {
    /// Converts to milliseconds; a finer part is dropped.
    fn from(time: prost_types::Timestamp) -> Self {
        Self(time.seconds.saturating_mul(1000).saturating_add(i64::from(time.nanos / 1_000_000)))
    }
}
