//! The database: every row of every workspace, in SQLite or PostgreSQL.
//!
//! Reads hang on a [`Reader`], writes on a [`Tx`], and both are made for one workspace, so a query
//! across workspaces has no spelling. Two things stand outside: [`Store::find_key`], which is what
//! makes a caller and thereby a workspace, and the operator's look at the workspaces themselves.
//! The store knows nothing of protobuf, HTTP, scopes or what a ticket may do next.

mod audit;
mod connect;
mod counters;
mod cursor;
mod entity;
mod events;
mod failure;
mod idempotency;
mod key_lookup;
mod keys;
mod latencies;
mod pages;
mod request_logs;
mod rows;
mod sql;
mod sqlite_reads;
pub mod tickets;
mod tx;
mod usage;
mod users;
mod workspaces;

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use crate::clock::{Clock, Timestamp};
use crate::error::Error;
use crate::event::Origin;

pub use audit::{AuditFilter, AuditLog, NewAuditLog};
pub use cursor::CursorError;
pub use idempotency::{Claim, IdempotentAnswer, Turn};
pub use keys::{KeyChange, KeyChanges, KeyRecord, KeyStatus, MadeBy, NewKey};
pub use latencies::Latencies;
pub use pages::{CursorKey, Page, PageRequest, Position};
pub use request_logs::{NewRequestLog, RequestLog, RequestLogFilter, Transport};
pub use tx::Tx;
pub use usage::{Figures, FiguresKey, KeyUse, Span, Usage, UsageFigures, UsageFilter};
pub use users::{NewUser, Profile, Role, User, UserStatus};
pub use workspaces::{ADMIN_USER_ID, NewWorkspace, SYSTEM_USER_ID, Workspace, WorkspaceChanges};

use failure::failed;
use sqlite_reads::SqliteReads;

/// The number of a workspace inside the database. It is never shown: the API knows workspaces by
/// [`Workspace::public_id`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkspaceId(pub i64);

/// How the store uses its database.
#[derive(Debug, Clone)]
pub struct Settings {
    /// SQLite: connections that read, beside the one that writes.
    pub sqlite_readers: u32,
    /// SQLite: how long a statement waits for another process's lock.
    pub sqlite_busy_timeout: Duration,
    /// SQLite: the page cache of each connection, in KiB.
    pub sqlite_cache_kib: u32,
    /// PostgreSQL: connections.
    pub postgres_connections: u32,
    /// PostgreSQL: how long a statement may run.
    pub postgres_statement_timeout: Duration,
    /// PostgreSQL: a connection idle for this long is tested before it is used.
    pub postgres_test_idle_after: Duration,
    /// How long to wait for a free connection, and for a new one to be made.
    pub acquire_timeout: Duration,
    /// Prepared statements that each connection keeps.
    pub statement_cache: usize,
    /// Whether opening the store takes the migrations that the database lacks.
    pub migrate: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sqlite_readers: 4,
            sqlite_busy_timeout: Duration::from_secs(5),
            sqlite_cache_kib: 4 * 1024,
            postgres_connections: 16,
            postgres_statement_timeout: Duration::from_secs(15),
            postgres_test_idle_after: Duration::from_secs(30),
            acquire_timeout: Duration::from_secs(5),
            statement_cache: 512,
            migrate: true,
        }
    }
}

/// An open database. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Store {
    reads: DatabaseConnection,
    /// Only where the database is SQLite.
    sqlite_reads: Option<SqliteReads>,
    writes: DatabaseConnection,
    clock: Clock,
    gate: Arc<idempotency::Gate>,
}

impl Store {
    /// Opens the database at `url`: `sqlite://path/to/file.db`, which is created when missing, or
    /// `postgres://…`.
    pub async fn open(url: &str, settings: &Settings, clock: Clock) -> Result<Self, Error> {
        let (reads, writes) = connect::connect(url, settings).await.map_err(failed)?;
        let sqlite_reads = match reads.get_database_backend() {
            DbBackend::Sqlite => Some(SqliteReads::open(url, settings)?),
            _ => None,
        };
        Ok(Self { reads, sqlite_reads, writes, clock, gate: Arc::default() })
    }

    /// Reads of one workspace.
    pub fn reader(&self, workspace: WorkspaceId) -> Reader<'_> {
        Reader { connection: &self.reads, sqlite: self.sqlite_reads.as_ref(), workspace }
    }

    /// Begins a change of one workspace by somebody. On SQLite it waits until no other change is
    /// under way.
    pub async fn begin(&self, workspace: WorkspaceId, by: impl Into<Origin>) -> Result<Tx, Error> {
        Tx::begin(self, workspace, by.into()).await
    }

    /// The current instant, by the store's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), Error> {
        self.reads
            .query_one_raw(sql::statement(&self.reads, "SELECT 1", []))
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// Closes every connection; what is under way is waited for.
    pub async fn close(self) -> Result<(), Error> {
        if let Some(sqlite_reads) = self.sqlite_reads {
            sqlite_reads.close();
        }
        self.reads.close().await.map_err(failed)?;
        self.writes.close().await.map_err(failed)
    }
}

/// Reads of one workspace.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    connection: &'a DatabaseConnection,
    sqlite: Option<&'a SqliteReads>,
    workspace: WorkspaceId,
}

impl Reader<'_> {
    /// The query plan of a statement, a line each.
    async fn explain(&self, statement: Statement) -> Result<Vec<String>, Error> {
        let (explain, column) = match self.connection.get_database_backend() {
            DbBackend::Postgres => ("EXPLAIN", 0),
            _ => ("EXPLAIN QUERY PLAN", 3),
        };
        let sql = format!("{explain} {}", statement.sql);
        let rows = self.connection.query_all_raw(Statement { sql, ..statement }).await;
        let lines = rows.map_err(failed)?;
        let lines = lines.iter().map(|row| row.try_get_by_index(column));
        lines.collect::<Result<_, _>>().map_err(failed)
    }
}

/// A list as the JSON text of a column.
fn to_json<T: serde::Serialize>(list: &[T]) -> String {
    if list.is_empty() {
        return "[]".to_owned();
    }
    serde_json::to_string(list).expect("strings and numbers always serialize")
}

/// The list in the JSON text of a column.
fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<Vec<T>, Error> {
    if text == "[]" {
        return Ok(Vec::new());
    }
    serde_json::from_str(text).map_err(Error::internal)
}

/// A number that no kind has: written by a later version, or by somebody else.
fn unknown_number(column: &str, number: i16) -> Error {
    Error::internal(format!("{column} is {number}, which this version does not know"))
}
