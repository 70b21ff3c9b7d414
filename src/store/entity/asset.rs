//! An asset.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "assets")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub asset_tag: String,
    pub name: String,
    pub asset_type: i16,
    pub status: i16,
    pub serial_number: Option<String>,
    pub manufacturer: Option<String>,
    pub model: Option<String>,
    pub assigned_user_id: Option<i64>,
    pub location: Option<String>,
    pub purchase_date: Option<i64>,
    pub purchase_cost: Option<String>,
    pub currency: Option<String>,
    pub warranty_expires_at: Option<i64>,
    pub notes: Option<String>,
    pub tags: String,
    pub created_at: i64,
    pub updated_at: i64,
    pub version: i64,
    pub facet: i16,
    pub name_key: String,
    pub asset_tag_key: String,
    pub manufacturer_key: Option<String>,
    pub location_key: Option<String>,
    pub serial_number_key: Option<String>,
    pub serial_key: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
