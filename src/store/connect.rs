//! The connections, and how they are set up; nothing here knows a table.

use std::path::Path;
use std::time::{Duration, Instant};

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr};

use super::Settings;
use super::failure::{away, is_busy};
use super::transaction::{WATCH_CONNECTIONS, Writer};

/// The pause until a database that was busy is tried again.
const SQLITE_OPEN_RETRIED: Duration = Duration::from_millis(20);

/// The connections of a store.
pub(super) struct Connections {
    pub(super) reads: DatabaseConnection,
    /// The connection of the watch of keys, which nothing else uses.
    pub(super) watch: DatabaseConnection,
    pub(super) writer: Writer,
}

/// Connects to the database at `url`, which for SQLite is this file, and applies the migrations
/// that it lacks.
pub(super) async fn connect(
    url: &str,
    sqlite_file: Option<&Path>,
    settings: &Settings,
) -> Result<Connections, DbErr> {
    if let Some(file) = sqlite_file {
        let first = while_busy(settings, || connect_sqlite(url, settings)).await?;
        while_busy(settings, || migrate(&first, settings)).await?;
        let reads = connect_sqlite_readers(url, settings).await?;
        first.close().await?;
        // The watch reads in place, and needs none of the pool.
        let (watch, writer) = (reads.clone(), sqlite_writer(file, settings).await?);
        Ok(Connections { reads, watch, writer })
    } else {
        let reads = connect_postgres(url, settings, settings.postgres_connections).await?;
        migrate(&reads, settings).await?;
        let watch = connect_postgres(url, settings, WATCH_CONNECTIONS).await?;
        let writer = Writer::postgres(reads.clone(), settings.postgres_connections, settings);
        Ok(Connections { reads, watch, writer })
    }
}

async fn migrate(database: &DatabaseConnection, settings: &Settings) -> Result<(), DbErr> {
    if settings.migrate { migrations::migrate(database).await } else { Ok(()) }
}

/// Does the work again while SQLite is busy, for [`Settings::sqlite_open_timeout`] at most.
///
/// Processes that open a new file at once are in each other's way. The switch to WAL reads the
/// header and then writes it: where another connection is about to write, SQLite refuses that at
/// once and does not wait for the busy timeout, because two that wait here would wait for each
/// other. And the migrations of the others may take longer than one statement waits.
async fn while_busy<T, F>(settings: &Settings, work: impl Fn() -> F) -> Result<T, DbErr>
where
    F: Future<Output = Result<T, DbErr>>,
{
    let began = Instant::now();
    loop {
        match work().await {
            Err(error) if is_busy(&error) && began.elapsed() < settings.sqlite_open_timeout => {
                tokio::time::sleep(SQLITE_OPEN_RETRIED).await;
            }
            done => return done,
        }
    }
}

/// The connection that makes the file if it is missing, and takes the migrations.
async fn connect_sqlite(url: &str, settings: &Settings) -> Result<DatabaseConnection, DbErr> {
    let mut options = options(url, settings);
    options.min_connections(1).max_connections(1).test_before_acquire(false);
    let set_up = sqlite_set_up(settings);
    options.map_sqlx_sqlite_opts(move |sqlite| {
        set_up(sqlite)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
    });
    Database::connect(options).await
}

/// Opens the writer of a SQLite file that exists, on a thread on which waiting keeps no task: it
/// waits for the file's lock, which a task of the runtime may hold.
async fn sqlite_writer(file: &Path, settings: &Settings) -> Result<Writer, DbErr> {
    let (file, settings) = (file.to_owned(), settings.clone());
    let opened = tokio::task::spawn_blocking(move || Writer::sqlite(&file, &settings)).await;
    opened.unwrap_or_else(|panic| Err(away(format!("the opening of the writer ended: {panic}"))))
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

/// Returns the settings that readers and writer share.
fn sqlite_set_up(
    settings: &Settings,
) -> impl Fn(SqliteConnectOptions) -> SqliteConnectOptions + Send + Sync + 'static {
    let settings = settings.clone();
    move |sqlite| {
        sqlite
            .foreign_keys(true)
            .busy_timeout(settings.sqlite_busy_timeout)
            .statement_cache_capacity(settings.statement_cache)
            // So many rows may be half a megabyte each; a page of small ones is read in place.
            .row_buffer_size(16)
            .pragma("temp_store", "MEMORY")
            // Negative: in KiB, not in pages.
            .pragma("cache_size", format!("-{}", settings.sqlite_cache_kib))
    }
}

async fn connect_postgres(
    url: &str,
    settings: &Settings,
    connections: u32,
) -> Result<DatabaseConnection, DbErr> {
    let mut options = options(url, settings);
    options
        .max_connections(connections)
        .test_before_acquire_if_idle_for(settings.postgres_test_idle_after);
    let settings = settings.clone();
    options.map_sqlx_postgres_opts(move |postgres| {
        let statement_timeout = settings.postgres_statement_timeout.as_millis().to_string();
        let idle_timeout = settings.postgres_idle_in_transaction.as_millis().to_string();
        postgres.statement_cache_capacity(settings.statement_cache).options([
            ("statement_timeout", statement_timeout.as_str()),
            // Compiling a query takes longer than any query here.
            ("jit", "off"),
            // A process that stands still in the middle of a change must not keep its locks.
            ("idle_in_transaction_session_timeout", idle_timeout.as_str()),
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
