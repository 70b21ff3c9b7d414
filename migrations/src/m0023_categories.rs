//! A workspace's own categories of tickets, and the tickets that have one.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, boolean, small_integer, small_integer_null, text,
};

use crate::schema::{add_column, bytewise, in_workspace, workspace_index, workspace_key};

#[derive(DeriveMigrationName)]
pub struct Migration;

const INDEXES: [&[&str]; 6] = [
    &["created_at", "id", "facet"],
    &["updated_at", "id", "facet"],
    &["name_key", "id", "facet"],
    &["facet", "created_at", "id"],
    &["facet", "updated_at", "id"],
    &["facet", "name_key", "id"],
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let categories = Table::create()
            .table("categories")
            .col(big_integer("workspace_id"))
            .col(big_integer("id"))
            .col(text("name"))
            .col(small_integer("base_category"))
            .col(small_integer_null("default_priority"))
            .col(boolean("is_active"))
            .col(big_integer("created_at"))
            .col(big_integer("updated_at"))
            .col(big_integer("version"))
            .col(small_integer("facet"))
            .col(bytewise(manager, &mut text("name_key")))
            .primary_key(&mut workspace_key(&["id"]))
            .foreign_key(&mut in_workspace("categories"))
            .to_owned();
        manager.create_table(categories).await?;
        manager
            .create_index(workspace_index("categories", &["name_key"]).unique().to_owned())
            .await?;
        for columns in INDEXES {
            manager.create_index(workspace_index("categories", columns)).await?;
        }
        // No foreign key: SQLite cannot add one to a table that is there, and categories stay.
        add_column(manager, "tickets", &mut big_integer_null("category_config_id")).await?;
        let config = workspace_index("tickets", &["category_config_id", "created_at", "id"])
            .and_where(Expr::col("category_config_id").is_not_null())
            .to_owned();
        manager.create_index(config).await
    }
}
