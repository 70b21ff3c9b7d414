//! The usage of keys: the log of their requests, the last use of each, and the figures.
//!
//! A request leaves an [`Entry`], which [`Recorder::take`] puts into a bounded queue in memory: that
//! is all it costs the request. Once a second, or sooner when many have come, [`Recorder::run`] takes
//! what is there, adds it up, and writes it down in a few transactions. While the database is away
//! it tries again and again, and the queue fills: then the rows of further requests are lost, which
//! is counted, but their figures and uses are still added up in memory. At a graceful stop all of it
//! is written. [`retention`] forgets what is too old.
//!
//! It knows nothing of HTTP or of how a request is refused: what there is to say stands in the entry.

mod entry;
mod queue;
pub mod retention;
mod tally;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

use crate::config::{
    USAGE_ATTEMPTS_MAX, USAGE_BATCH_MAX, USAGE_RETRY_WITHIN_MAX, USAGE_STOP_WITHIN,
    USAGE_WARN_INTERVAL, USAGE_WRITE_INTERVAL,
};
use crate::error::{Error, Kind, causes};
use crate::store::{Store, Usage, WorkspaceId};
use crate::trail::Trail;

use queue::Queue;
use tally::{Tally, request_log};

pub use entry::Entry;

/// Takes entries and writes them down. Clones share the queue.
#[derive(Clone)]
pub struct Recorder(Arc<Shared>);

struct Shared {
    store: Store,
    queue: Queue,
    enough: Notify,
    writing: Mutex<Writing>,
}

/// The entries that were taken out of the queue, each batch to be written in one transaction.
#[derive(Default)]
struct Writing {
    batches: VecDeque<BTreeMap<WorkspaceId, Usage>>,
    /// The number of times that a database that answers has refused the first batch.
    refusals: u32,
}

impl Recorder {
    /// Writes to `store`; at most `queued_max` entries wait.
    pub fn new(store: Store, queued_max: usize) -> Self {
        let (enough, writing) = (Notify::new(), Mutex::default());
        Self(Arc::new(Shared { store, queue: Queue::new(queued_max), enough, writing }))
    }

    /// Takes an entry. One without a caller, or of no RPC, leaves nothing behind.
    pub fn take(&self, entry: Entry) {
        let Trail { caller, rpc, .. } = &*entry.trail;
        if caller.get().is_some() && rpc.get().is_some() && self.0.queue.push(entry) {
            self.0.enough.notify_one();
        }
    }

    /// Writes down everything that was taken before the call. What cannot be written stays for the
    /// next.
    pub async fn flush(&self) -> Result<(), Error> {
        let mut writing = self.0.writing.lock().await;
        writing.write(&self.0.store).await?;
        writing.batches = batches(self.0.queue.drain());
        writing.write(&self.0.store).await
    }

    /// Writes until `stop` resolves, and then what is left.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let (mut pause, mut warned) = (USAGE_WRITE_INTERVAL, None);
        loop {
            tokio::select! {
                () = &mut stop => break,
                // While nothing can be written, more entries are no reason to try sooner.
                () = self.0.enough.notified(), if pause == USAGE_WRITE_INTERVAL => {}
                () = tokio::time::sleep(pause) => {}
            }
            pause = self.write_once(pause).await;
            self.warn_of_lost(&mut warned);
        }
        let written = async {
            while self.flush().await.is_err() {
                tokio::time::sleep(USAGE_WRITE_INTERVAL).await;
            }
        };
        if tokio::time::timeout(USAGE_STOP_WITHIN, written).await.is_err() {
            tracing::error!("the last requests are not in the request log: the database is away");
        }
    }

    /// Tries once, and returns the time after which to try again. A failure is told when it begins
    /// and when it is over.
    async fn write_once(&self, pause: Duration) -> Duration {
        let failed_before = pause > USAGE_WRITE_INTERVAL;
        match self.flush().await {
            Ok(()) => {
                if failed_before {
                    tracing::info!("the request log is written again");
                }
                USAGE_WRITE_INTERVAL
            }
            Err(error) => {
                if !failed_before {
                    let cause = causes(&error);
                    tracing::warn!(cause, "the request log cannot be written; trying again");
                }
                (pause * 2).min(USAGE_RETRY_WITHIN_MAX)
            }
        }
    }

    fn warn_of_lost(&self, warned: &mut Option<Instant>) {
        if warned.is_some_and(|at| at.elapsed() < USAGE_WARN_INTERVAL) {
            return;
        }
        let lost = self.0.queue.take_lost();
        if lost > 0 {
            *warned = Some(Instant::now());
            tracing::warn!(
                lost,
                "requests came faster than they were written, and are missing in the request log; \
                 raise ORQIT_REQUEST_LOG_QUEUE, or see why the database is slow"
            );
        }
    }
}

impl Writing {
    async fn write(&mut self, store: &Store) -> Result<(), Error> {
        while let Some(batch) = self.batches.front() {
            let Err(error) = store.insert_usage(batch).await else {
                self.batches.pop_front();
                self.refusals = 0;
                continue;
            };
            // A database that is away comes back; one that refuses the batch will again.
            self.refusals += u32::from(error.kind == Kind::Internal);
            if self.refusals < USAGE_ATTEMPTS_MAX {
                return Err(error);
            }
            let lost: usize = batch.values().map(|usage| usage.requests.len()).sum();
            let cause = causes(&error);
            tracing::error!(lost, cause, "requests cannot be written down and are given up");
            queue::count_lost(lost as u64);
            self.batches.pop_front();
            self.refusals = 0;
        }
        Ok(())
    }
}

/// Returns the batches that are written in one transaction each: short ones, for on SQLite others
/// wait meanwhile.
fn batches((mut entries, overflow): (Vec<Entry>, Tally)) -> VecDeque<BTreeMap<WorkspaceId, Usage>> {
    entries.sort_by_key(|entry| entry.trail.at);
    let mut batches: VecDeque<_> = entries
        .chunks(USAGE_BATCH_MAX)
        .map(|entries| {
            let mut tally = Tally::default();
            for entry in entries {
                tally.add(entry, usize::MAX);
            }
            let mut batch = tally.into_usage();
            for (workspace, request) in entries.iter().filter_map(request_log) {
                batch.entry(workspace).or_default().requests.push(request);
            }
            batch
        })
        .collect();
    let overflow = overflow.into_usage();
    if !overflow.is_empty() {
        batches.push_back(overflow);
    }
    batches
}

#[cfg(test)]
mod tests;
