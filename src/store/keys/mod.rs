//! API keys as they are stored: never the key itself, only its hash and its rights.
//!
//! Whether a key may be made or changed is the service's business; here is kept that a change of a
//! key raises the key epoch, by which every process that accepts keys learns of it.

pub(super) mod epoch;
mod lifecycle;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Set};

use super::entity::{api_key, workspace};
use super::failure::failed;
use super::pages::{CursorKey, NewestFirst, Page, PageRequest, Total};
use super::sql::statement;
use super::workspaces::{SYSTEM_USER_ID, Workspace, from_row as workspace_from_row};
use super::{Reader, Store, WorkspaceId, from_json, to_json, unknown_number};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::metrics::StoreOperation;

pub use epoch::KeyChange;
pub(super) use epoch::raise_key_epoch;
pub use lifecycle::KeyChanges;

/// The most hashes that are read at once.
const KEY_HASHES_PER_READ: usize = 1000;

/// The maker of a key, as far as it matters to the hourly limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MadeBy {
    /// A caller of the API: it counts as an hourly creation.
    Caller,
    /// The operator.
    Operator,
    /// The rotation of another key.
    Rotation,
}

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The 8 characters after `orq_`.
    pub key_id: String,
    /// The SHA-256 of the whole key.
    pub key_hash: [u8; 32],
    /// The name of the key.
    pub name: String,
    /// The purpose of the key.
    pub description: Option<String>,
    /// The native scopes that it has.
    pub scopes: Vec<String>,
    /// The names of scopes that were asked for.
    pub requested_scopes: Vec<String>,
    /// The requests a minute over all; 0 means unlimited.
    pub per_minute: i32,
    /// The requests a minute in each endpoint group; 0 means unlimited.
    pub group_per_minute: i32,
    /// The time of its expiry, if it expires.
    pub expires_at: Option<Timestamp>,
    /// The time of its revocation, if it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The user who made it; none when an operator did.
    pub created_by: Option<i64>,
    /// The last four characters of the key.
    pub last_four: String,
    /// The id of the first key of its line of rotations; its own where there was none.
    pub lineage: String,
    /// The key that it was made from by rotation.
    pub rotated_from: Option<String>,
    /// The key that was made from it by rotation.
    pub rotated_to: Option<String>,
    /// The maker of the key.
    pub made_by: MadeBy,
    /// The version: 1 when it was made, one more with every change.
    pub version: i64,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The workspace that it belongs to.
    pub workspace: Workspace,
    /// The user to whom the key's actions are attributed.
    pub system_user_id: i64,
}

/// A key to be stored.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The 8 characters after `orq_`.
    pub key_id: String,
    /// The SHA-256 of the whole key.
    pub key_hash: [u8; 32],
    /// The name of the key.
    pub name: String,
    /// The purpose of the key.
    pub description: Option<String>,
    /// The native scopes that it has.
    pub scopes: Vec<String>,
    /// The names of scopes that were asked for.
    pub requested_scopes: Vec<String>,
    /// The requests a minute over all; 0 means unlimited.
    pub per_minute: i32,
    /// The requests a minute in each endpoint group; 0 means unlimited.
    pub group_per_minute: i32,
    /// The time of its expiry, if it expires.
    pub expires_at: Option<Timestamp>,
    /// The user who makes it; none when an operator does.
    pub created_by: Option<i64>,
    /// The last four characters of the key.
    pub last_four: String,
    /// The maker of the key.
    pub made_by: MadeBy,
}

/// The status of a key, as lists filter by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStatus {
    /// The key is accepted.
    Active,
    /// The key is past its expiry.
    Expired,
    /// The key was revoked, whenever it would have expired.
    Revoked,
}

impl KeyRecord {
    /// Returns the status of the key at `now`: accepted, or the reason why not.
    pub fn status(&self, now: Timestamp) -> KeyStatus {
        if self.revoked_at.is_some() {
            KeyStatus::Revoked
        } else if self.expires_at.is_some_and(|expiry| expiry <= now) {
            KeyStatus::Expired
        } else {
            KeyStatus::Active
        }
    }
}

impl Store {
    /// The key with this id, in whatever workspace, revoked and expired ones too. This is the one
    /// query that looks into every workspace: the key that it finds is what makes a caller, and
    /// everything else that the caller does is within the key's workspace. It takes the same time
    /// whether there is such a key or not.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_key(&self, key_id: &str) -> Result<Option<KeyRecord>, Error> {
        let _timed = StoreOperation::begin("find", "api_keys");
        let Some((key, workspace)) = self.find_key_or_next(key_id).await? else { return Ok(None) };
        let is_it = key.key_id == key_id;
        // Before it is looked at which one it is: an unknown key costs what a known one does.
        let record = from_row(key, workspace_from_row(workspace));
        if is_it { record.map(Some) } else { Ok(None) }
    }
}

impl Store {
    /// The hashes of the keys that are not revoked, in all workspaces; of at most `limit` of them.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list_key_hashes(&self, limit: usize) -> Result<Vec<[u8; 32]>, Error> {
        let _timed = StoreOperation::begin("list_hashes", "api_keys");
        const TEXT: &str = "SELECT key_id, key_hash FROM api_keys \
                            WHERE key_id > $1 AND revoked_at IS NULL ORDER BY key_id LIMIT $2";
        let (mut hashes, mut after) = (Vec::new(), String::new());
        while hashes.len() < limit {
            let rows = (limit - hashes.len()).min(KEY_HASHES_PER_READ);
            let values = [after.as_str().into(), (rows as i64).into()];
            let query = statement(self.backend(), TEXT, values);
            let read = self.read_short(query, |row| Ok((row.get(0)?, row.get::<Vec<u8>>(1)?)));
            let read: Vec<(String, _)> = read.await?;
            let is_last = read.len() < rows;
            for (key_id, hash) in read {
                let length =
                    |_| Error::internal(format!("key {key_id} has a hash of another length"));
                hashes.push(<[u8; 32]>::try_from(hash).map_err(length)?);
                after = key_id;
            }
            if is_last {
                break;
            }
        }
        Ok(hashes)
    }
}

impl Reader<'_> {
    /// The key with this id.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_key(&self, key_id: &str) -> Result<Option<KeyRecord>, Error> {
        let _timed = StoreOperation::begin("find", "api_keys");
        let query = api_key::Entity::find_by_id(key_id)
            .filter(api_key::Column::WorkspaceId.eq(self.workspace.0))
            .find_also_related(workspace::Entity);
        match query.one(self.connection).await.map_err(failed)? {
            Some((key, Some(workspace))) => from_row(key, workspace_from_row(workspace)).map(Some),
            _ => Ok(None),
        }
    }

    /// Lists the keys of the workspace that have one of `statuses` at `now`, or all when there is
    /// none; the newest first.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list_keys(
        &self,
        statuses: &[KeyStatus],
        now: Timestamp,
        page: &PageRequest,
    ) -> Result<Page<KeyRecord>, Error> {
        let _timed = StoreOperation::begin("list", "api_keys");
        let Some(workspace) = self.find_workspace().await? else {
            return Ok(Page {
                rows: Vec::new(),
                total_count: page.position.is_counted().then_some(0),
                total_is_bound: false,
                next: None,
            });
        };
        let list = self.key_list(statuses, now);
        let found = list.read(self.connection, |row| CursorKey::numbered(row.number), page).await;
        found.map_err(failed)?.try_map(|row| from_row(row, workspace.clone()))
    }

    /// The query plans of the statements that [`Reader::list_keys`] would run, a line each.
    #[doc(hidden)]
    pub async fn explain_keys(
        &self,
        statuses: &[KeyStatus],
        now: Timestamp,
        page: &PageRequest,
    ) -> Result<Vec<String>, Error> {
        self.explain_all(self.key_list(statuses, now).statements(self.backend(), page)).await
    }

    fn key_list(&self, statuses: &[KeyStatus], now: Timestamp) -> NewestFirst<api_key::Entity> {
        use api_key::Column;
        let mut select = api_key::Entity::find().filter(Column::WorkspaceId.eq(self.workspace.0));
        let mut total = Total::Highest;
        if !statuses.is_empty() {
            let any = statuses.iter().fold(sea_orm::Condition::any(), |any, status| {
                any.add(lifecycle::has_status(*status, now))
            });
            select = select.filter(any);
            total = Total::Counted;
        }
        NewestFirst { select, time: None, number: Column::Number, total }
    }
}

fn to_row(
    workspace: WorkspaceId,
    now: Timestamp,
    number: i64,
    new: NewKey,
) -> api_key::ActiveModel {
    api_key::ActiveModel {
        lineage: Set(new.key_id.clone()),
        key_id: Set(new.key_id),
        workspace_id: Set(workspace.0),
        key_hash: Set(new.key_hash.to_vec()),
        name: Set(new.name),
        description: Set(new.description),
        scopes: Set(to_json(&new.scopes)),
        requested_scopes: Set(to_json(&new.requested_scopes)),
        per_minute: Set(new.per_minute),
        group_per_minute: Set(new.group_per_minute),
        expires_at: Set(new.expires_at.map(|at| at.0)),
        revoked_at: Set(None),
        created_at: Set(now.0),
        created_by: Set(new.created_by),
        last_four: Set(new.last_four),
        number: Set(number),
        rotated_from: Set(None),
        rotated_to: Set(None),
        made_by: Set(made_by_number(new.made_by)),
        version: Set(1),
        updated_at: Set(now.0),
    }
}

fn from_row(row: api_key::Model, workspace: Workspace) -> Result<KeyRecord, Error> {
    let Ok(key_hash) = <[u8; 32]>::try_from(row.key_hash) else {
        return Err(Error::internal(format!("key {} has a hash of another length", row.key_id)));
    };
    Ok(KeyRecord {
        key_id: row.key_id,
        key_hash,
        name: row.name,
        description: row.description,
        scopes: from_json(&row.scopes)?,
        requested_scopes: from_json(&row.requested_scopes)?,
        per_minute: row.per_minute,
        group_per_minute: row.group_per_minute,
        expires_at: row.expires_at.map(Timestamp),
        revoked_at: row.revoked_at.map(Timestamp),
        created_at: Timestamp(row.created_at),
        created_by: row.created_by,
        last_four: row.last_four,
        lineage: row.lineage,
        rotated_from: row.rotated_from,
        rotated_to: row.rotated_to,
        made_by: made_by(row.made_by)?,
        version: row.version,
        // A process of the version before wrote none.
        updated_at: Timestamp(row.updated_at.max(row.created_at)),
        workspace,
        system_user_id: SYSTEM_USER_ID,
    })
}

fn made_by_number(made_by: MadeBy) -> i16 {
    match made_by {
        MadeBy::Caller => 1,
        MadeBy::Operator => 2,
        MadeBy::Rotation => 3,
    }
}

fn made_by(number: i16) -> Result<MadeBy, Error> {
    match number {
        1 => Ok(MadeBy::Caller),
        2 => Ok(MadeBy::Operator),
        3 => Ok(MadeBy::Rotation),
        _ => Err(unknown_number("api_keys.made_by", number)),
    }
}
