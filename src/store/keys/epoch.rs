//! The key epoch, which tells every process that a key has changed.
//!
//! Every change raises the key epoch, in its own transaction and under the lock of the epoch's one
//! row, and notes what changed. Whoever accepts keys from memory is a watcher: it reads the epoch
//! several times a second, applies what it has missed, and notes how far it is. Who has changed a
//! key waits until each watcher is that far, or has certainly stopped to trust its memory.

use std::collections::BTreeSet;

use sea_orm::Value;

use crate::config::KEY_CHANGES_KEPT;
use crate::error::Error;
use crate::metrics::StoreOperation;
use crate::store::failure::failed;
use crate::store::sql::statement;
use crate::store::transaction::Transaction;
use crate::store::{Store, WorkspaceId};

/// A change of something that cached callers hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyChange {
    /// The workspace of the key.
    pub workspace: WorkspaceId,
    /// The key; none where the workspace itself changed, and with it every key.
    pub key_id: Option<String>,
}

/// Raises the epoch and notes the changes, the last thing that a transaction does: until it ends,
/// nobody else can raise it.
pub(in crate::store) async fn raise_key_epoch(
    transaction: &Transaction,
    changes: Vec<KeyChange>,
) -> Result<(), Error> {
    let changes: BTreeSet<_> = changes.into_iter().collect();
    if changes.is_empty() {
        return Ok(());
    }
    let amount = i64::try_from(changes.len()).expect("a change touches fewer than 2^63 keys");
    let text = "UPDATE key_epoch SET epoch = epoch + $1 WHERE id = 1 RETURNING epoch";
    let raise = statement(transaction.backend(), text, [amount.into()]);
    let epoch: Option<i64> = transaction.read_one(raise, |row| row.get(0)).await?;
    let epoch = epoch.ok_or_else(no_epoch)?;
    for (change, epoch) in changes.into_iter().zip(epoch - amount + 1..) {
        let text = "INSERT INTO key_changes (epoch, workspace_id, key_id) VALUES ($1, $2, $3)";
        let values = [epoch.into(), change.workspace.0.into(), change.key_id.into()];
        let note = statement(transaction.backend(), text, values);
        transaction.execute(note).await.map_err(failed)?;
    }
    let text = "DELETE FROM key_changes WHERE epoch <= $1";
    let forget = statement(transaction.backend(), text, [(epoch - KEY_CHANGES_KEPT).into()]);
    transaction.execute(forget).await.map_err(failed)?;
    Ok(())
}

fn no_epoch() -> Error {
    Error::internal("there is no key epoch")
}

impl Store {
    /// The epoch, and whether `watcher` is known as a watcher. They are of one moment.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn read_key_epoch(&self, watcher: &str) -> Result<(i64, bool), Error> {
        let _timed = StoreOperation::begin("read", "key_epoch");
        let text = "SELECT epoch, (SELECT COUNT(*) FROM key_watchers w WHERE w.id = $1) \
                    FROM key_epoch WHERE id = 1";
        let query = statement(self.backend(), text, [watcher.into()]);
        let found = self.read_short(query, |row| Ok((row.get(0)?, row.get::<i64>(1)? > 0))).await?;
        found.into_iter().next().ok_or_else(no_epoch)
    }

    /// Lists the changes after the epoch `after`, up to and with `until`; none when they are not
    /// known any more.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list_key_changes(
        &self,
        after: i64,
        until: i64,
    ) -> Result<Option<Vec<KeyChange>>, Error> {
        let _timed = StoreOperation::begin("list", "key_changes");
        if until - after > KEY_CHANGES_KEPT {
            return Ok(None);
        }
        let text = "SELECT workspace_id, key_id FROM key_changes WHERE epoch > $1 AND epoch <= $2";
        let query = statement(self.backend(), text, [after.into(), until.into()]);
        let changes = self.read_short(query, |row| {
            Ok(KeyChange { workspace: WorkspaceId(row.get(0)?), key_id: row.get(1)? })
        });
        let changes = changes.await?;
        Ok(Some(changes).filter(|changes| changes.len() as i64 == until - after))
    }

    /// Notes that `watcher` has applied all changes up to `epoch`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn upsert_key_watcher(&self, watcher: &str, epoch: i64) -> Result<(), Error> {
        let _timed = StoreOperation::begin("upsert", "key_watchers");
        let text = "INSERT INTO key_watchers (id, epoch) VALUES ($1, $2) \
                    ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch";
        self.write(text, [watcher.into(), epoch.into()]).await
    }

    /// Counts the watchers other than `own` that are not at `epoch` yet.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn count_key_laggards(&self, epoch: i64, own: &str) -> Result<i64, Error> {
        let _timed = StoreOperation::begin("count", "key_watchers");
        let text = "SELECT COUNT(*) FROM key_watchers WHERE epoch < $1 AND id <> $2";
        let query = statement(self.backend(), text, [epoch.into(), own.into()]);
        let count = self.read_short(query, |row| row.get(0)).await?;
        Ok(count.into_iter().next().unwrap_or_default())
    }

    /// Forgets the watchers other than `own` that are not at `epoch`. One that is only slow finds
    /// itself forgotten and begins anew.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn delete_key_laggards(&self, epoch: i64, own: &str) -> Result<(), Error> {
        let _timed = StoreOperation::begin("delete_late", "key_watchers");
        let text = "DELETE FROM key_watchers WHERE epoch < $1 AND id <> $2";
        self.write(text, [epoch.into(), own.into()]).await
    }

    /// Forgets a watcher that accepts no key any more.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn delete_key_watcher(&self, watcher: &str) -> Result<(), Error> {
        let _timed = StoreOperation::begin("delete", "key_watchers");
        self.write("DELETE FROM key_watchers WHERE id = $1", [watcher.into()]).await
    }

    async fn write<const N: usize>(&self, text: &str, values: [Value; N]) -> Result<(), Error> {
        self.execute(statement(self.backend(), text, values)).await.map(|_| ())
    }
}
