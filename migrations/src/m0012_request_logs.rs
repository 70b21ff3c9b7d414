//! The usage of keys: the log of their requests, the last use of each, and the figures of each
//! endpoint by hour and day.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, binary, small_integer, text, text_null};

use crate::schema::{add_counter, clustered, in_workspace, workspace_index, workspace_key};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_request_logs(manager).await?;
        create_api_key_uses(manager).await?;
        create_usage_figures(manager).await
    }
}

/// Creates the request log. Each index ends in the order of the list, so that a filter's newest
/// rows are its last.
async fn create_request_logs(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut request_logs = Table::create()
        .table("request_logs")
        .col(big_integer("workspace_id"))
        .col(big_integer("id"))
        .col(big_integer("received_at"))
        .col(text("key_id"))
        .col(text("endpoint"))
        .col(text_null("route"))
        .col(text("method"))
        .col(small_integer("transport"))
        .col(small_integer("status"))
        .col(text_null("code"))
        .col(big_integer("latency_micros"))
        .col(text("request_id"))
        .col(text("client_ip"))
        .primary_key(&mut workspace_key(&["id"]))
        .foreign_key(&mut in_workspace("request_logs"))
        .to_owned();
    clustered(manager, &mut request_logs);
    manager.create_table(request_logs).await?;
    manager.create_index(workspace_index("request_logs", &["received_at", "id"])).await?;
    for column in ["key_id", "endpoint", "status"] {
        let index = workspace_index("request_logs", &[column, "received_at", "id"]);
        manager.create_index(index).await?;
    }
    add_counter(manager, "request_logs", "request_logs").await
}

/// Creates the table of uses, beside the keys and not in them: a use is no change of a key.
async fn create_api_key_uses(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let api_key_uses = Table::create()
        .table("api_key_uses")
        .col(text("key_id").primary_key())
        .col(big_integer("workspace_id"))
        .col(big_integer("last_used_at"))
        .col(text("last_used_ip"))
        .foreign_key(&mut in_workspace("api_key_uses"))
        .to_owned();
    manager.create_table(api_key_uses).await
}

/// A row for each span of time, key and endpoint, and one, of the key '', for all keys.
async fn create_usage_figures(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut usage_figures = Table::create()
        .table("usage_figures")
        .col(big_integer("workspace_id"))
        .col(small_integer("span"))
        .col(text("key_id"))
        .col(big_integer("start_at"))
        .col(text("endpoint"))
        .col(big_integer("requests"))
        .col(big_integer("errors"))
        .col(binary("latencies"))
        .primary_key(&mut workspace_key(&["span", "key_id", "start_at", "endpoint"]))
        .foreign_key(&mut in_workspace("usage_figures"))
        .to_owned();
    clustered(manager, &mut usage_figures);
    manager.create_table(usage_figures).await?;
    // What is too old is found by it.
    manager.create_index(workspace_index("usage_figures", &["span", "start_at"])).await
}
