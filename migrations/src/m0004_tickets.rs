//! Tickets, their tags and watchers, and how many there are of each facet.
//!
//! A ticket's row carries its tags and watchers as JSON, so that reading it is one query; the two
//! tables exist for filters and foreign keys. `facet` packs status, priority, type, category and
//! whether anybody is assigned; `ticket_counts` has a row for each facet, and one, of facet 0, for
//! all tickets.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, integer, small_integer, small_integer_null, text, text_null,
};

use crate::schema::{clustered, in_workspace, same_workspace, workspace_index, workspace_key};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(tickets()).await?;
        create_ticket_tags(manager).await?;
        create_ticket_watchers(manager).await?;
        create_ticket_counts(manager).await
    }
}

fn tickets() -> TableCreateStatement {
    Table::create()
        .table("tickets")
        .col(big_integer("workspace_id"))
        .col(big_integer("id"))
        .col(text("title"))
        .col(text("description"))
        .col(small_integer("ticket_type"))
        .col(small_integer("category"))
        .col(small_integer("priority"))
        .col(small_integer_null("impact"))
        .col(small_integer_null("urgency"))
        .col(small_integer("status"))
        .col(small_integer("facet"))
        .col(text_null("pending_reason"))
        .col(text_null("resolution"))
        .col(big_integer_null("requester_id"))
        .col(big_integer_null("assignee_id"))
        .col(text("watcher_user_ids"))
        .col(big_integer_null("parent_id"))
        .col(text("tags"))
        .col(big_integer_null("due_at"))
        .col(small_integer("source"))
        .col(text_null("external_source"))
        .col(text_null("external_id"))
        .col(integer("comment_count"))
        .col(integer("reopen_count"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .col(big_integer_null("resolved_at"))
        .col(big_integer_null("closed_at"))
        .col(big_integer("created_by"))
        .col(big_integer("updated_by"))
        .col(big_integer("version"))
        .primary_key(&mut workspace_key(&["id"]))
        .foreign_key(&mut in_workspace("tickets"))
        .foreign_key(&mut same_workspace("tickets", "requester_id", "users"))
        .foreign_key(&mut same_workspace("tickets", "assignee_id", "users"))
        .foreign_key(&mut same_workspace("tickets", "created_by", "users"))
        .foreign_key(&mut same_workspace("tickets", "updated_by", "users"))
        .foreign_key(&mut same_workspace("tickets", "parent_id", "tickets"))
        .to_owned()
}

/// A tag repeats its ticket's creation time, which never changes, so that the tickets of a tag
/// are found in the default order.
async fn create_ticket_tags(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut ticket_tags = Table::create()
        .table("ticket_tags")
        .col(big_integer("workspace_id"))
        .col(big_integer("ticket_id"))
        .col(text("tag"))
        .col(big_integer("ticket_created_at"))
        .primary_key(&mut workspace_key(&["ticket_id", "tag"]))
        .foreign_key(&mut same_workspace("ticket_tags", "ticket_id", "tickets"))
        .to_owned();
    clustered(manager, &mut ticket_tags);
    manager.create_table(ticket_tags).await?;
    let by_tag = workspace_index("ticket_tags", &["tag", "ticket_created_at", "ticket_id"]);
    manager.create_index(by_tag).await
}

async fn create_ticket_watchers(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut ticket_watchers = Table::create()
        .table("ticket_watchers")
        .col(big_integer("workspace_id"))
        .col(big_integer("ticket_id"))
        .col(big_integer("user_id"))
        .primary_key(&mut workspace_key(&["ticket_id", "user_id"]))
        .foreign_key(&mut same_workspace("ticket_watchers", "ticket_id", "tickets"))
        .foreign_key(&mut same_workspace("ticket_watchers", "user_id", "users"))
        .to_owned();
    clustered(manager, &mut ticket_watchers);
    manager.create_table(ticket_watchers).await
}

async fn create_ticket_counts(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut ticket_counts = Table::create()
        .table("ticket_counts")
        .col(big_integer("workspace_id"))
        .col(small_integer("facet"))
        .col(big_integer("ticket_count"))
        .primary_key(&mut workspace_key(&["facet"]))
        .foreign_key(&mut in_workspace("ticket_counts"))
        .to_owned();
    clustered(manager, &mut ticket_counts);
    manager.create_table(ticket_counts).await
}
