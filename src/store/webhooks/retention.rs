//! Retention of the log: deletes old events, deliveries and attempts, and the rest of endpoints
//! that were deleted, a little at a time.

use super::super::log::EXPIRED;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::store::failure::failed;
use crate::store::row::Row;
use crate::store::sql::{Parameters, statement};
use crate::store::transaction::Transaction;
use crate::store::{Store, WorkspaceId};

impl Store {
    /// Deletes events of a workspace from before `before`, and deliveries that were made before it,
    /// at most `most` of each; and the rest of deleted endpoints. Returns how many rows that were.
    /// An event that is still to be delivered stays until it is, but nobody reads it any more.
    pub async fn delete_old_events(
        &self,
        workspace: WorkspaceId,
        before: Timestamp,
        most: u64,
    ) -> Result<u64, Error> {
        let reader = self.reader(workspace);
        let ends = reader.log_ends().await?;
        let expired = reader.first_at(before, ends.expired, ends.last).await? - 1;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let transaction = self.writer.begin().await.map_err(failed)?;
        if expired > ends.expired {
            let text = "INSERT INTO counters (workspace_id, name, value) VALUES ($1, $2, $3) \
                        ON CONFLICT (workspace_id, name) DO UPDATE SET value = \
                        CASE WHEN excluded.value > counters.value THEN excluded.value \
                        ELSE counters.value END";
            let values = [workspace.0.into(), EXPIRED.into(), expired.into()];
            let set = statement(self.backend(), text, values);
            transaction.execute(set).await.map_err(failed)?;
        }
        let text = "DELETE FROM events WHERE workspace_id = $1 AND sequence IN ( \
              SELECT sequence FROM events WHERE workspace_id = $1 AND sequence <= $2 \
              AND sequence NOT IN (SELECT sequence FROM deliveries \
                WHERE workspace_id = $1 AND due_at IS NOT NULL AND sequence <= $2) \
              ORDER BY sequence LIMIT $3)";
        let values = [workspace.0.into(), expired.into(), most.into()];
        let events = transaction.execute(statement(self.backend(), text, values)).await;
        let mut deleted = events.map_err(failed)?;
        // Ids follow the time: only the oldest have to be looked at.
        // Those of e-mails have ids below zero.
        for oldest in ["id > 0 ORDER BY id", "id < 0 ORDER BY id DESC"] {
            let text = format!(
                "SELECT id FROM (SELECT id, created_at, due_at FROM deliveries \
                 WHERE workspace_id = $1 AND {oldest} LIMIT $3) AS oldest \
                 WHERE created_at < $2 AND due_at IS NULL"
            );
            let values = [workspace.0.into(), before.0.into(), most.into()];
            let old = transaction.read(statement(self.backend(), text, values), id).await?;
            deleted += delete_deliveries(&transaction, workspace, &old).await?;
        }
        let text = "SELECT endpoint_id FROM deleted_webhooks WHERE workspace_id = $1 LIMIT 1";
        let grave = statement(self.backend(), text, [workspace.0.into()]);
        if let Some(endpoint) = transaction.read_one(grave, id).await? {
            let text = "SELECT id FROM deliveries WHERE workspace_id = $1 AND endpoint_id = $2 \
                        ORDER BY id LIMIT $3";
            let values = [workspace.0.into(), endpoint.into(), most.into()];
            let left = transaction.read(statement(self.backend(), text, values), id).await?;
            deleted += delete_deliveries(&transaction, workspace, &left).await?;
            if left.is_empty() {
                let text =
                    "DELETE FROM deleted_webhooks WHERE workspace_id = $1 AND endpoint_id = $2";
                let values = [workspace.0.into(), endpoint.into()];
                let done = transaction.execute(statement(self.backend(), text, values)).await;
                deleted += done.map_err(failed)?;
            }
        }
        transaction.commit().await.map_err(failed)?;
        Ok(deleted)
    }
}

fn id(row: &Row<'_>) -> Result<i64, Error> {
    row.get(0)
}

async fn delete_deliveries(
    transaction: &Transaction,
    workspace: WorkspaceId,
    ids: &[i64],
) -> Result<u64, Error> {
    if ids.is_empty() {
        return Ok(0);
    }
    let mut deleted = 0;
    for (table, column) in [("attempts", "delivery_id"), ("deliveries", "id")] {
        let mut parameters = Parameters::new(transaction.backend());
        let workspace = parameters.bind(workspace.0);
        let text = format!(
            "DELETE FROM {table} WHERE workspace_id = {workspace} AND {column} {}",
            parameters.bind_in(ids)
        );
        deleted = transaction.execute(parameters.statement(text)).await.map_err(failed)?;
    }
    Ok(deleted)
}
