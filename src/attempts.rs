//! How often a client address may fail: a budget for each, asked before anything is read for who is
//! not known yet.
//!
//! It counts attempts; what an attempt is, and whether it failed, is for whoever asks.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::Clock as _;
use governor::middleware::StateInformationMiddleware;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tower_governor::governor::{GovernorConfigBuilder, SharedRateLimiter};

use crate::config::{
    FAILED_ATTEMPT_BACK_EVERY, FAILED_ATTEMPT_NETWORKS_MAX, FAILED_ATTEMPTS_BURST,
};
use crate::error::{Error, Kind};

/// Shared by all networks beyond those that are told apart.
const EVERYBODY_ELSE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
/// So few networks are not worth a look for those that are done with.
const FORGET_FROM: usize = 1024;

/// How many attempts an address has.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// So many at once.
    pub burst: NonZeroU32,
    /// And one back after each time of this length, which is not 0.
    pub one_back_every: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self { burst: FAILED_ATTEMPTS_BURST, one_back_every: FAILED_ATTEMPT_BACK_EVERY }
    }
}

/// The budgets of all addresses, for attempts of one kind.
///
/// An attempt is spent before it is known how it ends, so that there are never more of an address
/// under way than it has left. One that did not fail is given back, and who finds none left waits
/// for those that are under way. governor cannot take anything
/// back, so what is given back is kept beside it, and the next attempt of the address spends that
/// first. governor refills meanwhile, and must not make more than the burst of both together: of
/// what was given back there is never more than governor lacks.
pub struct FailedAttempts {
    /// What the metric calls them.
    name: &'static str,
    /// What who has none left is told.
    message: &'static str,
    budget: Budget,
    // tower_governor's service would decide before it is known whether a request is an attempt.
    limiter: SharedRateLimiter<IpAddr, StateInformationMiddleware>,
    networks: Mutex<Networks>,
}

/// The networks that spent lately.
struct Networks {
    spent: HashMap<IpAddr, Spent>,
    /// When to look next for those that are done with.
    forget_at: Instant,
}

/// What is kept of a network beside governor.
struct Spent {
    /// When governor has all of its burst again: nothing is lacking from then on.
    full_at: Instant,
    /// The attempts that did not fail, and were not spent again.
    given_back: u32,
    /// The attempts of which it is not known yet how they end.
    under_way: u32,
    /// Wakes who waits until one of them has ended.
    settled: Arc<Notify>,
}

/// What an attempt meets.
pub enum Admission<'a> {
    /// It may go on.
    Admitted(Attempt<'a>),
    /// There is none left, but one that is under way may be given back: to be asked again when
    /// this resolves.
    Undecided(OwnedNotified),
}

/// An attempt that is under way. Dropped, it has failed.
pub struct Attempt<'a> {
    of: &'a FailedAttempts,
    network: IpAddr,
    failed: bool,
}

impl Attempt<'_> {
    /// Gives it back.
    pub fn give_back(mut self) {
        self.failed = false;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some(spent) = self.of.lock().spent.get_mut(&self.network) {
            spent.under_way -= 1;
            spent.given_back += u32::from(!self.failed);
            spent.settled.notify_waiters();
        }
    }
}

impl Spent {
    fn new(full_at: Instant) -> Self {
        Self { full_at, given_back: 0, under_way: 0, settled: Arc::default() }
    }

    /// Spends an attempt that was given back, if there is one.
    fn take(&mut self, now: Instant, budget: Budget) -> bool {
        let lacking = self.full_at.saturating_duration_since(now).as_nanos();
        let lacking = lacking.div_ceil(budget.one_back_every.as_nanos());
        self.given_back = self.given_back.min(u32::try_from(lacking).unwrap_or(u32::MAX));
        let taken = self.given_back > 0;
        self.given_back -= u32::from(taken);
        taken
    }
}

impl FailedAttempts {
    /// Attempts with an unknown key.
    pub fn with_keys(budget: Budget) -> Self {
        let message = "Too many requests with an invalid API key came from your address. Wait as long as Retry-After tells, and check the key before you send it again.";
        Self::new("keys", message, budget)
    }

    /// Reports of leaked keys, by anybody.
    pub fn at_leak_reports(budget: Budget) -> Self {
        let message = "Too many reports of leaked keys came from your address. Wait as long as Retry-After tells, and send the report again.";
        Self::new("leak_reports", message, budget)
    }

    fn new(name: &'static str, message: &'static str, budget: Budget) -> Self {
        let mut config = GovernorConfigBuilder::default().use_headers();
        let config = config.burst_size(budget.burst.get()).period(budget.one_back_every).finish();
        let limiter = config.expect("neither burst nor period is 0").limiter().clone();
        let networks = Networks { spent: HashMap::new(), forget_at: Instant::now() };
        Self { name, message, budget, limiter, networks: Mutex::new(networks) }
    }

    /// Begins an attempt of the client, or refuses when it has none left and none under way.
    pub fn begin(&self, client: IpAddr) -> Result<Admission<'_>, Error> {
        let mut networks = self.lock();
        let network = networks.bucket(client);
        let spent = self.spend(&mut networks, network);
        let kept = networks.spent.get_mut(&network);
        match (spent, kept) {
            (Ok(()), kept) => {
                if let Some(kept) = kept {
                    kept.under_way += 1;
                }
                Ok(Admission::Admitted(Attempt { of: self, network, failed: true }))
            }
            (Err(_), Some(kept)) if kept.under_way > 0 => {
                Ok(Admission::Undecided(Arc::clone(&kept.settled).notified_owned()))
            }
            (Err(wait), _) => Err(self.refusal(wait)),
        }
    }

    /// Spends an attempt of the client that has ended already, or refuses when it has none left.
    pub fn admit(&self, client: IpAddr) -> Result<(), Error> {
        let mut networks = self.lock();
        let network = networks.bucket(client);
        self.spend(&mut networks, network).map_err(|wait| self.refusal(wait))
    }

    /// Gives back what [`FailedAttempts::admit`] spent.
    pub fn give_back(&self, client: IpAddr) {
        let mut networks = self.lock();
        let network = networks.bucket(client);
        if let Some(spent) = networks.spent.get_mut(&network) {
            spent.given_back += 1;
        }
    }

    /// Spends an attempt of the network, or tells how long until it has one.
    fn spend(&self, networks: &mut Networks, network: IpAddr) -> Result<(), Duration> {
        let now = Instant::now();
        self.forget(networks, now);
        if networks.spent.get_mut(&network).is_some_and(|spent| spent.take(now, self.budget)) {
            return Ok(());
        }
        let checked = self.limiter.check_key(&network);
        let snapshot =
            checked.map_err(|refused| refused.wait_time_from(self.limiter.clock().now()))?;
        let lacking = self.budget.burst.get() - snapshot.remaining_burst_capacity();
        let full_at = now + self.budget.one_back_every * lacking;
        networks.spent.entry(network).or_insert_with(|| Spent::new(full_at)).full_at = full_at;
        Ok(())
    }

    fn refusal(&self, wait: Duration) -> Error {
        metrics::counter!("orqit_failed_attempts_limited_total", "of" => self.name).increment(1);
        let secs = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let retry_after_secs = u32::try_from(secs).unwrap_or(u32::MAX).max(1);
        Error::new(Kind::TooManyFailedAttempts { retry_after_secs }, self.message)
    }

    /// Forgets, now and then, the networks that have all of their burst again.
    fn forget(&self, networks: &mut Networks, now: Instant) {
        if networks.spent.len() >= FORGET_FROM && networks.forget_at <= now {
            networks.spent.retain(|_, spent| spent.full_at > now || spent.under_way > 0);
            self.limiter.retain_recent();
            networks.forget_at = now + self.budget.one_back_every;
        }
    }

    /// Whoever panicked under the lock has left whole numbers.
    fn lock(&self) -> MutexGuard<'_, Networks> {
        self.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Networks {
    /// Whose budget the client spends: its network's own, while there is room.
    fn bucket(&self, client: IpAddr) -> IpAddr {
        let network = network(client);
        let is_full = self.spent.len() >= FAILED_ATTEMPT_NETWORKS_MAX;
        if is_full && !self.spent.contains_key(&network) { EVERYBODY_ELSE } else { network }
    }
}

/// The address itself, or of IPv6 the /64, which is what one client has.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
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

    /// How many attempts the client has until it is refused.
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
    fn what_is_given_back_can_be_spent_once_more() {
        let attempts = attempts();
        let client = address("192.0.2.1");
        for _ in 0..100 {
            attempts.admit(client).expect("as before");
            attempts.give_back(client);
        }
        assert_eq!(left(&attempts, client), BURST);
        attempts.give_back(client);
        assert_eq!(left(&attempts, client), 1);
        // Nobody else gets it.
        attempts.give_back(client);
        assert_eq!(left(&attempts, address("192.0.2.2")), BURST);
    }

    #[tokio::test]
    async fn who_finds_none_left_waits_for_those_under_way() {
        let attempts = attempts();
        let client = address("192.0.2.1");
        let begin = || attempts.begin(client);
        let admitted = |admission| match admission {
            Ok(Admission::Admitted(attempt)) => attempt,
            _ => panic!("not admitted"),
        };
        let mut under_way: Vec<_> = (0..BURST).map(|_| admitted(begin())).collect();
        let Ok(Admission::Undecided(settled)) = begin() else { panic!("nothing is decided") };
        under_way.pop().expect("one").give_back();
        settled.await;
        under_way.push(admitted(begin()));

        let Ok(Admission::Undecided(settled)) = begin() else { panic!("nothing is decided") };
        drop(under_way.pop());
        settled.await;
        assert!(matches!(begin(), Ok(Admission::Undecided(_))));
        drop(under_way);
        assert!(begin().is_err());
    }

    #[test]
    fn no_more_than_the_burst_is_ever_under_way() {
        let attempts = attempts();
        let client = address("192.0.2.1");
        let admitted: u32 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| left(&attempts, client))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!(admitted, BURST);
    }

    #[test]
    fn what_was_given_back_is_worth_nothing_once_governor_has_it_again() {
        let budget = Budget::default();
        let start = Instant::now();
        let full_at = start + budget.one_back_every * 3;
        let spent = || Spent { given_back: 3, ..Spent::new(full_at) };
        let after = |elapsed: Duration| {
            let mut spent = spent();
            (0..).find(|_| !spent.take(start + elapsed, budget)).expect("an end")
        };
        assert_eq!(after(Duration::ZERO), 3);
        assert_eq!(after(Duration::from_millis(1999)), 3);
        assert_eq!(after(Duration::from_secs(2)), 2);
        assert_eq!(after(Duration::from_millis(4001)), 1);
        assert_eq!(after(Duration::from_secs(6)), 0);
        assert_eq!(after(Duration::from_secs(600)), 0);
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
        assert!(attempts.lock().spent.len() <= FORGET_FROM + 1);
        assert!(attempts.limiter.len() <= FORGET_FROM + 1);
    }
}
