//! How the connections are made and set up; nothing here knows a table.

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr};

use super::Settings;

/// The connections to read with and to write with, after the migrations.
pub(super) async fn connect(
    url: &str,
    settings: &Settings,
) -> Result<(DatabaseConnection, DatabaseConnection), DbErr> {
    if url.starts_with("sqlite:") {
        let writes = connect_sqlite_writer(url, settings).await?;
        migrate(&writes, settings).await?;
        Ok((connect_sqlite_readers(url, settings).await?, writes))
    } else {
        let pool = connect_postgres(url, settings).await?;
        migrate(&pool, settings).await?;
        Ok((pool.clone(), pool))
    }
}

async fn migrate(database: &DatabaseConnection, settings: &Settings) -> Result<(), DbErr> {
    if settings.migrate { migrations::migrate(database).await } else { Ok(()) }
}

/// SQLite has one writer at a time: with one connection the changes of this process queue for it
/// in order, instead of polling each other's locks.
async fn connect_sqlite_writer(
    url: &str,
    settings: &Settings,
) -> Result<DatabaseConnection, DbErr> {
    let mut options = options(url, settings);
    options.min_connections(1).max_connections(1).test_before_acquire(false);
    let set_up = sqlite_set_up(settings);
    options.map_sqlx_sqlite_opts(move |sqlite| {
        set_up(sqlite)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What is acknowledged is on the disk.
            .synchronous(SqliteSynchronous::Full)
    });
    Database::connect(options).await
}

async fn connect_sqlite_readers(
    url: &str,
    settings: &Settings,
) -> Result<DatabaseConnection, DbErr> {
    let mut options = options(url, settings);
    let readers = settings.sqlite_readers.max(1);
    options.min_connections(readers).max_connections(readers).test_before_acquire(false);
    let set_up = sqlite_set_up(settings);
    // Not `mode=ro`: a reader must be able to make the shared-memory file of the log.
    options.map_sqlx_sqlite_opts(move |sqlite| set_up(sqlite).pragma("query_only", "ON"));
    Database::connect(options).await
}

/// What readers and writer have in common.
fn sqlite_set_up(
    settings: &Settings,
) -> impl Fn(SqliteConnectOptions) -> SqliteConnectOptions + Send + Sync + 'static {
    let settings = settings.clone();
    move |sqlite| {
        sqlite
            .foreign_keys(true)
            .busy_timeout(settings.sqlite_busy_timeout)
            .statement_cache_capacity(settings.statement_cache)
            // A page of a list fits, so that its reader is woken once, not once a row.
            .row_buffer_size(128)
            .pragma("temp_store", "MEMORY")
            // Negative: in KiB, not in pages.
            .pragma("cache_size", format!("-{}", settings.sqlite_cache_kib))
    }
}

async fn connect_postgres(url: &str, settings: &Settings) -> Result<DatabaseConnection, DbErr> {
    let mut options = options(url, settings);
    options
        .max_connections(settings.postgres_connections)
        .test_before_acquire_if_idle_for(settings.postgres_test_idle_after);
    let settings = settings.clone();
    options.map_sqlx_postgres_opts(move |postgres| {
        let statement_timeout = settings.postgres_statement_timeout.as_millis().to_string();
        postgres.statement_cache_capacity(settings.statement_cache).options([
            ("statement_timeout", statement_timeout.as_str()),
            // Compiling a query takes longer than any query here.
            ("jit", "off"),
            // Every statement is written for an index: no passing estimate shall turn it into a
            // scan, which takes longer with every row that comes.
            ("enable_seqscan", "off"),
        ])
    });
    Database::connect(options).await
}

fn options(url: &str, settings: &Settings) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .acquire_timeout(settings.acquire_timeout)
        .idle_timeout(None)
        .max_lifetime(None)
        .sqlx_logging(false)
        .record_stmt_in_spans(false);
    options
}
