//! The key epoch, which tells every process that a key has changed: it is raised with every change,
//! `key_changes` tells what changed, and each watcher notes how far it is.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, integer, text, text_null};

use crate::schema::in_workspace;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let key_epoch = Table::create()
            .table("key_epoch")
            .col(integer("id").primary_key())
            .col(big_integer("epoch"))
            .to_owned();
        manager.create_table(key_epoch).await?;
        let one = "INSERT INTO key_epoch (id, epoch) VALUES (1, 0)";
        manager.get_connection().execute_unprepared(one).await?;

        let key_changes = Table::create()
            .table("key_changes")
            .col(big_integer("epoch").primary_key())
            .col(big_integer("workspace_id"))
            .col(text_null("key_id"))
            .foreign_key(&mut in_workspace("key_changes"))
            .to_owned();
        manager.create_table(key_changes).await?;

        let key_watchers = Table::create()
            .table("key_watchers")
            .col(text("id").primary_key())
            .col(big_integer("epoch"))
            .to_owned();
        manager.create_table(key_watchers).await
    }
}
