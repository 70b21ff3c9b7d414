//! The lifecycle of keys: made, changed, rotated and revoked, each within a change of their
//! workspace. Each of these raises the key epoch: a new key is accepted everywhere once every
//! process knows of it.
//!
//! Whoever makes a key holds the lock of the workspace's key numbers from [`Tx::lock_keys`] on, so
//! what it counts is still so when it commits.

use sea_orm::sea_query::{Expr, ExprTrait, LockType, SimpleExpr};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Set, UpdateMany,
};

use super::{KeyChange, KeyRecord, KeyStatus, MadeBy, NewKey, from_row, made_by_number, to_row};
use crate::clock::Timestamp;
use crate::error::{Error, Kind};
use crate::metrics::StoreOperation;
use crate::preconditions::Precondition;
use crate::resource::Resource;
use crate::store::counters::advance;
use crate::store::entity::api_key;
use crate::store::failure::{failed, is_taken};
use crate::store::sql::statement;
use crate::store::workspaces::{Workspace, from_row as workspace_from_row};
use crate::store::{Begun, Locking, Tx, key_lookup, to_json};

/// The changes of a key while it lives; a field that is none stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyChanges {
    pub name: Option<String>,
    pub description: Option<Option<String>>,
    /// The native scopes that it keeps, and the names that were asked for.
    pub scopes: Option<(Vec<String>, Vec<String>)>,
    pub expires_at: Option<Option<Timestamp>>,
    pub per_minute: Option<i32>,
    pub group_per_minute: Option<i32>,
}

/// The condition that a key has this status at `now`.
pub(super) fn has_status(status: KeyStatus, now: Timestamp) -> SimpleExpr {
    use api_key::Column::{ExpiresAt, RevokedAt};
    match status {
        KeyStatus::Revoked => RevokedAt.is_not_null(),
        KeyStatus::Expired => RevokedAt.is_null().and(ExpiresAt.lte(now.0)),
        KeyStatus::Active => RevokedAt.is_null().and(ExpiresAt.is_null().or(ExpiresAt.gt(now.0))),
    }
}

/// The counter that numbers keys, and the lock under which they are made.
const COUNTER: &str = "api_keys";

impl Locking<Begun> {
    /// Finds and locks the key with this id: nobody else can change it until this change has ended. It is
    /// refused where there is none, and at another version than the change is meant for.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_key_for_update(
        self,
        key_id: &str,
        meant_for: &Precondition,
    ) -> Result<(KeyRecord, Tx), Error> {
        let _timed = StoreOperation::begin("find_for_update", "api_keys");
        let lock = api_key::Entity::find()
            .select_only()
            .column(api_key::Column::Number)
            .filter(api_key::Column::KeyId.eq(key_id))
            .filter(api_key::Column::WorkspaceId.eq(self.workspace.0))
            .lock(LockType::NoKeyUpdate)
            .build(self.transaction.backend());
        let missing = || Resource::ApiKey.not_found();
        self.transaction.read_one(lock, |row| row.get::<i64>(0)).await?.ok_or_else(missing)?;
        let found = self.find_key(key_id).await?.ok_or_else(missing)?;
        meant_for.hold(found.version)?;
        Ok((found, self.done()))
    }
}

impl Tx {
    /// Takes the lock under which keys are made, and returns the workspace with its settings.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn lock_keys(&mut self) -> Result<Workspace, Error> {
        let _timed = StoreOperation::begin("lock", "api_keys");
        advance(&self.transaction, self.workspace, COUNTER, 0).await?;
        self.find_workspace().await
    }

    /// Returns true if the workspace has ever had a key; it stays so under [`Tx::lock_keys`].
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn has_keys(&self) -> Result<bool, Error> {
        let _timed = StoreOperation::begin("find_any", "api_keys");
        let text = "SELECT key_id FROM api_keys WHERE workspace_id = $1 LIMIT 1";
        let query = statement(self.transaction.backend(), text, [self.workspace.0.into()]);
        Ok(self.transaction.read_one(query, |row| row.get::<String>(0)).await?.is_some())
    }

    /// Counts the keys that count against the cap: those that are accepted and have no successor.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn count_active_keys(&self) -> Result<i64, Error> {
        let _timed = StoreOperation::begin("count", "api_keys");
        let query = api_key::Entity::find()
            .filter(api_key::Column::WorkspaceId.eq(self.workspace.0))
            .filter(api_key::Column::RotatedTo.is_null())
            .filter(has_status(KeyStatus::Active, self.now));
        let count = query.select_only().column_as(api_key::Column::KeyId.count(), "count");
        let count = count.build(self.transaction.backend());
        Ok(self.transaction.read_one(count, |row| row.get(0)).await?.unwrap_or_default())
    }

    /// Lists the times at which callers of the API made the `limit` newest keys since `since`, the
    /// newest first.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list_key_creations(
        &self,
        since: Timestamp,
        limit: u64,
    ) -> Result<Vec<Timestamp>, Error> {
        let _timed = StoreOperation::begin("list_creations", "api_keys");
        let query = api_key::Entity::find()
            .filter(api_key::Column::WorkspaceId.eq(self.workspace.0))
            .filter(api_key::Column::MadeBy.eq(made_by_number(MadeBy::Caller)))
            .filter(api_key::Column::CreatedAt.gt(since.0))
            .order_by_desc(api_key::Column::CreatedAt)
            .limit(limit)
            .select_only()
            .column(api_key::Column::CreatedAt)
            .build(self.transaction.backend());
        self.transaction.read(query, |row| row.get(0).map(Timestamp)).await
    }

    /// Stores a key. A key id that is taken, in whatever workspace, is ALREADY_EXISTS: make another.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn insert_key(&mut self, new: NewKey) -> Result<(), Error> {
        let _timed = StoreOperation::begin("insert", "api_keys");
        let number = advance(&self.transaction, self.workspace, COUNTER, 1).await?;
        let key_id = new.key_id.clone();
        let row = to_row(self.workspace, self.now, number, new);
        let insert = api_key::Entity::insert(row).build(self.transaction.backend());
        match self.transaction.execute(insert).await {
            Ok(_) => {
                self.note_change(key_id);
                Ok(())
            }
            Err(error) if is_taken(&error, &["key_id", "api_keys_pkey"]) => {
                Err(Error::new(Kind::AlreadyExists, "A key with this id exists already."))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Finds the key with this id as this change has left it.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_key(&self, key_id: &str) -> Result<Option<KeyRecord>, Error> {
        let _timed = StoreOperation::begin("find", "api_keys");
        let text = format!(
            "SELECT {} FROM api_keys k JOIN workspaces w ON w.id = k.workspace_id \
             WHERE k.key_id = $1 AND k.workspace_id = $2",
            key_lookup::COLUMNS
        );
        let values = [key_id.into(), self.workspace.0.into()];
        let query = statement(self.transaction.backend(), text, values);
        let found = self.transaction.read_one(query, key_lookup::decode).await?;
        found.map(|(key, workspace)| from_row(key, workspace_from_row(workspace))).transpose()
    }

    /// Changes a key as it was found; it holds from the next request on. What is so already is no
    /// change.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn update_key(
        &mut self,
        before: &KeyRecord,
        changes: &KeyChanges,
    ) -> Result<(), Error> {
        let _timed = StoreOperation::begin("update", "api_keys");
        let mut row = <api_key::ActiveModel as Default>::default();
        if let Some(name) = changes.name.as_ref().filter(|name| **name != before.name) {
            row.name = Set(name.clone());
        }
        let description = changes.description.as_ref();
        if let Some(description) = description.filter(|text| **text != before.description) {
            row.description = Set(description.clone());
        }
        let was = (&before.scopes, &before.requested_scopes);
        let scopes = changes.scopes.as_ref();
        if let Some((scopes, requested)) = scopes.filter(|(a, b)| (a, b) != was) {
            row.scopes = Set(to_json(scopes));
            row.requested_scopes = Set(to_json(requested));
        }
        if let Some(expires_at) = changes.expires_at.filter(|at| *at != before.expires_at) {
            row.expires_at = Set(expires_at.map(|at| at.0));
        }
        if let Some(limit) = changes.per_minute.filter(|limit| *limit != before.per_minute) {
            row.per_minute = Set(limit);
        }
        let of_group = changes.group_per_minute;
        if let Some(limit) = of_group.filter(|limit| *limit != before.group_per_minute) {
            row.group_per_minute = Set(limit);
        }
        if !row.is_changed() {
            return Ok(());
        }
        self.write_key(&before.key_id, row).await
    }

    /// Revokes a key that exists.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn revoke_key(&mut self, key_id: &str) -> Result<(), Error> {
        let _timed = StoreOperation::begin("revoke", "api_keys");
        let row = api_key::ActiveModel { revoked_at: Set(Some(self.now.0)), ..Default::default() };
        self.write_key(key_id, row).await
    }

    /// Makes `successor`, which was just stored, the successor of `old`: it takes over the line. The
    /// old key expires at `old_expiry`, and those before it in the line at once.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn rotate_key(
        &mut self,
        old: &KeyRecord,
        successor: &str,
        old_expiry: Timestamp,
    ) -> Result<(), Error> {
        let _timed = StoreOperation::begin("rotate", "api_keys");
        // What it is made with is no change of it.
        let row = api_key::ActiveModel {
            lineage: Set(old.lineage.clone()),
            rotated_from: Set(Some(old.key_id.clone())),
            ..Default::default()
        };
        self.write(api_key::Entity::update_many().set(row), successor).await?;
        for key_id in self.keys_in_grace(&old.lineage).await? {
            let expires_at = Set(Some(self.now.0));
            let row = api_key::ActiveModel { expires_at, ..Default::default() };
            self.write_key(&key_id, row).await?;
        }
        let row = api_key::ActiveModel {
            rotated_to: Set(Some(successor.to_owned())),
            expires_at: Set(Some(old_expiry.0)),
            ..Default::default()
        };
        self.write_key(&old.key_id, row).await
    }

    /// The keys of a line that have a successor and are still accepted.
    async fn keys_in_grace(&self, lineage: &str) -> Result<Vec<String>, Error> {
        let query = api_key::Entity::find()
            .filter(api_key::Column::WorkspaceId.eq(self.workspace.0))
            .filter(api_key::Column::Lineage.eq(lineage))
            .filter(api_key::Column::RotatedTo.is_not_null())
            .filter(has_status(KeyStatus::Active, self.now))
            .select_only()
            .column(api_key::Column::KeyId)
            .build(self.transaction.backend());
        self.transaction.read(query, |row| row.get(0)).await
    }

    /// Writes what has changed of a key, with its next version.
    async fn write_key(&mut self, key_id: &str, row: api_key::ActiveModel) -> Result<(), Error> {
        let row = api_key::ActiveModel { updated_at: Set(self.now.0), ..row };
        let next = Expr::col(api_key::Column::Version).add(1);
        let update = api_key::Entity::update_many().set(row);
        self.write(update.col_expr(api_key::Column::Version, next), key_id).await
    }

    async fn write(
        &mut self,
        update: UpdateMany<api_key::Entity>,
        key_id: &str,
    ) -> Result<(), Error> {
        let update = update
            .filter(api_key::Column::KeyId.eq(key_id))
            .filter(api_key::Column::WorkspaceId.eq(self.workspace.0))
            .build(self.transaction.backend());
        self.transaction.execute(update).await.map_err(failed)?;
        self.note_change(key_id.to_owned());
        Ok(())
    }

    /// Notes that every process that accepts keys must learn of the key.
    fn note_change(&mut self, key_id: String) {
        self.key_changes.push(KeyChange { workspace: self.workspace, key_id: Some(key_id) });
    }
}
