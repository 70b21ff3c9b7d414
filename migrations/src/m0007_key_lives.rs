//! The life of a key: its number in the workspace, the line of rotations that it stands in, and who
//! made it. Keys from before are each the first of a line, made by an operator.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, small_integer, text, text_null};

use crate::schema::{add_column, add_counter, workspace_index};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add_column(manager, "api_keys", big_integer("number").default(0)).await?;
        add_column(manager, "api_keys", text("lineage").default("")).await?;
        add_column(manager, "api_keys", &mut text_null("rotated_from")).await?;
        add_column(manager, "api_keys", &mut text_null("rotated_to")).await?;
        add_column(manager, "api_keys", small_integer("made_by").default(2)).await?;
        let connection = manager.get_connection();
        let number = "UPDATE api_keys SET lineage = key_id, number = (SELECT COUNT(*) FROM api_keys o \
             WHERE o.workspace_id = api_keys.workspace_id \
             AND (o.created_at, o.key_id) <= (api_keys.created_at, api_keys.key_id))";
        connection.execute_unprepared(number).await?;
        add_counter(manager, "api_keys", "api_keys").await?;
        manager.create_index(workspace_index("api_keys", &["number"]).unique().to_owned()).await?;
        // What counts against the cap, and against the hourly limit.
        let active = ["revoked_at", "rotated_to", "expires_at"];
        manager.create_index(workspace_index("api_keys", &active)).await?;
        manager.create_index(workspace_index("api_keys", &["made_by", "created_at"])).await?;
        manager.create_index(workspace_index("api_keys", &["lineage"])).await
    }
}
