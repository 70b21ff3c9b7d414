//! A change of one workspace: what it writes, and the events that tell of it, commit together.
//!
//! A `Tx` that is dropped rolls back. It sends nothing and calls nobody: whoever delivers events
//! reads them from the log.
//!
//! The order of locks is the same in every change: the rows changed, then the counter of a new
//! row's id, and last, in [`Tx::commit`], the event sequence, under which events and ticket counts
//! are written; after it, only where keys change, the key epoch, which is one for all workspaces.
//! Commits of one workspace therefore follow its sequence: a reader that has seen
//! event `n` has seen all before it, and will see `n + 1` next. Workspaces do not wait for each
//! other.

use std::collections::BTreeMap;

use sea_orm::{
    DatabaseTransaction, DbErr, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};

use super::audit::{NewAuditLog, insert_audit_logs};
use super::counters::{Counter, advance};
use super::events::{PendingEvent, insert_events};
use super::failure::failed;
use super::keys::{KeyChange, raise_key_epoch};
use super::tickets::counts::add_to_counts;
use super::{Store, WorkspaceId};
use crate::clock::{Clock, Timestamp};
use crate::error::Error;
use crate::event::{Event, Origin};
use crate::id;

/// A change of one workspace that is under way.
#[must_use = "a change that is not committed is rolled back"]
#[derive(Debug)]
pub struct Tx {
    pub(super) transaction: DatabaseTransaction,
    pub(super) workspace: WorkspaceId,
    pub(super) now: Timestamp,
    pub(super) count_changes: BTreeMap<i16, i64>,
    origin: Origin,
    clock: Clock,
    events: Vec<PendingEvent>,
    audit_logs: Vec<NewAuditLog>,
    /// What cached callers hold and this change makes untrue.
    pub(super) key_changes: Vec<KeyChange>,
}

impl Tx {
    pub(super) async fn begin(
        store: &Store,
        workspace: WorkspaceId,
        origin: Origin,
    ) -> Result<Self, Error> {
        let transaction = begin(store).await.map_err(failed)?;
        Ok(Self {
            transaction,
            workspace,
            now: store.clock.now(),
            count_changes: BTreeMap::new(),
            origin,
            clock: store.clock.clone(),
            events: Vec::new(),
            audit_logs: Vec::new(),
            key_changes: Vec::new(),
        })
    }

    /// When the change began: the time of everything it writes, but for its events.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The id of the request that makes the change; empty for an operator's command.
    pub(super) fn request_id(&self) -> &str {
        self.origin.request_id.as_deref().unwrap_or_default()
    }

    /// Adds an event to those that commit with this change, and answers its id.
    pub fn record(&mut self, event: Event) -> String {
        let id = id::event();
        self.events.push(PendingEvent { id: id.clone(), event });
        id
    }

    /// Adds an entry to those of the audit log that commit with this change.
    pub fn audit(&mut self, entry: NewAuditLog) {
        self.audit_logs.push(entry);
    }

    /// Writes audit log, events and ticket counts, and makes the change last. When it has returned,
    /// everybody sees the change.
    pub async fn commit(mut self) -> Result<(), Error> {
        let audit_logs = std::mem::take(&mut self.audit_logs);
        insert_audit_logs(&self.transaction, self.workspace, &self.origin, audit_logs, self.now)
            .await
            .map_err(failed)?;
        self.write_events_and_counts().await.map_err(failed)?;
        let key_changes = std::mem::take(&mut self.key_changes);
        raise_key_epoch(&self.transaction, key_changes).await.map_err(failed)?;
        self.transaction.commit().await.map_err(failed)
    }

    async fn write_events_and_counts(&mut self) -> Result<(), DbErr> {
        self.count_changes.retain(|_, change| *change != 0);
        if self.events.is_empty() && self.count_changes.is_empty() {
            return Ok(());
        }
        let events = std::mem::take(&mut self.events);
        let amount = i64::try_from(events.len()).expect("a change has fewer than 2^63 events");
        // From here on this change has the workspace's log to itself, so two changes that touch
        // the same counts cannot wait for each other crosswise.
        let last = advance(&self.transaction, self.workspace, Counter::Events, amount).await?;
        let first = last - amount + 1;
        let now = self.clock.now();
        let actor = &self.origin.actor;
        insert_events(&self.transaction, self.workspace, actor, events, first, now).await?;
        add_to_counts(&self.transaction, self.workspace, &self.count_changes).await
    }
}

/// Begins a transaction that may write. On SQLite it takes the write lock at once: one that had
/// read first could find the lock taken, and what it read outdated, and would have to give up.
pub(super) async fn begin(store: &Store) -> Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..Default::default()
    };
    store.writes.begin_with_options(options).await
}
