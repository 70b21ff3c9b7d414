//! The settings of the store.

use std::time::Duration;

use super::Faults;

/// The settings of the store's use of its database.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The connections that read, beside the one that writes (SQLite).
    pub sqlite_readers: u32,
    /// The longest time that a statement waits for another process's lock (SQLite).
    pub sqlite_busy_timeout: Duration,
    /// The longest time for which opening is tried again while other processes open or migrate the
    /// file (SQLite).
    pub sqlite_open_timeout: Duration,
    /// The page cache of each connection, in KiB (SQLite).
    pub sqlite_cache_kib: u32,
    /// The number of connections (PostgreSQL).
    pub postgres_connections: u32,
    /// The longest time of a statement (PostgreSQL).
    pub postgres_statement_timeout: Duration,
    /// The longest time that a transaction may stand still before the server ends it (PostgreSQL).
    pub postgres_idle_in_transaction: Duration,
    /// The idle time after which a connection is tested before it is used (PostgreSQL).
    pub postgres_test_idle_after: Duration,
    /// The longest wait for a free connection, and for a new one to be made.
    pub acquire_timeout: Duration,
    /// The number of prepared statements that each connection keeps.
    pub statement_cache: usize,
    /// True if opening the store applies the migrations that the database lacks.
    pub migrate: bool,
    /// The faults that a test asks for.
    pub faults: Faults,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sqlite_readers: 4,
            sqlite_busy_timeout: Duration::from_secs(5),
            sqlite_open_timeout: Duration::from_secs(30),
            sqlite_cache_kib: 2 * 1024,
            postgres_connections: 16,
            postgres_statement_timeout: Duration::from_secs(15),
            postgres_idle_in_transaction: Duration::from_secs(15),
            postgres_test_idle_after: Duration::from_secs(30),
            acquire_timeout: Duration::from_secs(5),
            statement_cache: 512,
            migrate: true,
            faults: Faults::default(),
        }
    }
}
