//! Workspaces, and the counters that give out their ids and event sequence.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_pk_auto, text};

use crate::schema::{clustered, in_workspace, workspace_key};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let workspaces = Table::create()
            .table("workspaces")
            .col(big_pk_auto("id"))
            .col(text("public_id").unique_key())
            .col(text("slug").unique_key())
            .col(text("name"))
            .col(big_integer("created_at"))
            .to_owned();
        manager.create_table(workspaces).await?;

        let mut counters = Table::create()
            .table("counters")
            .col(big_integer("workspace_id"))
            .col(text("name"))
            .col(big_integer("value"))
            .primary_key(&mut workspace_key(&["name"]))
            .foreign_key(&mut in_workspace("counters"))
            .to_owned();
        clustered(manager, &mut counters);
        manager.create_table(counters).await
    }
}
