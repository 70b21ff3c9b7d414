//! Webhook endpoints, what is sent to them, and how far each workspace's log has been turned into
//! deliveries.
//!
//! `due_at` is when a delivery is to be taken up: for its next attempt, or, while somebody makes one,
//! when that somebody counts as lost. `from_sequence` is the last event that an endpoint does not get,
//! `void_up_to` the last delivery that was given up when it was disabled.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, integer, integer_null, small_integer, small_integer_null, text,
};

use crate::schema::{clustered, in_workspace, workspace_index, workspace_key};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        webhooks(manager).await?;
        deliveries(manager).await?;
        attempts(manager).await?;
        let dispatch = Table::create()
            .table("dispatch")
            .col(big_integer("workspace_id").primary_key())
            .col(big_integer("fanned_out"))
            .col(big_integer("endpoints_epoch"))
            .col(big_integer("holder"))
            .col(big_integer("held_until"))
            .foreign_key(&mut in_workspace("dispatch"))
            .to_owned();
        manager.create_table(dispatch).await?;
        let deleted = Table::create()
            .table("deleted_webhooks")
            .col(big_integer("workspace_id"))
            .col(big_integer("endpoint_id"))
            .primary_key(&mut workspace_key(&["endpoint_id"]))
            .foreign_key(&mut in_workspace("deleted_webhooks"))
            .to_owned();
        manager.create_table(deleted).await?;
        let check = Table::create()
            .table("master_key_check")
            .col(small_integer("id").primary_key())
            .col(text("sealed"))
            .to_owned();
        manager.create_table(check).await
    }
}

async fn webhooks(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let webhooks = Table::create()
        .table("webhooks")
        .col(big_integer("workspace_id"))
        .col(big_integer("id"))
        .col(text("url"))
        .col(text("description"))
        .col(text("events"))
        .col(small_integer("status"))
        .col(small_integer_null("disabled_reason"))
        .col(big_integer_null("failing_since"))
        .col(big_integer_null("last_delivery_at"))
        .col(text("secrets"))
        .col(big_integer("from_sequence"))
        .col(big_integer("void_up_to"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .col(big_integer("version"))
        .col(small_integer("facet"))
        .primary_key(&mut workspace_key(&["id"]))
        .foreign_key(&mut in_workspace("webhooks"))
        .to_owned();
    manager.create_table(webhooks).await?;
    for column in ["created_at", "updated_at"] {
        manager.create_index(workspace_index("webhooks", &[column, "id", "facet"])).await?;
        manager.create_index(workspace_index("webhooks", &["facet", column, "id"])).await?;
    }
    Ok(())
}

async fn deliveries(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    // No foreign key to the endpoint: a deleted one's deliveries are deleted bit by bit.
    let mut deliveries = Table::create()
        .table("deliveries")
        .col(big_integer("workspace_id"))
        .col(big_integer("id"))
        .col(big_integer("endpoint_id"))
        .col(text("event_id"))
        .col(text("event_type"))
        .col(big_integer("sequence"))
        .col(small_integer("status"))
        .col(small_integer("lane"))
        .col(small_integer("trigger_next"))
        .col(integer("attempt_count"))
        .col(small_integer("failures"))
        .col(small_integer("claims"))
        .col(big_integer("token"))
        .col(big_integer_null("due_at"))
        .col(big_integer_null("resume_at"))
        .col(big_integer("created_at"))
        .primary_key(&mut workspace_key(&["id"]))
        .foreign_key(&mut in_workspace("deliveries"))
        .to_owned();
    clustered(manager, &mut deliveries);
    manager.create_table(deliveries).await?;
    manager.create_index(workspace_index("deliveries", &["endpoint_id", "id"])).await?;
    let due = workspace_index("deliveries", &["endpoint_id", "lane", "due_at", "id"])
        .and_where(Expr::col("due_at").is_not_null())
        .to_owned();
    manager.create_index(due).await?;
    // Most deliveries have succeeded, and are listed by their ids alone.
    let others = workspace_index("deliveries", &["endpoint_id", "status", "id"])
        .and_where(Expr::col("status").ne(2))
        .to_owned();
    manager.create_index(others).await
}

async fn attempts(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut attempts = Table::create()
        .table("attempts")
        .col(big_integer("workspace_id"))
        .col(big_integer("delivery_id"))
        .col(integer("number"))
        .col(big_integer("started_at"))
        .col(big_integer("duration_ms"))
        .col(integer_null("status_code"))
        .col(small_integer_null("error"))
        .col(text("response_headers"))
        .col(text("response_body"))
        .col(small_integer("reason"))
        .primary_key(&mut workspace_key(&["delivery_id", "number"]))
        .foreign_key(&mut in_workspace("attempts"))
        .to_owned();
    clustered(manager, &mut attempts);
    manager.create_table(attempts).await
}
