//! The counters of a workspace: ids of each kind, and the event sequence.
//!
//! A counter has a row from its first use on: a workspace that an older version made has those that
//! a newer one introduced too. The row stays locked until the transaction ends, so numbers have no
//! gap and follow the order of commits; it is therefore taken as late as possible.

use super::WorkspaceId;
use super::sql::statement;
use super::transaction::Transaction;
use crate::error::Error;

/// Adds `amount` to the counter and returns its new value; it begins at 0 with its first use.
/// Others who want it wait until this transaction has ended, also where `amount` is 0.
pub(super) async fn advance(
    transaction: &Transaction,
    workspace: WorkspaceId,
    name: &str,
    amount: i64,
) -> Result<i64, Error> {
    let text = "INSERT INTO counters (workspace_id, name, value) VALUES ($1, $2, $3) \
                ON CONFLICT (workspace_id, name) DO UPDATE SET value = counters.value + excluded.value \
                RETURNING value";
    let values = [workspace.0.into(), name.into(), amount.into()];
    let advance = statement(transaction.backend(), text, values);
    let value = transaction.read_one(advance, |row| row.get(0)).await?;
    value.ok_or_else(|| Error::internal(format!("there is no counter {name}")))
}
