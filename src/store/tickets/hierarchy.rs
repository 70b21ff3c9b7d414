//! The tree of tickets: the checks that keep it free of circles and bounded in depth.

use crate::error::Error;
use crate::metrics::StoreOperation;
use crate::store::counters::advance;
use crate::store::sql::statement;
use crate::store::{Begun, Locking, Parents, Tx};

/// The greatest depth of the tree: a ticket that is part of none is at depth 1.
pub const PARENT_DEPTH_MAX: i64 = 5;

/// A counter that counts nothing: its row is the lock that changes of parents take in turn.
const PARENTS: &str = "ticket_parents";

impl Locking<Begun> {
    /// Waits until no other change of this workspace moves a ticket in the tree, and keeps others
    /// from it until this change has ended. A change that moves a ticket needs it for [`Tx::ancestors`]
    /// and [`Tx::subtree_height`]: two moves that do not see each other could close a circle.
    pub async fn lock_parents(self) -> Result<Locking<Parents>, Error> {
        advance(&self.transaction, self.workspace, PARENTS, 0).await?;
        Ok(self.step())
    }

    /// Locks the tree of parents for a change that moves a ticket, and nothing for any other one.
    pub async fn lock_parents_if(self, moves: bool) -> Result<Locking<Parents>, Error> {
        match moves {
            true => self.lock_parents().await,
            false => Ok(self.step()),
        }
    }
}

impl Tx {
    /// The tickets that this one is part of, the nearest first: its parent, the parent's parent,
    /// and so on; at most [`PARENT_DEPTH_MAX`].
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn ancestors(&self, id: i64) -> Result<Vec<i64>, Error> {
        let _timed = StoreOperation::begin("find_ancestors", "tickets");
        let text = "WITH RECURSIVE up (id, depth) AS ( \
                    SELECT t.parent_id, 1 FROM tickets t \
                    WHERE t.workspace_id = $1 AND t.id = $2 AND t.parent_id IS NOT NULL \
                    UNION ALL \
                    SELECT t.parent_id, up.depth + 1 FROM up \
                    JOIN tickets t ON t.workspace_id = $1 AND t.id = up.id \
                    WHERE t.parent_id IS NOT NULL AND up.depth < $3 \
                    ) SELECT id FROM up ORDER BY depth";
        let values = [self.workspace.0.into(), id.into(), PARENT_DEPTH_MAX.into()];
        let query = statement(self.transaction.backend(), text, values);
        self.transaction.read(query, |row| row.get(0)).await
    }

    /// Returns the number of levels of tickets below this one: 0 when none is part of it; at most
    /// [`PARENT_DEPTH_MAX`].
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn subtree_height(&self, id: i64) -> Result<i64, Error> {
        let _timed = StoreOperation::begin("find_height", "tickets");
        let text = "WITH RECURSIVE down (id, depth) AS ( \
                    SELECT CAST($2 AS BIGINT), CAST(0 AS BIGINT) \
                    UNION \
                    SELECT t.id, down.depth + 1 FROM down \
                    JOIN tickets t ON t.workspace_id = $1 AND t.parent_id = down.id \
                    WHERE down.depth < $3 \
                    ) SELECT MAX(depth) FROM down";
        let values = [self.workspace.0.into(), id.into(), PARENT_DEPTH_MAX.into()];
        let query = statement(self.transaction.backend(), text, values);
        let height = self.transaction.read_one(query, |row| row.get(0)).await?;
        Ok(height.unwrap_or_default())
    }
}
