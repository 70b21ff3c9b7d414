//! The table of users. `email_key` is the address by which it is unique whatever its case: in lower
//! case here, and folded since `m0015_folded_emails`.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, small_integer, text};

use crate::schema::{in_workspace, workspace_index, workspace_key};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let users = Table::create()
            .table("users")
            .col(big_integer("workspace_id"))
            .col(big_integer("id"))
            .col(text("display_name"))
            .col(text("email"))
            .col(text("email_key"))
            .col(small_integer("role"))
            .col(small_integer("status"))
            .col(big_integer("created_at"))
            .col(big_integer("updated_at"))
            .primary_key(&mut workspace_key(&["id"]))
            .foreign_key(&mut in_workspace("users"))
            .to_owned();
        manager.create_table(users).await?;
        manager.create_index(workspace_index("users", &["email_key"]).unique().to_owned()).await
    }
}
