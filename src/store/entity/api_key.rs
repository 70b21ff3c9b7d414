//! An API key. `scopes` and `requested_scopes` are JSON lists.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "api_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub key_id: String,
    pub workspace_id: i64,
    pub key_hash: Vec<u8>,
    pub name: String,
    pub description: Option<String>,
    pub scopes: String,
    pub requested_scopes: String,
    pub per_minute: i32,
    pub group_per_minute: i32,
    pub expires_at: Option<i64>,
    pub revoked_at: Option<i64>,
    pub created_at: i64,
    pub created_by: Option<i64>,
    pub last_four: String,
    pub number: i64,
    pub lineage: String,
    pub rotated_from: Option<String>,
    pub rotated_to: Option<String>,
    pub made_by: i16,
    pub version: i64,
    pub updated_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::workspace::Entity",
        from = "Column::WorkspaceId",
        to = "super::workspace::Column::Id"
    )]
    Workspace,
}

impl Related<super::workspace::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Workspace.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
