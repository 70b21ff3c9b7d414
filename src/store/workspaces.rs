//! Workspaces, as the operator sees them: the only queries that belong to no workspace, besides
//! the one that finds a key.

use sea_orm::sea_query::LockType;
use sea_orm::{
    ColumnTrait, DbBackend, EntityTrait, NotSet, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Set,
};

use super::entity::workspace;
use super::failure::{failed, is_taken};
use super::key_lookup::decode_workspace;
use super::keys::epoch::KeyChange;
use super::row::Row;
use super::sql::statement;
use super::transaction::Transaction;
use super::users::{Role, User};
use super::{Begun, Locking, Reader, Store, Tx, WorkspaceId};
use crate::clock::Timestamp;
use crate::config::{KEY_CREATIONS_PER_HOUR_DEFAULT, MAX_ACTIVE_KEYS_DEFAULT};
use crate::error::{Error, Kind};
use crate::event::Actor;
use crate::id;
use crate::metrics::StoreOperation;
use crate::preconditions::Precondition;

/// The id of the administrator that every workspace begins with.
pub const ADMIN_USER_ID: i64 = 1;

/// The id of the built-in user to whom is attributed what a key does.
pub const SYSTEM_USER_ID: i64 = 2;

/// The advisory lock under which processes on PostgreSQL make workspaces: any number that nobody
/// else takes.
const WORKSPACES_LOCK: i64 = 0x6f72_7169_745f_7773;

/// A workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// The number inside the database.
    pub id: WorkspaceId,
    /// The id outside, such as `ws_3kTq8ZbN1xYw`.
    pub public_id: String,
    /// The short name, unique.
    pub slug: String,
    /// The full name.
    pub name: String,
    /// The most keys that may be active at a time.
    pub max_active_keys: i32,
    /// The most keys that callers of the API may make within an hour.
    pub key_creations_per_hour: i32,
    /// True if the plan lets keys be managed through the API.
    pub can_manage_api_keys: bool,
    /// True if public comments are told by e-mail.
    pub notify_by_email: bool,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The version: 1 when it was made, one more with every change.
    pub version: i64,
}

/// The changes of a workspace; a field that is none stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkspaceChanges {
    pub name: Option<String>,
    pub max_active_keys: Option<i32>,
    pub key_creations_per_hour: Option<i32>,
    pub can_manage_api_keys: Option<bool>,
    pub notify_by_email: Option<bool>,
}

/// A workspace to be made.
#[derive(Debug, Clone)]
pub struct NewWorkspace {
    /// The short name.
    pub slug: String,
    /// The full name.
    pub name: String,
    /// The address of its administrator; `admin@<slug>.invalid` without one.
    pub admin_email: Option<String>,
}

impl Store {
    /// Makes a workspace with its administrator ([`ADMIN_USER_ID`]) and its SYSTEM user
    /// ([`SYSTEM_USER_ID`]), for the operator; `tell` records its events and audit entries. A slug
    /// that is taken is ALREADY_EXISTS.
    pub async fn insert_workspace(
        &self,
        new: NewWorkspace,
        tell: impl FnOnce(&mut Tx, &Workspace, &[User]),
    ) -> Result<Workspace, Error> {
        let transaction = self.begin_to_make_workspaces().await?;
        let (tx, workspace) = self.make_workspace(transaction, new, tell).await?;
        tx.commit().await?;
        Ok(workspace)
    }

    /// Begins the change that a first start makes, of the workspace with this slug; it is made if the
    /// database has no workspace at all. None if the database has only other workspaces. No other
    /// process makes a workspace until the change ends.
    pub async fn begin_first_start(
        &self,
        new: NewWorkspace,
        tell: impl FnOnce(&mut Tx, &Workspace, &[User]),
    ) -> Result<Option<Tx>, Error> {
        let transaction = self.begin_to_make_workspaces().await?;
        if let Some(found) = find_by_slug(&transaction, &new.slug).await? {
            let operator = Actor::operator().into();
            return Ok(Some(Tx::within(self, transaction, found.id, operator)));
        }
        let others = statement(transaction.backend(), "SELECT id FROM workspaces LIMIT 1", []);
        if transaction.read_one(others, |row| row.get::<i64>(0)).await?.is_some() {
            return Ok(None);
        }
        Ok(Some(self.make_workspace(transaction, new, tell).await?.0))
    }

    /// Begins a transaction that may make a workspace; processes take turns at it. On SQLite every
    /// transaction that writes has the database to itself already.
    async fn begin_to_make_workspaces(&self) -> Result<Transaction, Error> {
        let transaction = self.writer.begin().await.map_err(failed)?;
        if transaction.backend() == DbBackend::Postgres {
            let lock = format!("SELECT pg_advisory_xact_lock({WORKSPACES_LOCK})");
            let lock = statement(transaction.backend(), lock, []);
            transaction.execute(lock).await.map_err(failed)?;
        }
        Ok(transaction)
    }

    async fn make_workspace(
        &self,
        transaction: Transaction,
        new: NewWorkspace,
        tell: impl FnOnce(&mut Tx, &Workspace, &[User]),
    ) -> Result<(Tx, Workspace), Error> {
        let workspace = insert_row(&transaction, &new, self.clock.now()).await?;
        let mut tx = Tx::within(self, transaction, workspace.id, Actor::operator().into());
        // `.invalid` never resolves: no mail can go astray to a domain of somebody else.
        let admin_email =
            new.admin_email.unwrap_or_else(|| format!("admin@{}.invalid", workspace.slug));
        let now = tx.now();
        let admin = User::new("Administrator", &admin_email, Role::Admin, now);
        let admin = tx.insert(admin).await?;
        let system_email = format!("system@{}.orqit.invalid", workspace.slug);
        let system = tx.insert(User::new("Orqit", &system_email, Role::System, now)).await?;
        tell(&mut tx, &workspace, &[admin, system]);
        Ok((tx, workspace))
    }

    /// The workspace with this slug.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_workspace_by_slug(&self, slug: &str) -> Result<Option<Workspace>, Error> {
        let _timed = StoreOperation::begin("find_by_slug", "workspaces");
        let query = workspace::Entity::find().filter(workspace::Column::Slug.eq(slug));
        Ok(query.one(&self.reads).await.map_err(failed)?.map(from_row))
    }

    /// Lists all workspaces, the oldest first.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list_workspaces(&self) -> Result<Vec<Workspace>, Error> {
        let _timed = StoreOperation::begin("list", "workspaces");
        let query = workspace::Entity::find().order_by_asc(workspace::Column::Id);
        let rows = query.all(&self.reads).await.map_err(failed)?;
        Ok(rows.into_iter().map(from_row).collect())
    }
}

async fn insert_row(
    transaction: &Transaction,
    new: &NewWorkspace,
    now: Timestamp,
) -> Result<Workspace, Error> {
    let row = workspace::ActiveModel {
        id: NotSet,
        public_id: Set(id::workspace()),
        slug: Set(new.slug.clone()),
        name: Set(new.name.clone()),
        max_active_keys: Set(MAX_ACTIVE_KEYS_DEFAULT),
        key_creations_per_hour: Set(KEY_CREATIONS_PER_HOUR_DEFAULT),
        can_manage_api_keys: Set(true),
        notify_by_email: Set(false),
        created_at: Set(now.0),
        updated_at: Set(now.0),
        version: Set(1),
    };
    let insert = workspace::Entity::insert(row).build(transaction.backend());
    transaction.execute(insert).await.map_err(|error| {
        if !is_taken(&error, &["slug"]) {
            return failed(error);
        }
        let message = format!("A workspace with the slug \"{}\" exists already.", new.slug);
        Error::new(Kind::AlreadyExists, message)
    })?;
    let workspace = find_by_slug(transaction, &new.slug).await?;
    workspace.ok_or_else(|| Error::internal("a new workspace is gone"))
}

async fn find_by_slug(transaction: &Transaction, slug: &str) -> Result<Option<Workspace>, Error> {
    let text = format!("SELECT {COLUMNS} FROM workspaces WHERE slug = $1");
    let query = statement(transaction.backend(), text, [slug.into()]);
    transaction.read_one(query, decode).await
}

impl Reader<'_> {
    /// The workspace itself.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_workspace(&self) -> Result<Option<Workspace>, Error> {
        let _timed = StoreOperation::begin("find", "workspaces");
        let query = workspace::Entity::find_by_id(self.workspace.0);
        Ok(query.one(self.connection).await.map_err(failed)?.map(from_row))
    }
}

impl Locking<Begun> {
    /// Finds and locks the workspace itself: nobody else can change it until this change has ended. It is
    /// refused at another version than the change is meant for.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_workspace_for_update(
        self,
        meant_for: &Precondition,
    ) -> Result<(Workspace, Tx), Error> {
        let _timed = StoreOperation::begin("find_for_update", "workspaces");
        let lock = workspace::Entity::find()
            .select_only()
            .column(workspace::Column::Id)
            .filter(workspace::Column::Id.eq(self.workspace.0))
            .lock(LockType::NoKeyUpdate)
            .build(self.transaction.backend());
        self.transaction.read_one(lock, |row| row.get::<i64>(0)).await?;
        let found = self.find_workspace().await?;
        meant_for.hold(found.version)?;
        Ok((found, self.done()))
    }
}

impl Tx {
    /// The workspace itself, as it is by now in this change.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn find_workspace(&self) -> Result<Workspace, Error> {
        let _timed = StoreOperation::begin("find", "workspaces");
        let text = format!("SELECT {COLUMNS} FROM workspaces WHERE id = $1");
        let query = statement(self.transaction.backend(), text, [self.workspace.0.into()]);
        let found = self.transaction.read_one(query, decode).await?;
        found.ok_or_else(|| Error::internal("a change without a workspace"))
    }

    /// Changes the workspace, and returns it as it is then; it holds from the next request on.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn update_workspace(
        &mut self,
        before: &Workspace,
        changes: &WorkspaceChanges,
    ) -> Result<Workspace, Error> {
        let _timed = StoreOperation::begin("update", "workspaces");
        let changes = changes.clone();
        let after = Workspace {
            name: changes.name.unwrap_or_else(|| before.name.clone()),
            max_active_keys: changes.max_active_keys.unwrap_or(before.max_active_keys),
            key_creations_per_hour: changes
                .key_creations_per_hour
                .unwrap_or(before.key_creations_per_hour),
            can_manage_api_keys: changes.can_manage_api_keys.unwrap_or(before.can_manage_api_keys),
            notify_by_email: changes.notify_by_email.unwrap_or(before.notify_by_email),
            ..before.clone()
        };
        if after == *before {
            return Ok(after);
        }
        let after = Workspace { updated_at: self.now, version: before.version + 1, ..after };
        let row = workspace::ActiveModel {
            name: Set(after.name.clone()),
            max_active_keys: Set(after.max_active_keys),
            key_creations_per_hour: Set(after.key_creations_per_hour),
            can_manage_api_keys: Set(after.can_manage_api_keys),
            notify_by_email: Set(after.notify_by_email),
            updated_at: Set(after.updated_at.0),
            version: Set(after.version),
            ..Default::default()
        };
        let update = workspace::Entity::update_many()
            .set(row)
            .filter(workspace::Column::Id.eq(before.id.0))
            .build(self.transaction.backend());
        self.transaction.execute(update).await.map_err(failed)?;
        self.key_changes.push(KeyChange { workspace: self.workspace, key_id: None });
        Ok(after)
    }
}

/// The columns of a workspace, in the order that [`decode`] takes them.
const COLUMNS: &str = "id, public_id, slug, name, created_at, max_active_keys, \
    key_creations_per_hour, can_manage_api_keys, updated_at, version, notify_by_email";

fn decode(row: &Row<'_>) -> Result<Workspace, Error> {
    decode_workspace(row, 0).map(from_row)
}

pub(super) fn from_row(row: workspace::Model) -> Workspace {
    Workspace {
        id: WorkspaceId(row.id),
        public_id: row.public_id,
        slug: row.slug,
        name: row.name,
        max_active_keys: row.max_active_keys,
        key_creations_per_hour: row.key_creations_per_hour,
        can_manage_api_keys: row.can_manage_api_keys,
        notify_by_email: row.notify_by_email,
        created_at: Timestamp(row.created_at),
        updated_at: Timestamp(row.updated_at),
        version: row.version,
    }
}
