//! What the requests of keys add up to: the figures of each endpoint by hour and day, and when each
//! key was last used. [`Store::insert_usage`] writes them together with the request log.
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
    /// Both.
    pub const ALL: [Self; 2] = [Self::Hour, Self::Day];

    /// Its length.
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

/// Whose figures: those of an endpoint for a span of time.
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

/// Figures of some requests.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// How many requests.
    pub requests: i64,
    /// How many of them had a status of 400 or more.
    pub errors: i64,
    /// How long they took.
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

/// When a key was last used, and from where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyUse {
    pub at: Timestamp,
    pub client_ip: String,
}

/// What requests of one workspace leave behind.
#[derive(Debug, Default)]
pub struct Usage {
    /// The requests.
    pub requests: Vec<NewRequestLog>,
    /// What they add to the figures.
    pub figures: BTreeMap<FiguresKey, Figures>,
    /// By key id, the last use among them.
    pub key_uses: BTreeMap<String, KeyUse>,
}
