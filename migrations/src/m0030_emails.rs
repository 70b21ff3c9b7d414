//! E-mails, and whether a workspace wants them for comments. Each is sent by a delivery to the endpoint
//! 0, whose id is the e-mail's below zero.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, boolean, integer, small_integer, text, text_null,
};

use crate::schema::{add_column, in_workspace, same_workspace, workspace_index, workspace_key};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_emails(manager).await?;
        add_column(manager, "workspaces", boolean("notify_by_email").default(false)).await?;
        // The workspaces that have mail to be sent, whatever else is due in them.
        let due = Index::create()
            .name("deliveries_email_due_at_idx")
            .table("deliveries")
            .col("due_at")
            .col("workspace_id")
            .and_where(Expr::col("endpoint_id").eq(0))
            .and_where(Expr::col("due_at").is_not_null())
            .to_owned();
        manager.create_index(due).await
    }
}

async fn create_emails(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let emails = Table::create()
        .table("emails")
        .col(big_integer("workspace_id"))
        .col(big_integer("id"))
        .col(text("recipients"))
        .col(text("copies"))
        .col(text("subject"))
        .col(text_null("text_body"))
        .col(text_null("html_body"))
        .col(text_null("reply_to"))
        .col(small_integer("status"))
        .col(integer("attempt_count"))
        .col(text_null("last_error"))
        .col(text_null("response"))
        .col(big_integer_null("ticket_id"))
        .col(big_integer_null("sent_at"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .col(big_integer("version"))
        .col(small_integer("facet"))
        .primary_key(&mut workspace_key(&["id"]))
        .foreign_key(&mut in_workspace("emails"))
        .foreign_key(&mut same_workspace("emails", "ticket_id", "tickets"))
        .to_owned();
    manager.create_table(emails).await?;
    for column in ["created_at", "updated_at"] {
        manager.create_index(workspace_index("emails", &[column, "id", "facet"])).await?;
        manager.create_index(workspace_index("emails", &["facet", column, "id"])).await?;
    }
    let of_ticket = workspace_index("emails", &["ticket_id", "created_at", "id"])
        .and_where(Expr::col("ticket_id").is_not_null())
        .to_owned();
    manager.create_index(of_ticket).await
}
