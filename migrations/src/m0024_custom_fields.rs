//! The fields that a workspace adds to its tickets, their values in tickets, and the terms that tickets
//! are found by.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, boolean, integer_null, small_integer, text, text_null,
};

use crate::schema::{
    add_column, bytewise, clustered, in_workspace, same_workspace, workspace_index, workspace_key,
};

#[derive(DeriveMigrationName)]
pub struct Migration;

const INDEXES: [&[&str]; 6] = [
    &["created_at", "id", "facet"],
    &["updated_at", "id", "facet"],
    &["name", "id", "facet"],
    &["facet", "created_at", "id"],
    &["facet", "updated_at", "id"],
    &["facet", "name", "id"],
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_custom_fields(manager).await?;
        add_column(manager, "tickets", &mut text_null("custom_fields")).await?;
        create_ticket_terms(manager).await
    }
}

async fn create_custom_fields(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let custom_fields = Table::create()
        .table("custom_fields")
        .col(big_integer("workspace_id"))
        .col(big_integer("id"))
        .col(bytewise(manager, &mut text("name")))
        .col(text("label"))
        .col(small_integer("field_type"))
        .col(boolean("is_required"))
        .col(text("options"))
        .col(text_null("minimum"))
        .col(text_null("maximum"))
        .col(integer_null("max_length"))
        .col(boolean("is_active"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .col(big_integer("version"))
        .col(small_integer("facet"))
        .primary_key(&mut workspace_key(&["id"]))
        .foreign_key(&mut in_workspace("custom_fields"))
        .to_owned();
    manager.create_table(custom_fields).await?;
    manager.create_index(workspace_index("custom_fields", &["name"]).unique().to_owned()).await?;
    for columns in INDEXES {
        manager.create_index(workspace_index("custom_fields", columns)).await?;
    }
    Ok(())
}

/// A term repeats its ticket's creation time, which never changes, so that the tickets of a term are
/// found in the default order.
async fn create_ticket_terms(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut ticket_terms = Table::create()
        .table("ticket_terms")
        .col(big_integer("workspace_id"))
        .col(big_integer("ticket_id"))
        .col(bytewise(manager, &mut text("term")))
        .col(big_integer("ticket_created_at"))
        .primary_key(&mut workspace_key(&["ticket_id", "term"]))
        .foreign_key(&mut same_workspace("ticket_terms", "ticket_id", "tickets"))
        .to_owned();
    clustered(manager, &mut ticket_terms);
    manager.create_table(ticket_terms).await?;
    let by_term = workspace_index("ticket_terms", &["term", "ticket_created_at", "ticket_id"]);
    manager.create_index(by_term).await
}
