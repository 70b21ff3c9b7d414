//! A condition on the unique index of addresses: without one, PostgreSQL takes its columns for part
//! of a key, and who changes an address holds up everybody who refers to the user.

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
