//! A webhook endpoint.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "webhooks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub url: String,
    pub description: String,
    pub events: String,
    pub status: i16,
    pub disabled_reason: Option<i16>,
    pub failing_since: Option<i64>,
    pub last_delivery_at: Option<i64>,
    pub secrets: String,
    pub from_sequence: i64,
    pub void_up_to: i64,
    pub created_at: i64,
    pub updated_at: i64,
    pub version: i64,
    pub facet: i16,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
