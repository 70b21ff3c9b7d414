//! The parts that several steps share: keys within a workspace, and references that cannot leave
//! it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// The primary key `(workspace_id, …columns)`.
pub fn workspace_key(columns: &[&'static str]) -> IndexCreateStatement {
    let mut key = Index::create().col("workspace_id").to_owned();
    for column in columns {
        key.col(*column);
    }
    key.primary().to_owned()
}

/// A reference of `table.workspace_id` to the workspace itself.
pub fn in_workspace(table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(format!("{table}_workspace_fkey"))
        .from_tbl(table)
        .from_col("workspace_id")
        .to_tbl("workspaces")
        .to_col("id")
        .to_owned()
}

/// A reference of `table.column` to the row of `target` with that id in the same workspace.
pub fn same_workspace(
    table: &'static str,
    column: &'static str,
    target: &'static str,
) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(format!("{table}_{column}_fkey"))
        .from_tbl(table)
        .from_col("workspace_id")
        .from_col(column)
        .to_tbl(target)
        .to_col("workspace_id")
        .to_col("id")
        .to_owned()
}

/// An index named after its table and columns, led by the workspace.
pub fn workspace_index(table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let name = format!("{table}_{}_idx", columns.join("_"));
    let mut index = Index::create().name(name).table(table).col("workspace_id").to_owned();
    for column in columns {
        index.col(*column);
    }
    index
}

/// Keeps the rows of a narrow table in its primary key. On SQLite that saves the second tree;
/// PostgreSQL has no such tables.
pub fn clustered(manager: &SchemaManager<'_>, table: &mut TableCreateStatement) {
    if manager.get_database_backend() == DbBackend::Sqlite {
        table.extra("WITHOUT ROWID");
    }
}

/// A text that is compared byte by byte, as SQLite does: PostgreSQL would go by the database's
/// language.
pub fn bytewise<'c>(manager: &SchemaManager<'_>, column: &'c mut ColumnDef) -> &'c mut ColumnDef {
    match manager.get_database_backend() {
        DbBackend::Postgres => column.extra("COLLATE \"C\""),
        _ => column,
    }
}

/// Adds a column to a table that has rows: it is nullable or has a default.
pub async fn add_column(
    manager: &SchemaManager<'_>,
    table: &'static str,
    column: &mut ColumnDef,
) -> Result<(), DbErr> {
    manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await
}

/// Gives the workspaces that exist a counter that stands at the number of their rows in `table`.
pub async fn add_counter(
    manager: &SchemaManager<'_>,
    name: &'static str,
    table: &'static str,
) -> Result<(), DbErr> {
    let insert = format!(
        "INSERT INTO counters (workspace_id, name, value) SELECT w.id, '{name}', \
         (SELECT COUNT(*) FROM {table} t WHERE t.workspace_id = w.id) FROM workspaces w"
    );
    manager.get_connection().execute_unprepared(&insert).await?;
    Ok(())
}
