//! `orqit migrate`: brings the database to this version's schema.

use crate::clock::Clock;
use crate::config::DatabaseArgs;
use crate::store::Store;

/// Migrates and stops.
pub async fn run(args: &DatabaseArgs) -> Result<(), String> {
    open(args).await?;
    println!("the database is up to date");
    Ok(())
}

/// Opens the database for an operator's command; it is migrated first.
pub async fn open(args: &DatabaseArgs) -> Result<Store, String> {
    Store::open(&args.database_url, &args.settings(), Clock::System)
        .await
        .map_err(|error| super::chain("cannot open the database", &error))
}
