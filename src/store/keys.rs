//! API keys: their hash and what they may do. The key itself is never here, nor is the decision
//! whether one is accepted.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, Set};

use super::counters::{Counter, advance};
use super::entity::api_key;
use super::failure::{failed, is_taken};
use super::workspaces::{SYSTEM_USER_ID, Workspace, from_row as workspace_from_row};
use super::{Reader, Store, Tx, WorkspaceId, from_json, to_json};
use crate::clock::Timestamp;
use crate::error::{Error, Kind};

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The 8 characters after `orq_`.
    pub key_id: String,
    /// SHA-256 of the whole key.
    pub key_hash: [u8; 32],
    /// What the key is called.
    pub name: String,
    /// What the key is for.
    pub description: Option<String>,
    /// The native scopes that it has.
    pub scopes: Vec<String>,
    /// The names of scopes that were asked for.
    pub requested_scopes: Vec<String>,
    /// Requests a minute over all; 0 means unlimited.
    pub per_minute: i32,
    /// Requests a minute in each endpoint group; 0 means unlimited.
    pub group_per_minute: i32,
    /// When it stops being accepted, if ever.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The user who made it; none when an operator did.
    pub created_by: Option<i64>,
    /// The last four characters of the key.
    pub last_four: String,
    /// The workspace that it belongs to.
    pub workspace: Workspace,
    /// The user to whom is attributed what the key does.
    pub system_user_id: i64,
}

/// A key to be stored.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The 8 characters after `orq_`.
    pub key_id: String,
    /// SHA-256 of the whole key.
    pub key_hash: [u8; 32],
    /// What the key is called.
    pub name: String,
    /// What the key is for.
    pub description: Option<String>,
    /// The native scopes that it has.
    pub scopes: Vec<String>,
    /// The names of scopes that were asked for.
    pub requested_scopes: Vec<String>,
    /// Requests a minute over all; 0 means unlimited.
    pub per_minute: i32,
    /// Requests a minute in each endpoint group; 0 means unlimited.
    pub group_per_minute: i32,
    /// When it stops being accepted, if ever.
    pub expires_at: Option<Timestamp>,
    /// The user who makes it; none when an operator does.
    pub created_by: Option<i64>,
    /// The last four characters of the key.
    pub last_four: String,
}

impl Store {
    /// The key with this id, in whatever workspace, revoked and expired ones too. This is the one
    /// query that looks into every workspace: the key that it finds is what makes a caller, and
    /// everything else that the caller does is within the key's workspace. It takes the same time
    /// whether there is such a key or not.
    pub async fn find_key(&self, key_id: &str) -> Result<Option<KeyRecord>, Error> {
        let Some((key, workspace)) = self.find_key_or_next(key_id).await? else { return Ok(None) };
        let is_it = key.key_id == key_id;
        // Before it is looked at which one it is: an unknown key costs what a known one does.
        let record = from_row(key, workspace_from_row(workspace));
        if is_it { record.map(Some) } else { Ok(None) }
    }
}

impl Reader<'_> {
    /// The keys of the workspace, the oldest first, revoked and expired ones too.
    pub async fn list_keys(&self) -> Result<Vec<KeyRecord>, Error> {
        let Some(workspace) = self.find_workspace().await? else { return Ok(Vec::new()) };
        let query = api_key::Entity::find()
            .filter(api_key::Column::WorkspaceId.eq(self.workspace.0))
            .order_by_asc(api_key::Column::CreatedAt)
            .order_by_asc(api_key::Column::KeyId);
        let rows = query.all(self.connection).await.map_err(failed)?;
        rows.into_iter().map(|row| from_row(row, workspace.clone())).collect()
    }
}

impl Tx {
    /// Stores a key. A key id that is taken, in whatever workspace, is ALREADY_EXISTS: make another.
    pub async fn insert_key(&self, new: NewKey) -> Result<(), Error> {
        let number = advance(&self.transaction, self.workspace, Counter::ApiKeys, 1).await;
        let mut row = to_row(self.workspace, self.now, new);
        row.number = Set(number.map_err(failed)?);
        match api_key::Entity::insert(row).exec_without_returning(&self.transaction).await {
            Ok(_) => Ok(()),
            Err(error) if is_taken(&error, &["key_id", "api_keys_pkey"]) => {
                Err(Error::new(Kind::AlreadyExists, "A key with this id exists already."))
            }
            Err(error) => Err(failed(error)),
        }
    }
}

fn to_row(workspace: WorkspaceId, now: Timestamp, new: NewKey) -> api_key::ActiveModel {
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
        ..Default::default()
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
        workspace,
        system_user_id: SYSTEM_USER_ID,
    })
}
