//! Workspaces, as the operator sees them: the only queries that belong to no workspace, besides
//! the one that finds a key.

use sea_orm::{ColumnTrait, EntityTrait, NotSet, QueryFilter, QueryOrder, Set};

use super::counters::insert_counters;
use super::entity::workspace;
use super::failure::{failed, is_taken};
use super::tx::begin;
use super::users::{NewUser, Role, insert_user};
use super::{Reader, Store, WorkspaceId};
use crate::clock::Timestamp;
use crate::error::{Error, Kind};
use crate::id;

/// The id of the administrator that every workspace begins with.
pub const ADMIN_USER_ID: i64 = 1;

/// The id of the built-in user to whom is attributed what a key does.
pub const SYSTEM_USER_ID: i64 = 2;

/// A workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Its number inside the database.
    pub id: WorkspaceId,
    /// Its id outside, such as `ws_3kTq8ZbN1xYw`.
    pub public_id: String,
    /// Its short name, unique.
    pub slug: String,
    /// Its full name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A workspace to be made.
#[derive(Debug, Clone)]
pub struct NewWorkspace {
    /// Its short name.
    pub slug: String,
    /// Its full name.
    pub name: String,
    /// The address of its administrator; `admin@<slug>.invalid` without one.
    pub admin_email: Option<String>,
}

impl Store {
    /// Makes a workspace with its administrator ([`ADMIN_USER_ID`]) and its SYSTEM user
    /// ([`SYSTEM_USER_ID`]). A slug that is taken is ALREADY_EXISTS.
    pub async fn insert_workspace(&self, new: NewWorkspace) -> Result<Workspace, Error> {
        let transaction = begin(self).await.map_err(failed)?;
        let now = self.clock.now();
        let row = workspace::ActiveModel {
            id: NotSet,
            public_id: Set(id::workspace()),
            slug: Set(new.slug.clone()),
            name: Set(new.name),
            created_at: Set(now.0),
            ..Default::default()
        };
        let inserted = workspace::Entity::insert(row).exec_with_returning(&transaction).await;
        let workspace = from_row(inserted.map_err(|error| {
            if !is_taken(&error, &["slug"]) {
                return failed(error);
            }
            let message = format!("A workspace with the slug \"{}\" exists already.", new.slug);
            Error::new(Kind::AlreadyExists, message)
        })?);

        insert_counters(&transaction, workspace.id).await.map_err(failed)?;
        // `.invalid` never resolves: no mail can go astray to a domain of somebody else.
        let admin_email =
            new.admin_email.unwrap_or_else(|| format!("admin@{}.invalid", workspace.slug));
        let admin = NewUser::new("Administrator", admin_email, Role::Admin);
        insert_user(&transaction, workspace.id, admin, now).await?;
        let system_email = format!("system@{}.orqit.invalid", workspace.slug);
        let system = NewUser::new("Orqit", system_email, Role::System);
        insert_user(&transaction, workspace.id, system, now).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(workspace)
    }

    /// The workspace with this slug.
    pub async fn find_workspace_by_slug(&self, slug: &str) -> Result<Option<Workspace>, Error> {
        let query = workspace::Entity::find().filter(workspace::Column::Slug.eq(slug));
        Ok(query.one(&self.reads).await.map_err(failed)?.map(from_row))
    }

    /// All workspaces, the oldest first.
    pub async fn list_workspaces(&self) -> Result<Vec<Workspace>, Error> {
        let query = workspace::Entity::find().order_by_asc(workspace::Column::Id);
        let rows = query.all(&self.reads).await.map_err(failed)?;
        Ok(rows.into_iter().map(from_row).collect())
    }
}

impl Reader<'_> {
    /// The workspace itself.
    pub async fn find_workspace(&self) -> Result<Option<Workspace>, Error> {
        let query = workspace::Entity::find_by_id(self.workspace.0);
        Ok(query.one(self.connection).await.map_err(failed)?.map(from_row))
    }
}

pub(super) fn from_row(row: workspace::Model) -> Workspace {
    Workspace {
        id: WorkspaceId(row.id),
        public_id: row.public_id,
        slug: row.slug,
        name: row.name,
        created_at: Timestamp(row.created_at),
    }
}
