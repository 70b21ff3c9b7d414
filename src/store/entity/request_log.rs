//! A request of a key. The endpoint is the RPC, the route that of REST.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "request_logs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub received_at: i64,
    pub key_id: String,
    pub endpoint: String,
    pub route: Option<String>,
    pub method: String,
    pub transport: i16,
    pub status: i16,
    pub code: Option<String>,
    pub latency_micros: i64,
    pub request_id: String,
    pub client_ip: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
