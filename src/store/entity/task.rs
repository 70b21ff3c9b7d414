//! A task of a project.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub task_number: String,
    pub project_id: i64,
    pub title: String,
    pub description: Option<String>,
    pub priority: i16,
    pub status: i16,
    pub assignee_id: Option<i64>,
    pub due_date: Option<i64>,
    pub estimate_minutes: Option<i32>,
    pub ticket_id: Option<i64>,
    pub completed_at: Option<i64>,
    pub created_at: i64,
    pub updated_at: i64,
    pub version: i64,
    pub facet: i16,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
