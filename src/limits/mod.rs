//! The rate limits of API keys: fixed windows of 60 seconds, over all and for each endpoint group.
//!
//! A request spends from both or, refused by either, from neither; one that does the work of many
//! spends the others at once, or none of them. One process counts in its
//! memory; several count in Redis, whose clock then tells the window. While Redis is away, every
//! replica admits its share of each limit by itself: no request fails for want of it. Nothing here
//! knows HTTP or what a caller is, and addresses without a known key are limited elsewhere.

mod counters;
mod shared;
mod window;

use std::sync::Arc;
use std::time::Duration;

use self::counters::{Counters, Outcome, Tally, share};
use self::shared::Shared;
use self::window::Key;
use crate::clock::Clock;
use crate::error::{Error, Exhausted, Kind};

/// The name of the limit over all, beside the names of the groups.
pub const OVER_ALL: &str = "key";

/// The settings of the store of windows.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The Redis in which several replicas count together; without one each counts for itself.
    pub redis: Option<redis::Client>,
    /// The longest time to wait for Redis before a request goes on without it.
    pub redis_timeout: Duration,
    /// The number of replicas, at least 1, by which a limit is divided where they cannot count
    /// together.
    pub replicas: u32,
}

impl Settings {
    /// Adds the Redis at this URL. An error is a sentence, without the URL: it may hold a password.
    pub fn with_redis(self, url: &str) -> Result<Self, String> {
        let remedy = "ORQIT_REDIS_URL must be like redis://host:6379 or redis://user:password@host:6379/0, without TLS";
        let redis = redis::Client::open(url).map_err(|_| remedy.to_owned())?;
        Ok(Self { redis: Some(redis), ..self })
    }
}

/// The limits of a key, in requests a minute; 0 means unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyLimits<'k> {
    /// The 8 characters after `orq_`.
    pub key_id: &'k str,
    /// The requests a minute over all.
    pub per_minute: u32,
    /// The requests a minute in each endpoint group.
    pub group_per_minute: u32,
}

/// The standing of one limit of a key in the current window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The subject of the limit: `key`, or the endpoint group.
    pub resource: &'static str,
    /// The number of requests that a window admits.
    pub limit: u32,
    /// The number of requests that the current window still admits.
    pub remaining: u32,
}

/// The result of a request against the limits, and the standing of those that it counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// True if the request was admitted; if not, it has spent nothing.
    pub admitted: bool,
    /// The seconds until the next window, 1 to 60: who waits that long is in it.
    pub reset_secs: u32,
    /// The limit over all, unless the key has none.
    pub over_all: Option<Limit>,
    /// The limit of the endpoint group, unless there is none.
    pub group: Option<Limit>,
}

impl Standing {
    /// The refusal of so many requests of this key that were not admitted.
    pub fn refusal(&self, amount: u32, key_id: &str) -> Error {
        let limits = self.over_all.iter().chain(&self.group);
        let exhausted = limits.filter(|limit| limit.remaining < amount).map(|limit| Exhausted {
            subject: match limit.resource {
                OVER_ALL => format!("{OVER_ALL}:{key_id}"),
                group => format!("group:{group}"),
            },
            limit: limit.limit,
        });
        let exhausted = exhausted.collect();
        let retry_after_secs = self.reset_secs;
        let unit = if retry_after_secs == 1 { "second" } else { "seconds" };
        let what = if amount == 1 {
            "Too many requests.".to_owned()
        } else {
            format!("Each item counts as a request, and the limit does not admit {amount} more.")
        };
        let message = format!("{what} Retry after {retry_after_secs} {unit}.");
        Error::new(Kind::RateLimitExceeded { retry_after_secs, exhausted }, message)
    }
}

/// Counts what keys spend.
#[derive(Debug)]
pub enum Limiter {
    /// The windows are in the memory of this process.
    InProcess(InProcess),
    /// The windows are in Redis, which other replicas share.
    Redis(Arc<Shared>),
}

/// The windows that this process alone counts.
#[derive(Debug)]
pub struct InProcess {
    counters: Counters,
    replicas: u32,
}

impl Limiter {
    /// A limiter for these endpoint groups. Where Redis is set but does not answer, it begins
    /// without. An error is a sentence about the groups.
    pub async fn start(
        settings: Settings,
        groups: &[&'static str],
        clock: Clock,
    ) -> Result<Self, String> {
        let counters = Counters::new(groups, clock)?;
        let Settings { redis, redis_timeout, replicas } = settings;
        Ok(match redis {
            Some(redis) => {
                Self::Redis(Shared::start(redis, redis_timeout, replicas, counters).await)
            }
            None => {
                if replicas > 1 {
                    tracing::info!(
                        "without ORQIT_REDIS_URL this replica admits 1/{replicas} of every rate limit"
                    );
                }
                Self::InProcess(InProcess { counters, replicas })
            }
        })
    }

    /// Spends so many requests of a key's limits if both admit them, else none. None where nothing
    /// limits them: then nothing is counted.
    pub async fn spend(
        &self,
        limits: KeyLimits<'_>,
        group: Option<&str>,
        amount: u32,
    ) -> Option<Standing> {
        let slot = group.and_then(|group| self.names().iter().position(|name| *name == group));
        let mut tallies = [Tally::default(); 2];
        let mut len = 0;
        for (slot, limit) in [(Some(0), limits.per_minute), (slot, limits.group_per_minute)] {
            if let Some(slot) = slot.filter(|_| limit > 0) {
                tallies[len] = Tally { slot, limit, spent: 0 };
                len += 1;
            }
        }
        let counted = &mut tallies[..len];
        if counted.is_empty() {
            return None;
        }
        let key = Key::of(limits.key_id);
        let Outcome { admitted, window } = match self {
            Self::InProcess(InProcess { counters, replicas }) => {
                share(counted, *replicas);
                counters.spend(key, amount, counted)
            }
            // In a box, for a request that needs no Redis not to carry the room for it.
            Self::Redis(shared) => Box::pin(shared.spend(key, amount, counted)).await,
        };
        let of_slot = |wanted: fn(&Tally) -> bool| {
            let found = tallies[..len].iter().find(|tally| wanted(tally));
            found.map(|tally| self.limit(tally))
        };
        Some(Standing {
            admitted,
            reset_secs: window.reset_secs(),
            over_all: of_slot(|tally| tally.slot == 0),
            group: of_slot(|tally| tally.slot > 0),
        })
    }

    /// Returns the standing of all limits of a key, and the seconds until its next window. It
    /// spends nothing.
    pub async fn peek(&self, limits: KeyLimits<'_>) -> (Vec<Limit>, u32) {
        let limit_of = |slot| if slot == 0 { limits.per_minute } else { limits.group_per_minute };
        let tallies =
            (0..self.names().len()).map(|slot| Tally { slot, limit: limit_of(slot), spent: 0 });
        let mut tallies: Vec<_> = tallies.filter(|tally| tally.limit > 0).collect();
        let key = Key::of(limits.key_id);
        let window = match self {
            Self::InProcess(InProcess { counters, replicas }) => {
                share(&mut tallies, *replicas);
                counters.peek(key, &mut tallies)
            }
            Self::Redis(shared) => Box::pin(shared.peek(key, &mut tallies)).await,
        };
        (tallies.iter().map(|tally| self.limit(tally)).collect(), window.reset_secs())
    }

    fn names(&self) -> &[&'static str] {
        match self {
            Self::InProcess(InProcess { counters, .. }) => counters.names(),
            Self::Redis(shared) => shared.names(),
        }
    }

    fn limit(&self, tally: &Tally) -> Limit {
        Limit {
            resource: self.names()[tally.slot],
            limit: tally.limit,
            remaining: tally.limit.saturating_sub(tally.spent),
        }
    }
}

#[cfg(test)]
mod tests;
