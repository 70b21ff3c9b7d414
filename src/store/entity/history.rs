//! An entry of the history of a resource. `from_value` and `to_value` are JSON; `noun` is the number of
//! the resource's table.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "history")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub noun: i16,
    pub resource_id: i64,
    pub field: String,
    pub from_value: String,
    pub to_value: String,
    pub actor_type: i16,
    pub actor_id: String,
    pub actor_name: String,
    pub request_id: Option<String>,
    pub created_at: i64,
    pub external_id: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
