//! A project.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "projects")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub code: String,
    pub name: String,
    pub description: Option<String>,
    pub status: i16,
    pub lead_id: Option<i64>,
    pub start_date: Option<i64>,
    pub due_date: Option<i64>,
    pub created_at: i64,
    pub updated_at: i64,
    pub version: i64,
    pub facet: i16,
    pub name_key: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
