//! The history of a resource: an entry for each field of each change, numbered within the
//! workspace. Values are JSON.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, small_integer, text, text_null};

use crate::schema::{in_workspace, workspace_index, workspace_key};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let history = Table::create()
            .table("history")
            .col(big_integer("workspace_id"))
            .col(big_integer("id"))
            .col(small_integer("noun"))
            .col(big_integer("resource_id"))
            .col(text("field"))
            .col(text("from_value"))
            .col(text("to_value"))
            .col(small_integer("actor_type"))
            .col(text("actor_id"))
            .col(text("actor_name"))
            .col(text_null("request_id"))
            .col(big_integer("created_at"))
            .primary_key(&mut workspace_key(&["id"]))
            .foreign_key(&mut in_workspace("history"))
            .to_owned();
        manager.create_table(history).await?;
        manager
            .create_index(workspace_index("history", &["noun", "resource_id", "created_at", "id"]))
            .await
    }
}
