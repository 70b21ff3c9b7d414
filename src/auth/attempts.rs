//! Limits how often a client address may fail: each has a budget of attempts.
//!
//! What an attempt is, and whether it failed, is decided by the caller.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::Clock as _;
use governor::middleware::StateInformationMiddleware;
use tower_governor::governor::{GovernorConfigBuilder, SharedRateLimiter};

use crate::config::{
    FAILED_ATTEMPT_BACK_EVERY, FAILED_ATTEMPT_NETWORKS_MAX, FAILED_ATTEMPTS_BURST,
};
use crate::error::{Error, Kind};
use crate::network::Network;

/// The number of networks up to which none is forgotten, because a look through so few is not worth
/// it.
const FORGET_FROM: usize = 1024;

/// The budget of attempts that an address has.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// The attempts that an address can make at once.
    pub burst: NonZeroU32,
    /// The time after which one attempt comes back, which is not 0.
    pub one_back_every: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self { burst: FAILED_ATTEMPTS_BURST, one_back_every: FAILED_ATTEMPT_BACK_EVERY }
    }
}

/// The budgets of all addresses, for attempts of one kind.
pub struct FailedAttempts {
    /// The name of these attempts in the metric.
    name: &'static str,
    /// The message to an address that has none left.
    message: &'static str,
    budget: Budget,
    // tower_governor's service would decide before it is known whether a request is an attempt.
    limiter: SharedRateLimiter<IpAddr, StateInformationMiddleware>,
    networks: Mutex<Networks>,
}

/// The networks that spent lately.
struct Networks {
    /// The time at which each network has all of its burst again.
    full_at: HashMap<Network, Instant>,
    /// The time of the next look for networks that can be forgotten.
    forget_at: Instant,
}

impl FailedAttempts {
    /// Limits attempts with an unknown key.
    pub fn with_keys(budget: Budget) -> Self {
        let message = "Too many requests with an invalid API key came from your address. Wait as long as Retry-After tells, and check the key before you send it again.";
        Self::new("keys", message, budget)
    }

    /// Limits reports of leaked keys, by anybody.
    pub fn at_leak_reports(budget: Budget) -> Self {
        let message = "Too many reports of leaked keys came from your address. Wait as long as Retry-After tells, and send the report again.";
        Self::new("leak_reports", message, budget)
    }

    fn new(name: &'static str, message: &'static str, budget: Budget) -> Self {
        let mut config = GovernorConfigBuilder::default().use_headers();
        let config = config.burst_size(budget.burst.get()).period(budget.one_back_every).finish();
        let limiter = config.expect("neither burst nor period is 0").limiter().clone();
        let networks = Networks { full_at: HashMap::new(), forget_at: Instant::now() };
        Self { name, message, budget, limiter, networks: Mutex::new(networks) }
    }

    /// Spends an attempt of the client, or refuses when it has none left.
    pub fn admit(&self, client: IpAddr) -> Result<(), Error> {
        let now = Instant::now();
        let mut networks = self.lock();
        self.forget(&mut networks, now);
        let network = networks.bucket(client);
        let snapshot = self
            .limiter
            .check_key(&network.0)
            .map_err(|refused| self.refusal(refused.wait_time_from(self.limiter.clock().now())))?;
        let lacking = self.budget.burst.get() - snapshot.remaining_burst_capacity();
        networks.full_at.insert(network, now + self.budget.one_back_every * lacking);
        Ok(())
    }

    /// Refuses a client that has no attempt left, and spends none.
    pub fn check(&self, client: IpAddr) -> Result<(), Error> {
        let networks = self.lock();
        let full_at = networks.full_at.get(&networks.bucket(client)).copied();
        drop(networks);
        let full_in = full_at.map_or(Duration::ZERO, |at| at.duration_since(Instant::now()));
        let none_left = self.budget.one_back_every * (self.budget.burst.get() - 1);
        match full_in.checked_sub(none_left).filter(|wait| !wait.is_zero()) {
            Some(wait) => Err(self.refusal(wait)),
            None => Ok(()),
        }
    }

    fn refusal(&self, wait: Duration) -> Error {
        metrics::counter!("orqit_failed_attempts_limited_total", "of" => self.name).increment(1);
        let secs = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let retry_after_secs = u32::try_from(secs).unwrap_or(u32::MAX).max(1);
        Error::new(Kind::TooManyFailedAttempts { retry_after_secs }, self.message)
    }

    /// Forgets, now and then, the networks that have all of their burst again.
    fn forget(&self, networks: &mut Networks, now: Instant) {
        if networks.full_at.len() >= FORGET_FROM && networks.forget_at <= now {
            networks.full_at.retain(|_, full_at| *full_at > now);
            self.limiter.retain_recent();
            networks.forget_at = now + self.budget.one_back_every;
        }
    }

    /// Locks the networks. A panic under the lock leaves whole numbers, so a poisoned lock is taken
    /// as it is.
    fn lock(&self) -> MutexGuard<'_, Networks> {
        self.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Networks {
    /// Returns the network whose budget the client spends: its own, while there is room.
    fn bucket(&self, client: IpAddr) -> Network {
        let network = Network::of(client);
        let is_full = self.full_at.len() >= FAILED_ATTEMPT_NETWORKS_MAX;
        if is_full && !self.full_at.contains_key(&network) {
            Network::EVERYBODY_ELSE
        } else {
            network
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const BURST: u32 = 30;

    /// The contract's burst; nothing comes back while a test runs, however long that takes.
    fn attempts() -> FailedAttempts {
        let one_back_every = Duration::from_secs(3600);
        FailedAttempts::with_keys(Budget { one_back_every, ..Budget::default() })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// Returns the attempts that the client has until it is refused.
    fn left(attempts: &FailedAttempts, client: IpAddr) -> u32 {
        (0..).find(|_| attempts.admit(client).is_err()).expect("a refusal")
    }

    #[test]
    fn the_burst_is_admitted_and_the_next_attempt_told_when_to_come_back() {
        let attempts = FailedAttempts::with_keys(Budget::default());
        let client = address("192.0.2.1");
        for _ in 0..BURST {
            attempts.admit(client).expect("within the burst");
        }
        let refused = attempts.admit(client).expect_err("beyond it");
        assert!(matches!(refused.retry_after_secs(), Some(1 | 2)), "{refused:?}");
        assert_eq!(refused.code(), "TOO_MANY_FAILED_ATTEMPTS");
    }

    #[test]
    fn each_network_has_its_own() {
        let attempts = attempts();
        assert_eq!(left(&attempts, address("192.0.2.1")), BURST);
        assert_eq!(left(&attempts, address("192.0.2.2")), BURST);
        assert_eq!(left(&attempts, address("::ffff:192.0.2.1")), 0);
        assert_eq!(left(&attempts, address("2001:db8:1:2::1")), BURST);
        assert_eq!(left(&attempts, address("2001:db8:1:2:ffff::9")), 0);
        assert_eq!(left(&attempts, address("2001:db8:1:3::1")), BURST);
    }

    #[test]
    fn a_check_spends_nothing_and_refuses_who_has_none_left() {
        let attempts = attempts();
        let client = address("192.0.2.1");
        for _ in 0..2 * BURST {
            attempts.check(client).expect("as before");
        }
        assert_eq!(left(&attempts, client), BURST);
        let refused = attempts.check(client).expect_err("none left");
        assert!(matches!(refused.retry_after_secs(), Some(3590..=3600)), "{refused:?}");
        attempts.check(address("192.0.2.2")).expect("another's");
    }

    #[test]
    fn one_that_came_back_passes_the_check() {
        let one_back_every = Duration::from_millis(1);
        let attempts = FailedAttempts::with_keys(Budget { one_back_every, ..Budget::default() });
        let client = address("192.0.2.1");
        left(&attempts, client);
        let begun = Instant::now();
        while attempts.check(client).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(10), "none came back");
        }
    }

    #[test]
    fn no_more_than_the_burst_is_admitted_at_the_same_time() {
        let attempts = attempts();
        let client = address("192.0.2.1");
        let admitted: u32 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| left(&attempts, client))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!(admitted, BURST);
    }

    #[test]
    fn networks_beyond_the_bound_share_one_budget() {
        let attempts = attempts();
        for number in 1..=FAILED_ATTEMPT_NETWORKS_MAX {
            let number = u32::try_from(number).expect("fewer than 2^32");
            attempts.admit(IpAddr::V4(Ipv4Addr::from_bits(number))).expect("its first");
        }
        assert_eq!(left(&attempts, address("192.0.2.1")), BURST);
        assert_eq!(left(&attempts, address("192.0.2.2")), 0);
        assert_eq!(left(&attempts, address("0.0.0.1")), BURST - 1);
    }

    #[test]
    fn who_has_all_again_is_forgotten() {
        let one_back_every = Duration::from_nanos(1);
        let attempts = FailedAttempts::with_keys(Budget { one_back_every, ..Budget::default() });
        for number in 0..10 * u32::try_from(FORGET_FROM).expect("fewer than 2^32") {
            attempts.admit(IpAddr::V4(Ipv4Addr::from_bits(number))).expect("its first");
        }
        assert!(attempts.lock().full_at.len() <= FORGET_FROM + 1);
        assert!(attempts.limiter.len() <= FORGET_FROM + 1);
    }
}
