//! A custom field of tickets.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "custom_fields")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub name: String,
    pub label: String,
    pub field_type: i16,
    pub is_required: bool,
    pub options: String,
    pub minimum: Option<String>,
    pub maximum: Option<String>,
    pub max_length: Option<i32>,
    pub is_active: bool,
    pub created_at: i64,
    pub updated_at: i64,
    pub version: i64,
    pub facet: i16,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
