//! The settings of a workspace, with what holds unless it is said otherwise.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, boolean, integer};

use crate::schema::add_column;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add_column(manager, "workspaces", integer("max_active_keys").default(10)).await?;
        add_column(manager, "workspaces", integer("key_creations_per_hour").default(5)).await?;
        add_column(manager, "workspaces", boolean("can_manage_api_keys").default(true)).await?;
        add_column(manager, "workspaces", big_integer("updated_at").default(0)).await?;
        let connection = manager.get_connection();
        connection.execute_unprepared("UPDATE workspaces SET updated_at = created_at").await?;
        Ok(())
    }
}
