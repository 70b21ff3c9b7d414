//! The rows of each facet are counted in one table for all nouns; `noun` is 1 for tickets. It takes
//! the place of `ticket_counts`, so no process of an older version may write beside a newer one.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, small_integer};

use crate::schema::{clustered, in_workspace, workspace_key};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut facet_counts = Table::create()
            .table("facet_counts")
            .col(big_integer("workspace_id"))
            .col(small_integer("noun"))
            .col(small_integer("facet"))
            .col(big_integer("row_count"))
            .primary_key(&mut workspace_key(&["noun", "facet"]))
            .foreign_key(&mut in_workspace("facet_counts"))
            .to_owned();
        clustered(manager, &mut facet_counts);
        manager.create_table(facet_counts).await?;
        let copy = "INSERT INTO facet_counts (workspace_id, noun, facet, row_count) \
                    SELECT workspace_id, 1, facet, ticket_count FROM ticket_counts";
        manager.get_connection().execute_unprepared(copy).await?;
        manager.drop_table(Table::drop().table("ticket_counts").to_owned()).await
    }
}
