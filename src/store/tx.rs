//! A change of one workspace: what it writes, and the events that tell of it, commit together.
//!
//! A `Tx` that is dropped rolls back. It sends nothing and calls nobody: whoever delivers events
//! reads them from the log.
//!
//! The order of locks is the same in every change (see `locks`): parents, the rows changed, the
//! counter of a new row's id, and last, in [`Tx::commit`], the counter of the audit log and the event
//! sequence, under which events and counts are written; after it, only where keys change, the key
//! epoch, which is one for all workspaces. Commits of one workspace therefore follow its sequence: a reader that has
//! seen event `n` has seen all before it, and will see `n + 1` next. Workspaces do not wait for each
//! other.
//!
//! On PostgreSQL the changes of one process take turns at a gate before they take a counter
//! of ids or the sequence: to queue for the lock of a row there costs each of them more than the
//! change itself. Whoever has the turn takes no lock any more that another change may hold while it
//! waits for its turn.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::DbBackend;

use super::audit::{NewAuditLog, insert_audit_logs};
use super::conclude::Conclusion;
use super::events::PendingEvent;
use super::failure::failed;
use super::gate::{Gate, Turn};
use super::history::PendingHistory;
use super::keys::{KeyChange, raise_key_epoch};
use super::nouns::Noun;
use super::nouns::counts::CountChanges;
use super::transaction::Transaction;
use super::wakes::EndpointKey;
use super::{Store, Wakes, WorkspaceId};
use crate::clock::{Clock, Timestamp};
use crate::error::Error;
use crate::event::{Event, Origin};
use crate::id;

/// A change of one workspace that is under way.
#[must_use = "a change that is not committed is rolled back"]
#[derive(Debug)]
pub struct Tx {
    pub(super) transaction: Transaction,
    pub(super) workspace: WorkspaceId,
    pub(super) now: Timestamp,
    pub(super) count_changes: CountChanges,
    origin: Origin,
    clock: Clock,
    pub(super) events: Vec<PendingEvent>,
    pub(super) history: Vec<PendingHistory>,
    pub(super) audit_logs: Vec<NewAuditLog>,
    /// The facts that cached callers hold and this change makes untrue.
    pub(super) key_changes: Vec<KeyChange>,
    /// The gate at which changes of the workspace take turns, and the longest wait for one.
    changes: (Arc<Gate<WorkspaceId>>, Duration),
    turn: Option<Turn<WorkspaceId>>,
    wakes: Arc<Wakes>,
    /// The webhook endpoints that something is due for once the change has committed.
    pub(super) due: Vec<EndpointKey>,
}

impl Tx {
    pub(super) async fn begin(
        store: &Store,
        workspace: WorkspaceId,
        origin: Origin,
    ) -> Result<Self, Error> {
        let transaction = store.writer.begin().await.map_err(failed)?;
        Ok(Self::within(store, transaction, workspace, origin))
    }

    /// The change of a workspace in a transaction that has begun.
    pub(super) fn within(
        store: &Store,
        transaction: Transaction,
        workspace: WorkspaceId,
        origin: Origin,
    ) -> Self {
        Self {
            transaction,
            workspace,
            now: store.clock.now(),
            count_changes: CountChanges::default(),
            origin,
            clock: store.clock.clone(),
            events: Vec::new(),
            history: Vec::new(),
            audit_logs: Vec::new(),
            key_changes: Vec::new(),
            changes: (Arc::clone(&store.changes), store.turn_within),
            turn: None,
            wakes: Arc::clone(&store.wakes),
            due: Vec::new(),
        }
    }

    /// Waits on PostgreSQL until no other change of the workspace in this process has the turn, and
    /// keeps it until this change has ended. SQLite has one for all workspaces already.
    pub(super) async fn take_turn(&mut self) -> Result<(), Error> {
        if self.turn.is_none() && self.transaction.backend() == DbBackend::Postgres {
            let (changes, within) = &self.changes;
            let turn = changes.turn(self.workspace, *within).await;
            let late = |_| Error::unavailable("the changes before this one take too long");
            self.turn = Some(turn.map_err(late)?);
        }
        Ok(())
    }

    /// Returns the time at which the change began: the time of everything it writes, but for its
    /// events.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The id of the request that makes the change; empty for an operator's command.
    pub(super) fn request_id(&self) -> &str {
        self.origin.request_id.as_deref().unwrap_or_default()
    }

    /// Adds an event to those that commit with this change, and returns its id.
    pub fn record(&mut self, event: Event) -> String {
        let id = id::event();
        self.events.push(PendingEvent { id: id.clone(), event });
        id
    }

    /// Adds the event of a changed row to those that commit with this change; and, where the noun has a
    /// history, an entry to the row's for each field that the event names.
    pub fn record_update<N: Noun>(&mut self, row: &N, event: Event) {
        if N::table().has_history {
            self.remember(row, &event, |_| true);
        }
        self.record(event);
    }

    /// Adds an entry to those of the audit log that commit with this change.
    pub fn audit(&mut self, entry: NewAuditLog) {
        self.audit_logs.push(entry);
    }

    /// Writes audit log, events and counts, and makes the change last. When it has returned,
    /// everybody sees the change.
    pub async fn commit(mut self) -> Result<(), Error> {
        if !self.events.is_empty() || !self.audit_logs.is_empty() {
            self.take_turn().await?;
        }
        let tells = !self.events.is_empty();
        let audit_logs = std::mem::take(&mut self.audit_logs);
        insert_audit_logs(&self.transaction, self.workspace, &self.origin, audit_logs, self.now)
            .await?;
        self.count_changes.settle();
        let conclusion = Conclusion {
            workspace: self.workspace,
            origin: &self.origin,
            events: std::mem::take(&mut self.events),
            history: std::mem::take(&mut self.history),
            counts: std::mem::take(&mut self.count_changes),
            now: self.clock.now(),
        };
        conclusion.write(&self.transaction).await?;
        let key_changes = std::mem::take(&mut self.key_changes);
        raise_key_epoch(&self.transaction, key_changes).await?;
        self.transaction.commit().await.map_err(failed)?;
        if tells {
            self.wakes.grown(self.workspace);
        }
        for endpoint in self.due {
            self.wakes.due().add(endpoint);
        }
        Ok(())
    }
}
