//! The database schema, one file a step, one definition for SQLite and PostgreSQL.
//!
//! A step is small, goes forward, and is safe beside the version before it. There is no way back:
//! a mistake is corrected by another step. The rows that a workspace begins with are not made
//! here but by the store.

mod case_folding;
mod m0001_workspaces;
mod m0002_users;
mod m0003_api_keys;
mod m0004_tickets;
mod m0005_ticket_indexes;
mod m0006_events;
mod m0007_key_lives;
mod m0008_workspace_settings;
mod m0009_user_profiles;
mod m0010_audit_logs;
mod m0011_key_epoch;
mod m0012_request_logs;
mod m0013_idempotency;
mod m0014_versions;
mod m0015_folded_emails;
mod m0016_facet_counts;
mod m0017_user_lists;
mod m0018_fewer_ticket_indexes;
mod m0019_history;
mod m0020_comments;
mod m0021_words;
mod m0022_ticket_sources;
mod m0023_categories;
mod m0024_custom_fields;
mod m0025_articles;
mod m0026_assets;
mod m0027_projects;
mod m0028_user_references;
mod m0029_webhooks;
mod m0030_emails;
mod m0031_imports;
mod schema;
mod words;

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{
    DatabaseConnection, DbBackend, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};

pub use case_folding::case_folded;
pub use words::{joined, with_words, words};

/// The lock that replicas take in turn while they migrate: any number that nobody else takes.
const MIGRATION_LOCK: i64 = 0x6f72_7169_745f_6d67;

/// The migrator of all steps, in order.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_workspaces::Migration),
            Box::new(m0002_users::Migration),
            Box::new(m0003_api_keys::Migration),
            Box::new(m0004_tickets::Migration),
            Box::new(m0005_ticket_indexes::Migration),
            Box::new(m0006_events::Migration),
            Box::new(m0007_key_lives::Migration),
            Box::new(m0008_workspace_settings::Migration),
            Box::new(m0009_user_profiles::Migration),
            Box::new(m0010_audit_logs::Migration),
            Box::new(m0011_key_epoch::Migration),
            Box::new(m0012_request_logs::Migration),
            Box::new(m0013_idempotency::Migration),
            Box::new(m0014_versions::Migration),
            Box::new(m0015_folded_emails::Migration),
            Box::new(m0016_facet_counts::Migration),
            Box::new(m0017_user_lists::Migration),
            Box::new(m0018_fewer_ticket_indexes::Migration),
            Box::new(m0019_history::Migration),
            Box::new(m0020_comments::Migration),
            Box::new(m0021_words::Migration),
            Box::new(m0022_ticket_sources::Migration),
            Box::new(m0023_categories::Migration),
            Box::new(m0024_custom_fields::Migration),
            Box::new(m0025_articles::Migration),
            Box::new(m0026_assets::Migration),
            Box::new(m0027_projects::Migration),
            Box::new(m0028_user_references::Migration),
            Box::new(m0029_webhooks::Migration),
            Box::new(m0030_emails::Migration),
            Box::new(m0031_imports::Migration),
        ]
    }
}

/// Takes the steps that the database lacks, all or none. Replicas that start at once take turns:
/// the first takes the steps, the others then find nothing to do.
pub async fn migrate(database: &DatabaseConnection) -> Result<(), DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..Default::default()
    };
    let transaction = database.begin_with_options(options).await?;
    if transaction.get_database_backend() == DbBackend::Postgres {
        // A step, or the wait for another replica's, may take longer than a request may.
        transaction.execute_unprepared("SET LOCAL statement_timeout = 0").await?;
        let lock = format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})");
        transaction.execute_unprepared(&lock).await?;
    }
    Migrator::up(&transaction, None).await?;
    transaction.commit().await
}
