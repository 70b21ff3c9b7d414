//! The ids of comments and history in the system from which they were brought: none is brought
//! twice to what it belongs to.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::text_null;

use crate::schema::{add_column, workspace_index};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add_column(manager, "history", &mut text_null("external_id")).await?;
        for (table, columns) in [
            ("comments", ["ticket_id", "external_id"].as_slice()),
            ("history", &["noun", "resource_id", "external_id"]),
        ] {
            let brought = workspace_index(table, columns)
                .unique()
                .and_where(Expr::col("external_id").is_not_null())
                .to_owned();
            manager.create_index(brought).await?;
        }
        Ok(())
    }
}
