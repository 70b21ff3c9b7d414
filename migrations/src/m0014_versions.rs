//! The versions of keys and workspaces, by which a change can be made on condition.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::big_integer;

use crate::schema::add_column;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add_column(manager, "workspaces", big_integer("version").default(1)).await?;
        add_column(manager, "api_keys", big_integer("version").default(1)).await?;
        add_column(manager, "api_keys", big_integer("updated_at").default(0)).await?;
        // A process of the version before this one makes keys that were never changed.
        let connection = manager.get_connection();
        connection.execute_unprepared("UPDATE api_keys SET updated_at = created_at").await?;
        Ok(())
    }
}
