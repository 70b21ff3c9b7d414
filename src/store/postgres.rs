//! Changes on PostgreSQL whose fate does not hang on the request that makes them.
//!
//! A request may be dropped at any moment: its client goes away, its deadline passes. BEGIN (see
//! `begin`) and COMMIT are run to their end by tasks of their own; a change that is dropped in between
//! rolls back before its connection is used again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, QueryResult, RuntimeErr,
    Statement, TransactionOptions,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::begin::begin;
use super::failure::away;

/// The writer of a PostgreSQL database. Clones share its connections.
#[derive(Debug, Clone)]
pub(super) struct PostgresWriter {
    pool: DatabaseConnection,
    /// The semaphore of connections: a request that is dropped while it waits leaves no task.
    slots: Arc<Semaphore>,
    slot_within: Duration,
}

impl PostgresWriter {
    /// A writer by the connections of `pool`, of which there are so many.
    pub(super) fn new(pool: DatabaseConnection, connections: u32, slot_within: Duration) -> Self {
        let slots = Arc::new(Semaphore::new(connections as usize));
        Self { pool, slots, slot_within }
    }

    /// Returns a writer by the connections of another pool.
    pub(super) fn by_pool(&self, pool: &DatabaseConnection, connections: u32) -> Self {
        Self::new(pool.clone(), connections, self.slot_within)
    }

    pub(super) async fn begin(&self) -> Result<PostgresChange, DbErr> {
        let slot = tokio::time::timeout(self.slot_within, Arc::clone(&self.slots).acquire_owned());
        let slot = slot.await.map_err(|_| away("all connections are in use for too long"))?;
        let slot = slot.map_err(|_| away("the store is closed"))?;
        let transaction = begin(&self.pool, TransactionOptions::default()).await?;
        Ok(PostgresChange { transaction, failed: AtomicBool::new(false), slot })
    }
}

/// A change under way. Dropping it rolls back.
#[derive(Debug)]
pub(super) struct PostgresChange {
    transaction: DatabaseTransaction,
    /// True if a statement has failed: PostgreSQL answers the COMMIT after that as if all was well,
    /// and rolls back.
    failed: AtomicBool,
    slot: OwnedSemaphorePermit,
}

impl PostgresChange {
    pub(super) async fn execute(&self, statement: Statement) -> Result<u64, DbErr> {
        let done = self.transaction.execute_raw(statement).await;
        Ok(done.inspect_err(|_| self.failed.store(true, Ordering::Relaxed))?.rows_affected())
    }

    pub(super) async fn query(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let rows = self.transaction.query_all_raw(statement).await;
        rows.inspect_err(|_| self.failed.store(true, Ordering::Relaxed))
    }

    /// Notes that the change has gone back to before the statement that failed.
    pub(super) fn mend(&self) {
        self.failed.store(false, Ordering::Relaxed);
    }

    pub(super) async fn commit(self) -> Result<(), DbErr> {
        let Self { transaction, failed, slot } = self;
        if failed.into_inner() {
            let why = "a change whose statement failed must not be committed";
            return Err(DbErr::Exec(RuntimeErr::Internal(why.to_owned())));
        }
        let committed = tokio::spawn(async move {
            let committed = transaction.commit().await;
            drop(slot);
            committed
        });
        committed.await.map_err(|error| away(format!("COMMIT was cut off: {error}")))?
    }
}
