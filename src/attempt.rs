//! An attempt to send something, its result, and the time of the next one.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::config::{ANSWER_KEPT_BYTES, RETRY_AFTER_MAX};
use crate::store::webhooks::SentAttempt;

/// The result of an attempt.
pub struct Sent {
    /// The attempt.
    pub attempt: SentAttempt,
    /// True if the receiver has taken what was sent.
    pub is_success: bool,
    /// True if the refusal is final.
    pub is_final: bool,
    /// The pause that the receiver asks for.
    pub retry_after: Option<Duration>,
}

impl Sent {
    /// An attempt that got no answer, and is made again.
    pub fn failure(attempt: SentAttempt) -> Self {
        Self { attempt, is_success: false, is_final: false, retry_after: None }
    }
}

/// The beginning of an answer as text. No database keeps U+0000.
pub fn kept_text(bytes: &[u8]) -> String {
    let kept = &bytes[..bytes.len().min(ANSWER_KEPT_BYTES)];
    String::from_utf8_lossy(kept).replace('\0', "\u{fffd}")
}

/// The pauses before each attempt: before the first, the second and so on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Vec<Duration>);

/// The most by which a pause differs from the schedule, in percent.
const JITTER_PERCENT: u32 = 20;

impl Default for Schedule {
    fn default() -> Self {
        let (minute, hour) = (60, 3600);
        let pauses = [0, 5, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 10 * hour];
        Self(pauses.map(Duration::from_secs).to_vec())
    }
}

impl Schedule {
    /// A schedule of these pauses.
    pub fn new(pauses: Vec<Duration>) -> Self {
        Self(pauses)
    }

    /// Returns the time of the next try after so many failures, the last of which ended at `ended`;
    /// none when that was the last attempt. `chance` is 0 to 1, and spreads those that failed
    /// together; never before `retry_after`.
    pub fn next(
        &self,
        failures: usize,
        ended: Timestamp,
        retry_after: Option<Duration>,
        chance: f64,
    ) -> Option<Timestamp> {
        let pause = *self.0.get(failures)?;
        let spread = 2.0 * f64::from(JITTER_PERCENT) / 100.0;
        let pause = pause.mul_f64(1.0 - spread / 2.0 + spread * chance.clamp(0.0, 1.0));
        let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        Some(ended.plus(pause.max(asked)))
    }
}

/// Parses `Retry-After`: a number of seconds, or a date.
pub fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // So many digits are as good as for ever.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    let at = at.duration_since(std::time::UNIX_EPOCH).ok()?;
    let now = Duration::from_millis(now.0.max(0).unsigned_abs());
    Some(at.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_392_000_000);

    #[test]
    fn attempts_follow_the_schedule_within_a_fifth() {
        let schedule = Schedule::default();
        let seconds = |failures, chance| {
            let next = schedule.next(failures, NOW, None, chance)?;
            Some((next.0 - NOW.0) / 1000)
        };
        assert_eq!(
            (seconds(1, 0.0), seconds(1, 0.5), seconds(1, 1.0)),
            (Some(4), Some(5), Some(6))
        );
        assert_eq!(seconds(2, 0.5), Some(300));
        assert_eq!((seconds(7, 0.0), seconds(7, 1.0)), (Some(28_800), Some(43_200)));
        assert_eq!(seconds(8, 0.5), None);
    }

    #[test]
    fn nothing_is_sent_before_retry_after() {
        let schedule = Schedule::default();
        let next = |asked| schedule.next(1, NOW, Some(Duration::from_secs(asked)), 0.0);
        assert_eq!(next(120), Some(NOW.plus_millis(120_000)));
        assert_eq!(next(1), Some(NOW.plus_millis(4_000)));
        assert_eq!(next(u64::MAX), Some(NOW.plus_millis(24 * 3600 * 1000)));
        for (text, expected) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Mon, 23 Nov 2026 12:01:00 GMT", None),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let told = retry_after(text, NOW).map(|it| it.as_secs());
            if let Some(expected) = expected {
                assert_eq!(told, Some(expected), "{text}");
            } else if !text.contains("GMT") {
                assert_eq!(told, None, "{text}");
            }
        }
        let date =
            httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(1_795_392_090));
        assert_eq!(retry_after(&date, NOW), Some(Duration::from_secs(90)));
    }
}
