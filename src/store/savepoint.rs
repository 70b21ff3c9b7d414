//! A part of a change that may be undone by itself: what it wrote, and what it would have told.
//!
//! PostgreSQL refuses every statement after one that has failed, until the transaction goes back to a
//! savepoint. So each part that a row of others may refuse, and that shall not take the whole
//! change with it, begins with one.

use super::Tx;
use super::failure::failed;
use super::nouns::counts::CountChanges;
use crate::error::Error;

/// A point of a change that it can go back to.
#[must_use = "a savepoint is either released or gone back to"]
#[derive(Debug)]
pub struct Savepoint {
    events: usize,
    history: usize,
    audit_logs: usize,
    key_changes: usize,
    counts: CountChanges,
}

impl Tx {
    /// Begins a part of the change. Parts may contain others; the one that began last ends first.
    pub async fn savepoint(&mut self) -> Result<Savepoint, Error> {
        self.transaction.set_savepoint().await.map_err(failed)?;
        Ok(Savepoint {
            events: self.events.len(),
            history: self.history.len(),
            audit_logs: self.audit_logs.len(),
            key_changes: self.key_changes.len(),
            counts: self.count_changes.clone(),
        })
    }

    /// Ends the part that began last: it is the change's like everything before it.
    pub async fn release(&mut self, _: Savepoint) -> Result<(), Error> {
        self.transaction.release_savepoint().await.map_err(failed)
    }

    /// Undoes the part that began last. What it has locked may stay locked, in the order in which that was
    /// done; its turn, if it took one, stays the change's.
    pub async fn roll_back_to(&mut self, savepoint: Savepoint) -> Result<(), Error> {
        self.transaction.roll_back_to_savepoint().await.map_err(failed)?;
        self.events.truncate(savepoint.events);
        self.history.truncate(savepoint.history);
        self.audit_logs.truncate(savepoint.audit_logs);
        self.key_changes.truncate(savepoint.key_changes);
        self.count_changes = savepoint.counts;
        Ok(())
    }

    /// Makes a part of the change that may be refused, and then leaves nothing behind.
    pub async fn attempt<T>(
        &mut self,
        part: impl AsyncFnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let savepoint = self.savepoint().await?;
        match part(self).await {
            Ok(done) => self.release(savepoint).await.map(|()| done),
            Err(refusal) => self.roll_back_to(savepoint).await.and(Err(refusal)),
        }
    }
}
