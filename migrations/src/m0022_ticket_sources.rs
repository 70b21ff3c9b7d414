//! The lists of tickets by their source.

use sea_orm_migration::prelude::*;

use crate::schema::workspace_index;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_index(workspace_index("tickets", &["source", "created_at", "id"])).await
    }
}
