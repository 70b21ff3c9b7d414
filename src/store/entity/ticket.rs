//! A ticket. `watcher_user_ids` and `tags` are JSON lists.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "tickets")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub title: String,
    pub description: String,
    pub ticket_type: i16,
    pub category: i16,
    pub priority: i16,
    pub impact: Option<i16>,
    pub urgency: Option<i16>,
    pub status: i16,
    pub facet: i16,
    pub pending_reason: Option<String>,
    pub resolution: Option<String>,
    pub requester_id: Option<i64>,
    pub assignee_id: Option<i64>,
    pub watcher_user_ids: String,
    pub parent_id: Option<i64>,
    pub tags: String,
    pub due_at: Option<i64>,
    pub source: i16,
    pub external_source: Option<String>,
    pub external_id: Option<String>,
    pub comment_count: i32,
    pub reopen_count: i32,
    pub created_at: i64,
    pub updated_at: i64,
    pub resolved_at: Option<i64>,
    pub closed_at: Option<i64>,
    pub created_by: i64,
    pub updated_by: i64,
    pub version: i64,
    pub category_config_id: Option<i64>,
    pub custom_fields: Option<String>,
    pub asset_ids: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
