//! The watch of the key epoch, by which a ring learns of changed keys, and by which the process
//! that changed one learns that all others have.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::KeyRing;
use crate::config::{KEY_EPOCH_POLLED, KEY_LEASE, KEY_LEASE_MARGIN};
use crate::error::{Error, causes};
use crate::store::{KeyChange, PageRequest, Position, Store};

/// The pause between two looks at whether all other processes have applied a change of a key.
const SETTLED_POLLED: Duration = Duration::from_millis(10);

/// The state of a ring's watch.
pub(super) struct Watch {
    /// The name among the watchers.
    id: String,
    started: Instant,
    /// The time until which cached callers are trusted, in microseconds after `started`.
    fresh_until: AtomicU64,
    /// The epoch up to which all changes are applied; none before the first look.
    applied: Mutex<Option<i64>>,
}

impl Watch {
    pub(super) fn new(id: String) -> Self {
        let (fresh_until, applied) = (AtomicU64::new(0), Mutex::new(None));
        Self { id, started: Instant::now(), fresh_until, applied }
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.micros(Instant::now()) < self.fresh_until.load(Ordering::Acquire)
    }

    fn micros(&self, at: Instant) -> u64 {
        at.duration_since(self.started).as_micros() as u64
    }
}

impl KeyRing {
    /// Keeps up until it is dropped: looks several times a second whether a key has changed.
    pub async fn watch(&self) {
        let mut failing = false;
        loop {
            match self.look().await {
                Ok(_) if failing => {
                    failing = false;
                    tracing::info!("keys are accepted from memory again");
                }
                Ok(_) => {}
                Err(error) if !failing => {
                    failing = true;
                    let cause = causes(&error);
                    tracing::warn!(
                        cause,
                        "cannot read the key epoch: every request asks the database for its key until that works again"
                    );
                }
                Err(_) => {}
            }
            tokio::time::sleep(KEY_EPOCH_POLLED).await;
        }
    }

    /// Reads the epoch once, applies all changes up to it, and returns it. From then on the cache
    /// is trusted for a lease, counted from before the epoch was read.
    pub async fn look(&self) -> Result<i64, Error> {
        let mut applied = self.watch.applied.lock().await;
        let mut began = Instant::now();
        let (mut epoch, mut registered) = self.watching.read_key_epoch(&self.watch.id).await?;
        let known = match *applied {
            Some(known) if registered => known,
            _ => {
                // Known as a watcher first, then the epoch: nobody who raises it later overlooks us.
                // What was missed while nobody knew us is not known: begin anew.
                self.watching.upsert_key_watcher(&self.watch.id, epoch).await?;
                self.reload().await?;
                began = Instant::now();
                let known = epoch;
                (epoch, registered) = self.watching.read_key_epoch(&self.watch.id).await?;
                if !registered {
                    return Err(Error::unavailable("this watcher was forgotten at once"));
                }
                known
            }
        };
        if epoch > known {
            match self.watching.list_key_changes(known, epoch).await? {
                Some(changes) => self.apply(&changes).await?,
                None => self.reload().await?,
            }
            self.watching.upsert_key_watcher(&self.watch.id, epoch).await?;
        }
        *applied = Some(epoch);
        let until = self.watch.micros(began + KEY_LEASE);
        self.watch.fresh_until.store(until, Ordering::Release);
        Ok(epoch)
    }

    async fn apply(&self, changes: &[KeyChange]) -> Result<(), Error> {
        for change in changes {
            match &change.key_id {
                Some(key_id) => {
                    if let Some(record) = self.watching.find_key(key_id).await? {
                        self.replace(record)?;
                    }
                }
                None => self.apply_workspace(change).await?,
            }
        }
        Ok(())
    }

    /// Applies a change of a workspace to all its keys, each of which holds the workspace's
    /// settings.
    async fn apply_workspace(&self, change: &KeyChange) -> Result<(), Error> {
        let reader = self.watching.reader(change.workspace);
        let mut position = Position::Page(1);
        loop {
            let request = PageRequest { per_page: 100, position };
            // No status is asked for, so the time does not matter.
            let page = reader.list_keys(&[], crate::clock::Timestamp(0), &request).await?;
            page.rows.into_iter().try_for_each(|record| self.replace(record))?;
            match page.next {
                Some(next) => position = Position::After(next),
                None => return Ok(()),
            }
        }
    }

    /// Returns when every process has applied the changes that are committed by now, this one
    /// included, or does not trust its memory any more.
    pub async fn settle(&self) {
        match self.look().await {
            Ok(epoch) => settle(&self.store, epoch, &self.watch.id).await,
            Err(error) => wait_out(&error).await,
        }
    }

    /// Tells that this process accepts no key from memory any more, so that nobody waits for it.
    pub async fn leave(&self) {
        *self.watch.applied.lock().await = None;
        self.watch.fresh_until.store(0, Ordering::Release);
        if let Err(error) = self.watching.delete_key_watcher(&self.watch.id).await {
            tracing::warn!(
                cause = causes(&error),
                "cannot sign off: the next change of a key waits for this process"
            );
        }
    }
}

/// Returns when every watcher other than `own` has applied the changes up to `epoch`, or its lease
/// has certainly run out.
pub async fn settle(store: &Store, epoch: i64, own: &str) {
    if let Err(error) = settled(store, epoch, own).await {
        wait_out(&error).await;
    }
}

async fn settled(store: &Store, epoch: i64, own: &str) -> Result<(), Error> {
    let began = Instant::now();
    while store.count_key_laggards(epoch, own).await? > 0 {
        if began.elapsed() > KEY_LEASE + KEY_LEASE_MARGIN {
            return store.delete_key_laggards(epoch, own).await;
        }
        tokio::time::sleep(SETTLED_POLLED).await;
    }
    Ok(())
}

/// Waits out the lease of processes that may not have read the epoch, where the database cannot be
/// asked.
async fn wait_out(error: &Error) {
    let cause = causes(error);
    tracing::warn!(
        cause,
        "cannot ask whether a change of a key is known everywhere: waiting until it must be"
    );
    tokio::time::sleep(KEY_LEASE + KEY_LEASE_MARGIN).await;
}
