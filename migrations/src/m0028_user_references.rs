//! Who gives a user another address holds up nobody who refers to the user: PostgreSQL takes the columns
//! of a unique index for part of a key unless the index has a condition.

use sea_orm_migration::prelude::*;

use crate::schema::workspace_index;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let drop = Index::drop().name("users_email_key_idx").table("users").to_owned();
        manager.drop_index(drop).await?;
        let index = workspace_index("users", &["email_key"])
            .unique()
            .and_where(Expr::col("email_key").is_not_null())
            .to_owned();
        manager.create_index(index).await
    }
}
