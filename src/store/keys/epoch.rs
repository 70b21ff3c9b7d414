//! By which a process that accepts keys learns of the changes that any process makes to them.
//!
//! Every change raises the key epoch, in its own transaction and under the lock of the epoch's one
//! row, and notes what changed. Whoever accepts keys from memory is a watcher: it reads the epoch
//! several times a second, applies what it has missed, and notes how far it is. Who has changed a
//! key waits until each watcher is that far, or has certainly stopped to trust its memory.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DbErr};

use crate::config::KEY_CHANGES_KEPT;
use crate::error::Error;
use crate::store::failure::failed;
use crate::store::sql::statement;
use crate::store::{Store, WorkspaceId};

/// Something that a cached caller holds and that is no longer so.
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
    connection: &impl ConnectionTrait,
    changes: Vec<KeyChange>,
) -> Result<(), DbErr> {
    let changes: BTreeSet<_> = changes.into_iter().collect();
    if changes.is_empty() {
        return Ok(());
    }
    let amount = i64::try_from(changes.len()).expect("a change touches fewer than 2^63 keys");
    let text = "UPDATE key_epoch SET epoch = epoch + $1 WHERE id = 1 RETURNING epoch";
    let row = connection.query_one_raw(statement(connection, text, [amount.into()])).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound("the key epoch".to_owned()))?;
    let epoch: i64 = row.try_get_by_index(0)?;
    for (change, epoch) in changes.into_iter().zip(epoch - amount + 1..) {
        let text = "INSERT INTO key_changes (epoch, workspace_id, key_id) VALUES ($1, $2, $3)";
        let values = [epoch.into(), change.workspace.0.into(), change.key_id.into()];
        connection.execute_raw(statement(connection, text, values)).await?;
    }
    let text = "DELETE FROM key_changes WHERE epoch <= $1";
    let kept = [(epoch - KEY_CHANGES_KEPT).into()];
    connection.execute_raw(statement(connection, text, kept)).await?;
    Ok(())
}

impl Store {
    /// The epoch, and whether `watcher` is known as a watcher. They are of one moment.
    pub async fn read_key_epoch(&self, watcher: &str) -> Result<(i64, bool), Error> {
        let text = "SELECT epoch, (SELECT COUNT(*) FROM key_watchers w WHERE w.id = $1) \
                    FROM key_epoch WHERE id = 1";
        let query = statement(&self.reads, text, [watcher.into()]);
        let row = self.reads.query_one_raw(query).await.map_err(failed)?;
        let row = row.ok_or_else(|| Error::internal("there is no key epoch"))?;
        let count: i64 = row.try_get_by_index(1).map_err(failed)?;
        Ok((row.try_get_by_index(0).map_err(failed)?, count > 0))
    }

    /// What changed after the epoch `after`, up to and with `until`; none when that is not known any
    /// more.
    pub async fn list_key_changes(
        &self,
        after: i64,
        until: i64,
    ) -> Result<Option<Vec<KeyChange>>, Error> {
        if until - after > KEY_CHANGES_KEPT {
            return Ok(None);
        }
        let text = "SELECT workspace_id, key_id FROM key_changes WHERE epoch > $1 AND epoch <= $2";
        let query = statement(&self.reads, text, [after.into(), until.into()]);
        let rows = self.reads.query_all_raw(query).await.map_err(failed)?;
        if rows.len() as i64 != until - after {
            return Ok(None);
        }
        let changes = rows.iter().map(|row| {
            let workspace = WorkspaceId(row.try_get_by_index(0).map_err(failed)?);
            Ok(KeyChange { workspace, key_id: row.try_get_by_index(1).map_err(failed)? })
        });
        changes.collect::<Result<_, _>>().map(Some)
    }

    /// Notes that `watcher` has applied all changes up to `epoch`.
    pub async fn upsert_key_watcher(&self, watcher: &str, epoch: i64) -> Result<(), Error> {
        let text = "INSERT INTO key_watchers (id, epoch) VALUES ($1, $2) \
                    ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch";
        self.execute(text, [watcher.into(), epoch.into()]).await
    }

    /// How many watchers other than `own` are not at `epoch` yet.
    pub async fn count_key_laggards(&self, epoch: i64, own: &str) -> Result<i64, Error> {
        let text = "SELECT COUNT(*) FROM key_watchers WHERE epoch < $1 AND id <> $2";
        let query = statement(&self.reads, text, [epoch.into(), own.into()]);
        let row = self.reads.query_one_raw(query).await.map_err(failed)?;
        row.map_or(Ok(0), |row| row.try_get_by_index(0).map_err(failed))
    }

    /// Forgets the watchers other than `own` that are not at `epoch`. One that is only slow finds
    /// itself forgotten and begins anew.
    pub async fn delete_key_laggards(&self, epoch: i64, own: &str) -> Result<(), Error> {
        let text = "DELETE FROM key_watchers WHERE epoch < $1 AND id <> $2";
        self.execute(text, [epoch.into(), own.into()]).await
    }

    /// Forgets a watcher that accepts no key any more.
    pub async fn delete_key_watcher(&self, watcher: &str) -> Result<(), Error> {
        self.execute("DELETE FROM key_watchers WHERE id = $1", [watcher.into()]).await
    }

    async fn execute<const N: usize>(
        &self,
        text: &str,
        values: [sea_orm::Value; N],
    ) -> Result<(), Error> {
        let statement = statement(&self.writes, text, values);
        self.writes.execute_raw(statement).await.map_err(failed)?;
        Ok(())
    }
}
