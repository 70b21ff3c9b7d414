//! Removes indexes of tickets without which every list is as quick: a list by status is merged from
//! the facets of that status, one by due date or priority walks along that order, and an external
//! id is asked for with its source. A new ticket costs as much in its indexes as in everything
//! else.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

const INDEXES: [&str; 6] = [
    "tickets_status_created_at_id_idx",
    "tickets_status_updated_at_id_idx",
    "tickets_status_due_at_id_idx",
    "tickets_facet_due_at_id_idx",
    "tickets_facet_id_idx",
    "tickets_external_id_idx",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for index in INDEXES {
            manager.drop_index(Index::drop().name(index).table("tickets").to_owned()).await?;
        }
        Ok(())
    }
}
