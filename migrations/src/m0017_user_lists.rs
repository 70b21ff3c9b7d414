//! The lists of users, who are counted and versioned like every other noun: columns of their orders
//! and filters, folded where they are text.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, small_integer, text, text_null};
use sea_orm_migration::sea_orm::Statement;

use crate::case_folding::case_folded;
use crate::schema::{add_column, bytewise, workspace_index};

#[derive(DeriveMigrationName)]
pub struct Migration;

/// The indexes of user lists, each of which ends in the columns that a list shows without fetching
/// the row.
const INDEXES: [&[&str]; 6] = [
    &["created_at", "id", "facet"],
    &["updated_at", "id", "facet"],
    &["name_key", "id", "facet"],
    &["facet", "created_at", "id"],
    &["facet", "updated_at", "id"],
    &["facet", "name_key", "id"],
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add_column(manager, "users", big_integer("version").default(1)).await?;
        add_column(manager, "users", small_integer("facet").default(0)).await?;
        let name_key = &mut text("name_key");
        add_column(manager, "users", bytewise(manager, name_key.default(""))).await?;
        add_column(manager, "users", &mut text_null("department_key")).await?;
        fold_names(manager).await?;
        let facet = "UPDATE users SET facet = role * 4 + status";
        manager.get_connection().execute_unprepared(facet).await?;
        for (facet, group) in [("0", ""), ("facet", ", facet")] {
            let count = format!(
                "INSERT INTO facet_counts (workspace_id, noun, facet, row_count) \
                 SELECT workspace_id, 2, {facet}, COUNT(*) FROM users GROUP BY workspace_id{group}"
            );
            manager.get_connection().execute_unprepared(&count).await?;
        }
        for columns in INDEXES {
            manager.create_index(workspace_index("users", columns)).await?;
        }
        let department = workspace_index("users", &["department_key", "created_at", "id"])
            .and_where(Expr::col("department_key").is_not_null())
            .to_owned();
        manager.create_index(department).await
    }
}

/// Folds the names and departments that are there: no database does it as we do.
async fn fold_names(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let (database, backend) = (manager.get_connection(), manager.get_database_backend());
    let find = "SELECT workspace_id, id, display_name, department FROM users";
    for row in database.query_all_raw(Statement::from_string(backend, find)).await? {
        let (workspace, id): (i64, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let name: String = row.try_get_by_index(2)?;
        let department: Option<String> = row.try_get_by_index(3)?;
        let fold = "UPDATE users SET name_key = $1, department_key = $2 \
                    WHERE workspace_id = $3 AND id = $4";
        let values = [
            case_folded(&name).into(),
            department.as_deref().map(case_folded).into(),
            workspace.into(),
            id.into(),
        ];
        database.execute_raw(Statement::from_sql_and_values(backend, fold, values)).await?;
    }
    Ok(())
}
