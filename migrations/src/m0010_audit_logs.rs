//! The audit log of each workspace. The database itself refuses to change or delete an entry.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, small_integer, text, text_null};
use sea_orm_migration::sea_orm::DbBackend;

use crate::schema::{add_counter, in_workspace, workspace_index, workspace_key};

const SQLITE: &str = "\
    CREATE TRIGGER audit_logs_no_update BEFORE UPDATE ON audit_logs \
    BEGIN SELECT RAISE(ABORT, 'the audit log is only appended to'); END; \
    CREATE TRIGGER audit_logs_no_delete BEFORE DELETE ON audit_logs \
    BEGIN SELECT RAISE(ABORT, 'the audit log is only appended to'); END;";

const POSTGRES: &str = "\
    CREATE FUNCTION audit_logs_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ \
    BEGIN RAISE EXCEPTION 'the audit log is only appended to'; END $$; \
    CREATE TRIGGER audit_logs_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_logs \
    FOR EACH STATEMENT EXECUTE FUNCTION audit_logs_append_only();";

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let audit_logs = Table::create()
            .table("audit_logs")
            .col(big_integer("workspace_id"))
            .col(big_integer("id"))
            .col(big_integer("created_at"))
            .col(small_integer("actor_type"))
            .col(text("actor_id"))
            .col(text("actor_name"))
            .col(text("action"))
            .col(text_null("reason"))
            .col(text("resource_type"))
            .col(text_null("resource_id"))
            .col(text_null("before"))
            .col(text_null("after"))
            .col(text_null("request_id"))
            .col(text_null("client_ip"))
            .primary_key(&mut workspace_key(&["id"]))
            .foreign_key(&mut in_workspace("audit_logs"))
            .to_owned();
        manager.create_table(audit_logs).await?;
        for columns in [["actor_id", "id"].as_slice(), &["resource_type", "resource_id", "id"]] {
            manager.create_index(workspace_index("audit_logs", columns)).await?;
        }
        manager.create_index(workspace_index("audit_logs", &["resource_type", "id"])).await?;
        add_counter(manager, "audit_logs", "audit_logs").await?;
        let statements = match manager.get_database_backend() {
            DbBackend::Postgres => POSTGRES,
            _ => SQLITE,
        };
        manager.get_connection().execute_unprepared(statements).await?;
        Ok(())
    }
}
