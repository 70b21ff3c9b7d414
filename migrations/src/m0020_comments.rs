//! The table of comments. `external_id` is of comments that were brought from elsewhere.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, small_integer, text, text_null};

use crate::schema::{in_workspace, same_workspace, workspace_index, workspace_key};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let comments = Table::create()
            .table("comments")
            .col(big_integer("workspace_id"))
            .col(big_integer("id"))
            .col(big_integer("ticket_id"))
            .col(text("body"))
            .col(small_integer("visibility"))
            .col(big_integer("author_id"))
            .col(small_integer("channel"))
            .col(text_null("external_id"))
            .col(big_integer("created_at"))
            .col(big_integer("created_by"))
            .primary_key(&mut workspace_key(&["id"]))
            .foreign_key(&mut in_workspace("comments"))
            .foreign_key(&mut same_workspace("comments", "ticket_id", "tickets"))
            .foreign_key(&mut same_workspace("comments", "author_id", "users"))
            .foreign_key(&mut same_workspace("comments", "created_by", "users"))
            .to_owned();
        manager.create_table(comments).await?;
        for columns in [
            ["ticket_id", "created_at", "id"].as_slice(),
            &["ticket_id", "visibility", "created_at", "id"],
        ] {
            manager.create_index(workspace_index("comments", columns)).await?;
        }
        Ok(())
    }
}
