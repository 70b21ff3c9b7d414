//! The entries that wait to be written: bounded, and cheap to add to from many threads at once.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::entry::Entry;
use super::tally::Tally;
use crate::config::{USAGE_OVERFLOW_MAX, USAGE_WRITE_AT};

/// A part for each thread of the runtime, so that they seldom meet.
pub(super) struct Queue {
    shards: Box<[Mutex<Shard>]>,
    entries_max: usize,
    figures_max: usize,
    /// The number of entries that did not fit since somebody asked.
    lost: AtomicU64,
}

#[derive(Default)]
struct Shard {
    entries: Vec<Entry>,
    /// The sums of those that did not fit.
    overflow: Tally,
}

impl Queue {
    pub(super) fn new(entries_max: usize) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let shards = threads.min(entries_max).max(1);
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            entries_max: entries_max / shards,
            figures_max: (USAGE_OVERFLOW_MAX / shards).max(1),
            lost: AtomicU64::new(0),
        }
    }

    /// Adds an entry, and returns whether so many are there now that they should be written.
    pub(super) fn push(&self, entry: Entry) -> bool {
        let mut shard = lock(&self.shards[shard_of_thread() % self.shards.len()]);
        if shard.entries.len() < self.entries_max {
            shard.entries.push(entry);
            return shard.entries.len() == USAGE_WRITE_AT.min(self.entries_max);
        }
        let is_counted = shard.overflow.add(&entry, self.figures_max);
        drop(shard);
        self.lost.fetch_add(1, Ordering::Relaxed);
        count_lost(1);
        if !is_counted {
            metrics::counter!("orqit_usage_dropped_total").increment(1);
        }
        false
    }

    /// Takes everything out.
    pub(super) fn drain(&self) -> (Vec<Entry>, Tally) {
        let (mut entries, mut overflow) = (Vec::new(), Tally::default());
        for shard in &self.shards {
            // Room for as many again, made and given back while nobody waits.
            let room = Vec::with_capacity(lock(shard).entries.len());
            let taken = {
                let mut shard = lock(shard);
                overflow.add_all(std::mem::take(&mut shard.overflow));
                std::mem::replace(&mut shard.entries, room)
            };
            entries.extend(taken);
        }
        metrics::gauge!("orqit_request_log_queued").set(entries.len() as f64);
        (entries, overflow)
    }

    /// Returns the number of entries that did not fit since the last call.
    pub(super) fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

/// Counts entries that are not in the request log.
pub(super) fn count_lost(entries: u64) {
    metrics::counter!("orqit_request_log_dropped_total").increment(entries);
}

/// Locks a shard. A panic under the lock leaves a whole number of entries, so a poisoned lock is
/// taken as it is.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of this thread, in the order in which they came here.
fn shard_of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}
