//! Projects and their tasks, with the words that they are found by.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, integer_null, small_integer, text, text_null,
};

use crate::m0021_words::create_words;
use crate::schema::{bytewise, in_workspace, same_workspace, workspace_index, workspace_key};

#[derive(DeriveMigrationName)]
pub struct Migration;

const PROJECT_INDEXES: [&[&str]; 6] = [
    &["created_at", "id", "facet"],
    &["updated_at", "id", "facet"],
    &["name_key", "id", "facet"],
    &["due_date", "id", "facet"],
    &["facet", "created_at", "id"],
    &["facet", "updated_at", "id"],
];

/// The indexes of tasks, which are listed within their project alone: along these where that is
/// shorter than its tasks.
const TASK_INDEXES: [&[&str]; 6] = [
    &["project_id", "created_at", "id", "facet"],
    &["created_at", "id", "facet"],
    &["updated_at", "id", "facet"],
    &["priority", "id", "facet"],
    &["due_date", "id", "facet"],
    &["facet", "created_at", "id"],
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_projects(manager).await?;
        create_words(manager, "project_words", "projects").await?;
        create_tasks(manager).await?;
        create_words(manager, "task_words", "tasks").await
    }
}

async fn create_projects(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let projects = Table::create()
        .table("projects")
        .col(big_integer("workspace_id"))
        .col(big_integer("id"))
        .col(bytewise(manager, &mut text("code")))
        .col(text("name"))
        .col(text_null("description"))
        .col(small_integer("status"))
        .col(big_integer_null("lead_id"))
        .col(big_integer_null("start_date"))
        .col(big_integer_null("due_date"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .col(big_integer("version"))
        .col(small_integer("facet"))
        .col(bytewise(manager, &mut text("name_key")))
        .primary_key(&mut workspace_key(&["id"]))
        .foreign_key(&mut in_workspace("projects"))
        .foreign_key(&mut same_workspace("projects", "lead_id", "users"))
        .to_owned();
    manager.create_table(projects).await?;
    manager.create_index(workspace_index("projects", &["code"]).unique().to_owned()).await?;
    for columns in PROJECT_INDEXES {
        manager.create_index(workspace_index("projects", columns)).await?;
    }
    let lead = workspace_index("projects", &["lead_id", "created_at", "id"])
        .and_where(Expr::col("lead_id").is_not_null())
        .to_owned();
    manager.create_index(lead).await
}

async fn create_tasks(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let tasks = Table::create()
        .table("tasks")
        .col(big_integer("workspace_id"))
        .col(big_integer("id"))
        .col(bytewise(manager, &mut text("task_number")))
        .col(big_integer("project_id"))
        .col(text("title"))
        .col(text_null("description"))
        .col(small_integer("priority"))
        .col(small_integer("status"))
        .col(big_integer_null("assignee_id"))
        .col(big_integer_null("due_date"))
        .col(integer_null("estimate_minutes"))
        .col(big_integer_null("ticket_id"))
        .col(big_integer_null("completed_at"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .col(big_integer("version"))
        .col(small_integer("facet"))
        .primary_key(&mut workspace_key(&["id"]))
        .foreign_key(&mut same_workspace("tasks", "project_id", "projects"))
        .foreign_key(&mut same_workspace("tasks", "assignee_id", "users"))
        .foreign_key(&mut same_workspace("tasks", "ticket_id", "tickets"))
        .to_owned();
    manager.create_table(tasks).await?;
    manager.create_index(workspace_index("tasks", &["task_number"]).unique().to_owned()).await?;
    for columns in TASK_INDEXES {
        manager.create_index(workspace_index("tasks", columns)).await?;
    }
    for column in ["assignee_id", "ticket_id"] {
        let within = workspace_index("tasks", &["project_id", column, "created_at", "id"])
            .and_where(Expr::col(column).is_not_null())
            .to_owned();
        manager.create_index(within).await?;
    }
    Ok(())
}
