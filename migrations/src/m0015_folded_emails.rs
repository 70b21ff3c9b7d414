//! Case folding of addresses, by Unicode and no longer by lower case: `ς` and `σ` are one letter.
//! Two users whose addresses become one are told, and nothing is changed.

use std::collections::HashMap;

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{DbBackend, Statement};

use crate::case_folding::case_folded;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// A user whose address is not all ASCII: folding changes no other.
struct User {
    workspace: i64,
    id: i64,
    email: String,
    key: String,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let users = find(manager).await?;
        let mut owners: HashMap<(i64, String), &User> = HashMap::new();
        for user in &users {
            if let Some(other) = owners.insert((user.workspace, case_folded(&user.email)), user) {
                return Err(collision(manager, user.workspace, &user.email, &other.email).await?);
            }
        }
        let moved: Vec<_> =
            owners.into_iter().filter(|((_, key), user)| *key != user.key).collect();
        // First out of each other's way: one's new key may be another's old one.
        for (_, user) in &moved {
            set_key(manager, user, format!("\u{1}{}", user.id)).await?;
        }
        for ((workspace, key), user) in &moved {
            if let Some(email) = find_by_key(manager, *workspace, key).await? {
                return Err(collision(manager, *workspace, &user.email, &email).await?);
            }
            set_key(manager, user, key.clone()).await?;
        }
        Ok(())
    }
}

async fn find(manager: &SchemaManager<'_>) -> Result<Vec<User>, DbErr> {
    let foreign = match manager.get_database_backend() {
        DbBackend::Postgres => "email_key ~ '[^\\x01-\\x7f]' OR email ~ '[^\\x01-\\x7f]'",
        _ => "email_key GLOB '*[^\u{1}-\u{7f}]*' OR email GLOB '*[^\u{1}-\u{7f}]*'",
    };
    let text = format!(
        "SELECT workspace_id, id, email, email_key FROM users WHERE {foreign} \
         ORDER BY workspace_id, id"
    );
    let statement = Statement::from_string(manager.get_database_backend(), text);
    let rows = manager.get_connection().query_all_raw(statement).await?;
    let user = |row: &sea_orm_migration::sea_orm::QueryResult| {
        let (workspace, id) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let (email, key) = (row.try_get_by_index(2)?, row.try_get_by_index(3)?);
        Ok(User { workspace, id, email, key })
    };
    rows.iter().map(user).collect()
}

async fn find_by_key(
    manager: &SchemaManager<'_>,
    workspace: i64,
    key: &str,
) -> Result<Option<String>, DbErr> {
    let text = "SELECT email FROM users WHERE workspace_id = $1 AND email_key = $2";
    let values = [workspace.into(), key.into()];
    let statement = Statement::from_sql_and_values(manager.get_database_backend(), text, values);
    let row = manager.get_connection().query_one_raw(statement).await?;
    row.map(|row| row.try_get_by_index(0)).transpose()
}

async fn set_key(manager: &SchemaManager<'_>, user: &User, key: String) -> Result<(), DbErr> {
    let text = "UPDATE users SET email_key = $1 WHERE workspace_id = $2 AND id = $3";
    let values = [key.into(), user.workspace.into(), user.id.into()];
    let statement = Statement::from_sql_and_values(manager.get_database_backend(), text, values);
    manager.get_connection().execute_raw(statement).await?;
    Ok(())
}

/// The refusal of two users who become one.
async fn collision(
    manager: &SchemaManager<'_>,
    workspace: i64,
    one: &str,
    other: &str,
) -> Result<DbErr, DbErr> {
    let text = "SELECT slug FROM workspaces WHERE id = $1";
    let statement =
        Statement::from_sql_and_values(manager.get_database_backend(), text, [workspace.into()]);
    let row = manager.get_connection().query_one_raw(statement).await?;
    let slug: String = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
    Ok(DbErr::Migration(format!(
        "in the workspace `{slug}` the users {one} and {other} have one address whatever its case: \
         with the version before, give one of them another address, and start this version again"
    )))
}
