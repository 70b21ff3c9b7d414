//! The one read that finds a key, whichever workspace it belongs to.
//!
//! It does the same work whether there is such a key or not, so that its time does not tell which
//! ids exist: it always finds a row, that of the key or else of the next one in order, reads all of
//! it with its workspace, and only then sees whether it is the one that was asked for.

use std::sync::LazyLock;

use super::entity::{api_key, workspace};
use super::row::Row;
use super::{Store, sql};
use crate::error::Error;
use crate::metrics::StoreOperation;

/// The columns of a key `k` and of its workspace `w`, in the order that [`decode`] takes them.
pub(super) const COLUMNS: &str = "\
    k.key_id, k.workspace_id, k.key_hash, k.name, k.description, k.scopes, k.requested_scopes, \
    k.per_minute, k.group_per_minute, k.expires_at, k.revoked_at, k.created_at, k.created_by, \
    k.last_four, k.number, k.lineage, k.rotated_from, k.rotated_to, k.made_by, \
    k.version, k.updated_at, w.id, w.public_id, \
    w.slug, w.name, w.created_at, w.max_active_keys, w.key_creations_per_hour, \
    w.can_manage_api_keys, w.updated_at, w.version, w.notify_by_email";

/// The place at which the columns of the workspace begin among them.
const WORKSPACE_FROM: usize = 21;

/// The look-up of a key. Both of the first two parts are evaluated for every key; the last key has
/// no next, its is the first.
static FIND: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {COLUMNS} FROM (SELECT MIN(key_id) AS key_id FROM api_keys) first \
         CROSS JOIN (SELECT MIN(key_id) AS key_id FROM api_keys WHERE key_id >= $1) next \
         JOIN api_keys k ON k.key_id = COALESCE(next.key_id, first.key_id) \
         JOIN workspaces w ON w.id = k.workspace_id"
    )
});

impl Store {
    /// The key with this id, or another one; none only where there is no key at all.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn find_key_or_next(
        &self,
        key_id: &str,
    ) -> Result<Option<(api_key::Model, workspace::Model)>, Error> {
        let _timed = StoreOperation::begin("look_up", "api_keys");
        let statement = sql::statement(self.backend(), FIND.as_str(), [key_id.into()]);
        Ok(self.read_short(statement, decode).await?.into_iter().next())
    }
}

/// The key and its workspace in a row of [`COLUMNS`].
pub(super) fn decode(row: &Row<'_>) -> Result<(api_key::Model, workspace::Model), Error> {
    let key = api_key::Model {
        key_id: row.get(0)?,
        workspace_id: row.get(1)?,
        key_hash: row.get(2)?,
        name: row.get(3)?,
        description: row.get(4)?,
        scopes: row.get(5)?,
        requested_scopes: row.get(6)?,
        per_minute: row.get(7)?,
        group_per_minute: row.get(8)?,
        expires_at: row.get(9)?,
        revoked_at: row.get(10)?,
        created_at: row.get(11)?,
        created_by: row.get(12)?,
        last_four: row.get(13)?,
        number: row.get(14)?,
        lineage: row.get(15)?,
        rotated_from: row.get(16)?,
        rotated_to: row.get(17)?,
        made_by: row.get(18)?,
        version: row.get(19)?,
        updated_at: row.get(20)?,
    };
    Ok((key, decode_workspace(row, WORKSPACE_FROM)?))
}

/// The workspace whose columns, in the order of [`COLUMNS`], begin at `from`.
pub(super) fn decode_workspace(row: &Row<'_>, from: usize) -> Result<workspace::Model, Error> {
    Ok(workspace::Model {
        id: row.get(from)?,
        public_id: row.get(from + 1)?,
        slug: row.get(from + 2)?,
        name: row.get(from + 3)?,
        created_at: row.get(from + 4)?,
        max_active_keys: row.get(from + 5)?,
        key_creations_per_hour: row.get(from + 6)?,
        can_manage_api_keys: row.get(from + 7)?,
        updated_at: row.get(from + 8)?,
        version: row.get(from + 9)?,
        notify_by_email: row.get(from + 10)?,
    })
}
