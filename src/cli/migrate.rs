//! `orqit migrate`: brings the database to this version's schema.

use super::database;
use super::settings::DatabaseArgs;

/// Migrates the database, and stops.
pub async fn run(args: &DatabaseArgs) -> Result<(), String> {
    database::open(args).await?;
    println!("the database is up to date");
    Ok(())
}
