//! The indexes that every list of tickets goes through: for each filter that can stand alone, and
//! for each order of the tickets of one status and of one facet.
//!
//! An index that ends in `facet` shows the facet without fetching the row.

use sea_orm_migration::prelude::*;

use crate::schema::workspace_index;

#[derive(DeriveMigrationName)]
pub struct Migration;

const INDEXES: [&[&str]; 13] = [
    &["created_at", "id", "facet"],
    &["updated_at", "id", "facet"],
    &["due_at", "id", "facet"],
    &["priority", "id", "facet"],
    &["status", "created_at", "id"],
    &["status", "updated_at", "id"],
    &["status", "due_at", "id"],
    &["facet", "created_at", "id"],
    &["facet", "updated_at", "id"],
    &["facet", "due_at", "id"],
    &["facet", "id"],
    &["assignee_id", "created_at", "id", "facet"],
    &["requester_id", "created_at", "id", "facet"],
];

/// The indexes of columns that most tickets leave NULL, which need no entry then.
const PARTIAL_INDEXES: [&[&str]; 3] = [
    &["parent_id", "created_at", "id"],
    &["external_source", "created_at", "id"],
    &["external_id"],
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for columns in INDEXES {
            manager.create_index(workspace_index("tickets", columns)).await?;
        }
        for columns in PARTIAL_INDEXES {
            manager.create_index(partial(columns)).await?;
        }
        let external = partial(&["external_source", "external_id"]).unique().to_owned();
        manager.create_index(external).await
    }
}

fn partial(columns: &[&'static str]) -> IndexCreateStatement {
    workspace_index("tickets", columns).and_where(Expr::col(columns[0]).is_not_null()).to_owned()
}
