//! The answers that a repeated request gets again. `refused` tells a refusal from a response message;
//! `line` is the line of rotations that the caller's key stands in.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, binary, boolean, text};

use crate::schema::{in_workspace, workspace_key};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let answers = Table::create()
            .table("idempotent_answers")
            .col(big_integer("workspace_id"))
            .col(text("line"))
            .col(text("idempotency_key"))
            .col(binary("fingerprint"))
            .col(boolean("refused"))
            .col(binary("answer"))
            .col(text("request_id"))
            .col(big_integer("created_at"))
            .primary_key(&mut workspace_key(&["line", "idempotency_key"]))
            .foreign_key(&mut in_workspace("idempotent_answers"))
            .to_owned();
        manager.create_table(answers).await?;
        // What is too old is looked for in all workspaces at once.
        let by_age = Index::create()
            .name("idempotent_answers_created_at_idx")
            .table("idempotent_answers")
            .col("created_at")
            .to_owned();
        manager.create_index(by_age).await
    }
}
