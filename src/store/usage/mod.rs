//! The usage of keys: the figures of each endpoint by hour and day, and the last use of each key.
//! [`Store::insert_usage`] writes them together with the request log.
//!
//! Figures are kept for each key, and once more for all keys together, so that neither question has
//! to read the rows of the other.

mod list;
mod write;

use std::collections::BTreeMap;

use super::latencies::Latencies;
use super::request_logs::NewRequestLog;
use crate::clock::Timestamp;

pub use list::{UsageFigures, UsageFilter};

const HOUR_MILLIS: i64 = 3600 * 1000;
const DAY_MILLIS: i64 = 24 * HOUR_MILLIS;

/// The length of a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Span {
    Hour,
    Day,
}

impl Span {
    /// The spans: hours and days.
    pub const ALL: [Self; 2] = [Self::Hour, Self::Day];

    /// Returns the length in milliseconds.
    pub fn millis(self) -> i64 {
        match self {
            Self::Hour => HOUR_MILLIS,
            Self::Day => DAY_MILLIS,
        }
    }

    /// The start of the span that `at` is in.
    pub fn start_of(self, at: Timestamp) -> Timestamp {
        Timestamp(at.0 - at.0.rem_euclid(self.millis()))
    }

    fn number(self) -> i16 {
        match self {
            Self::Hour => 1,
            Self::Day => 2,
        }
    }
}

/// The key of figures: an endpoint, for a span of time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FiguresKey {
    /// The length of the span.
    pub span: Span,
    /// The key; none for all keys together.
    pub key_id: Option<String>,
    /// The start of the span.
    pub start: Timestamp,
    /// The RPC, such as `TicketService/GetTicket`.
    pub endpoint: &'static str,
}

/// The figures of some requests.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// The number of requests.
    pub requests: i64,
    /// The number of requests with a status of 400 or more.
    pub errors: i64,
    /// The durations of the requests.
    pub latencies: Latencies,
}

impl Figures {
    /// Adds those of other requests.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.latencies.add(&other.latencies);
    }
}

/// The last use of a key: its time, and its address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyUse {
    pub at: Timestamp,
    pub client_ip: String,
}

/// The usage that requests of one workspace add.
#[derive(Debug, Default)]
pub struct Usage {
    /// The requests.
    pub requests: Vec<NewRequestLog>,
    /// The figures that they add.
    pub figures: BTreeMap<FiguresKey, Figures>,
    /// The last uses, by key id.
    pub key_uses: BTreeMap<String, KeyUse>,
}
