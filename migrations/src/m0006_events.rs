//! The event log of each workspace, in the order of its sequence.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, small_integer, text};

use crate::schema::{in_workspace, workspace_index, workspace_key};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let events = Table::create()
            .table("events")
            .col(big_integer("workspace_id"))
            .col(big_integer("sequence"))
            .col(text("id"))
            .col(text("event_type"))
            .col(text("topics"))
            .col(small_integer("actor_type"))
            .col(text("actor_id"))
            .col(text("actor_name"))
            .col(big_integer("created_at"))
            .col(text("data"))
            .primary_key(&mut workspace_key(&["sequence"]))
            .foreign_key(&mut in_workspace("events"))
            .to_owned();
        manager.create_table(events).await?;
        manager.create_index(workspace_index("events", &["id"]).unique().to_owned()).await
    }
}
