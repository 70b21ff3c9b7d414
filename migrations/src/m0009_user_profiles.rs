//! The profile of a user: columns beside name and address.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::text_null;

use crate::schema::add_column;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["phone", "title", "department", "timezone", "locale"] {
            add_column(manager, "users", &mut text_null(name)).await?;
        }
        Ok(())
    }
}
