//! The counts of requests in the windows of keys, in the memory of this process.
//!
//! Many small maps, each behind its own lock. An entry is 48 bytes with its key; one whose window
//! is over is forgotten by the sweep, which visits one small map at a time, on the back of a
//! request, so that no request waits for it noticeably.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::window::{Key, Window};
use crate::clock::{Clock, Timestamp};
use crate::config::{ENDPOINT_GROUPS_MAX, RATE_LIMIT_WINDOW_MS};

/// The number of shards: with so many a sweep of one takes microseconds even with a million keys.
const SHARDS: usize = 1024;
/// The pause between two sweeps, by which each shard is swept once in a window.
const SWEEP_EVERY_MS: i64 = RATE_LIMIT_WINDOW_MS as i64 / SHARDS as i64;
/// The limit over all, and one for each group.
const SLOTS: usize = 1 + ENDPOINT_GROUPS_MAX;
/// The multiple of its entries that a map may have room for; one with more room is made smaller.
const ROOM_MAX: usize = 4;
/// The room that a map keeps in any case.
const ROOM_MIN: usize = 16;

/// A limit that a request counts against, with the requests that the window has admitted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// The number of the limit of the key: 0 is the one over all.
    pub slot: usize,
    /// The number of requests that a window admits.
    pub limit: u32,
    /// The number of requests that it has admitted.
    pub spent: u32,
}

impl Tally {
    /// Returns true if the window admits so many more.
    pub fn admits(&self, amount: u32) -> bool {
        self.spent.saturating_add(amount) <= self.limit
    }
}

/// The window in which a request was counted, and whether it was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome {
    pub admitted: bool,
    pub window: Window,
}

/// The counts of requests in the windows of keys.
#[derive(Debug)]
pub(super) struct Counters {
    /// The names of the slots.
    names: Vec<&'static str>,
    clock: Clock,
    /// The milliseconds by which the clock that counts is ahead of ours: Redis's, where there is
    /// one.
    ahead_ms: AtomicI64,
    shards: Box<[Mutex<HashMap<u64, Entry>>]>,
    sweep_at: AtomicI64,
    sweep_next: AtomicUsize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    /// The window that the rest is about.
    window: u32,
    spent: [u32; SLOTS],
}

impl Entry {
    /// Begins anew if `now` is another window, and tells which one counts.
    fn move_to(&mut self, now: Window) -> Window {
        if self.window == now.number {
            return now;
        }
        // The clock was set back a little: the window that has begun stays, or it would admit twice.
        if self.window == now.number.wrapping_add(1) {
            return Window::whole(self.window);
        }
        *self = Self { window: now.number, spent: [0; SLOTS] };
        now
    }
}

impl Counters {
    /// Makes counters in which no key has spent anything. An error is a sentence: there are more
    /// groups than it is made for.
    pub fn new(groups: &[&'static str], clock: Clock) -> Result<Self, String> {
        if groups.len() > ENDPOINT_GROUPS_MAX {
            let len = groups.len();
            return Err(format!(
                "there are {len} endpoint groups, but ENDPOINT_GROUPS_MAX is {ENDPOINT_GROUPS_MAX}: raise it"
            ));
        }
        let names = [&[super::OVER_ALL], groups].concat();
        let shards = std::iter::repeat_with(Mutex::default).take(SHARDS).collect();
        let (ahead_ms, sweep_at) = (AtomicI64::new(0), AtomicI64::new(0));
        Ok(Self { names, clock, ahead_ms, shards, sweep_at, sweep_next: AtomicUsize::new(0) })
    }

    /// The names of the limits: `key`, then the groups.
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// The instant by the clock that counts.
    pub fn now(&self) -> Timestamp {
        self.clock.now().plus_millis(self.ahead_ms.load(Ordering::Relaxed))
    }

    /// Takes the clock that counts to stand at `now`.
    pub fn set_now(&self, now: Timestamp) {
        self.ahead_ms.store(now.0 - self.clock.now().0, Ordering::Relaxed);
    }

    /// Spends so many requests of each limit if all of them admit as many, else none. `tallies`
    /// then say what is spent.
    pub fn spend(&self, key: Key<'_>, amount: u32, tallies: &mut [Tally]) -> Outcome {
        let mut shard = self.shard(key);
        // Read under the lock: no request can come with an earlier instant than the one before it.
        let now = self.now();
        let entry = shard.entry(key.number).or_default();
        let window = entry.move_to(key.window(now));
        for tally in &mut *tallies {
            tally.spent = entry.spent[tally.slot];
        }
        let admitted = tallies.iter().all(|tally| tally.admits(amount));
        for tally in tallies.iter_mut().filter(|_| admitted) {
            tally.spent += amount;
            entry.spent[tally.slot] = tally.spent;
        }
        drop(shard);
        self.sweep(now);
        Outcome { admitted, window }
    }

    /// Reads the counts without spending.
    pub fn peek(&self, key: Key<'_>, tallies: &mut [Tally]) -> Window {
        let shard = self.shard(key);
        let window = key.window(self.now());
        let mut entry = shard.get(&key.number).copied().unwrap_or_default();
        let window = entry.move_to(window);
        for tally in tallies {
            tally.spent = entry.spent[tally.slot];
        }
        window
    }

    /// Takes over the counts of another process. It never becomes less within a window.
    pub fn learn(&self, key: Key<'_>, window: Window, tallies: &[Tally]) {
        let mut shard = self.shard(key);
        let entry = shard.entry(key.number).or_default();
        // An answer that was overtaken by one of the next window tells nothing any more.
        if entry.move_to(window).number == window.number {
            for tally in tallies {
                let spent = &mut entry.spent[tally.slot];
                *spent = tally.spent.max(*spent);
            }
        }
        drop(shard);
        self.sweep(self.now());
    }

    fn shard(&self, key: Key<'_>) -> MutexGuard<'_, HashMap<u64, Entry>> {
        // Fibonacci hashing: the top bits depend on every character of the id.
        let place = key.number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - SHARDS.ilog2());
        lock(&self.shards[place as usize])
    }

    /// Forgets, in the shard whose turn it is, the keys whose windows are over.
    fn sweep(&self, now: Timestamp) {
        let due = self.sweep_at.load(Ordering::Relaxed);
        // Due too when the clock was set back.
        if (due - i64::from(RATE_LIMIT_WINDOW_MS)..due).contains(&now.0) {
            return;
        }
        let next = now.0 + SWEEP_EVERY_MS;
        let mine = self.sweep_at.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed);
        if mine.is_err() {
            return;
        }
        let place = self.sweep_next.fetch_add(1, Ordering::Relaxed) % SHARDS;
        let mut shard = lock(&self.shards[place]);
        // The window of a key is the minute of the clock, or by its phase already the next one.
        let oldest = (now.0 / i64::from(RATE_LIMIT_WINDOW_MS)) as u32;
        shard.retain(|_, entry| entry.window >= oldest);
        let room = shard.len().max(ROOM_MIN);
        if shard.capacity() > ROOM_MAX * room {
            shard.shrink_to(room);
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }
}

/// Lowers limits to what one of several replicas may admit that cannot count together.
pub(super) fn share(tallies: &mut [Tally], replicas: u32) {
    if replicas > 1 {
        for tally in tallies {
            tally.limit = (tally.limit / replicas).max(1);
        }
    }
}

/// Locks a shard. A panic under the lock cannot leave a change half made, so a poisoned lock is
/// taken as it is.
fn lock(shard: &Mutex<HashMap<u64, Entry>>) -> MutexGuard<'_, HashMap<u64, Entry>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
