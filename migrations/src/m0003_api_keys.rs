//! The table of API keys. The key id is unique over all workspaces, for it is what finds the
//! workspace.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, binary, integer, text, text_null};

use crate::schema::{in_workspace, same_workspace, workspace_index};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let api_keys = Table::create()
            .table("api_keys")
            .col(text("key_id").primary_key())
            .col(big_integer("workspace_id"))
            .col(binary("key_hash"))
            .col(text("name"))
            .col(text_null("description"))
            .col(text("scopes"))
            .col(text("requested_scopes"))
            .col(integer("per_minute"))
            .col(integer("group_per_minute"))
            .col(big_integer_null("expires_at"))
            .col(big_integer_null("revoked_at"))
            .col(big_integer("created_at"))
            .col(big_integer_null("created_by"))
            .col(text("last_four"))
            .foreign_key(&mut in_workspace("api_keys"))
            .foreign_key(&mut same_workspace("api_keys", "created_by", "users"))
            .to_owned();
        manager.create_table(api_keys).await?;
        manager.create_index(workspace_index("api_keys", &["created_at", "key_id"])).await
    }
}
