//! A user of a workspace.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub display_name: String,
    pub email: String,
    pub role: i16,
    pub status: i16,
    pub created_at: i64,
    pub updated_at: i64,
    pub phone: Option<String>,
    pub title: Option<String>,
    pub department: Option<String>,
    pub timezone: Option<String>,
    pub locale: Option<String>,
    pub version: i64,
    pub facet: i16,
    pub name_key: String,
    pub department_key: Option<String>,
    pub email_key: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
