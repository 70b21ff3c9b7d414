//! The begin of a transaction of sqlx, in a task of its own, which runs to its end.
//!
//! sqlx does not know of a transaction whose BEGIN was cut off: its connection goes back to the pool
//! inside of it, with its locks and its snapshot. So whoever stops to wait leaves a transaction that is
//! rolled back.

use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbErr, TransactionOptions, TransactionTrait,
};

use super::failure::away;

/// Begins a transaction on a connection of the pool.
pub(super) async fn begin(
    pool: &DatabaseConnection,
    options: TransactionOptions,
) -> Result<DatabaseTransaction, DbErr> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { pool.begin_with_options(options).await });
    begun.await.map_err(|error| away(format!("BEGIN was cut off: {error}")))?
}
