//! The database: every row of every workspace, in SQLite or PostgreSQL.
//!
//! Reads hang on a [`Reader`], writes on a [`Tx`], and both are made for one workspace, so a query
//! across workspaces has no spelling. Two things stand outside: [`Store::find_key`], which is what
//! makes a caller and thereby a workspace, and the operator's look at the workspaces themselves.
//! The store knows nothing of protobuf, HTTP, scopes or what a ticket may do next.

pub mod articles;
pub mod assets;
mod audit;
mod begin;
mod categories;
mod conclude;
mod connect;
mod counters;
mod cursor;
mod custom_fields;
pub mod emails;
mod entity;
mod events;
mod failure;
mod faults;
mod gate;
mod health;
mod history;
mod idempotency;
mod key_lookup;
mod keys;
mod latencies;
mod locks;
mod log;
mod newest;
mod notify;
pub mod nouns;
mod pages;
mod postgres;
pub mod projects;
mod request_logs;
mod row;
mod rows;
mod savepoint;
mod settings;
mod sql;
mod sqlite;
mod sqlite_file;
mod stored_enum;
pub mod tasks;
pub mod tickets;
mod transaction;
mod tx;
mod usage;
pub mod users;
mod wakes;
pub mod webhooks;
mod workspaces;

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use crate::clock::{Clock, Timestamp};
use crate::error::Error;
use crate::event::Origin;

pub use audit::{AuditFilter, AuditLog, NewAuditLog};
pub use categories::{CategoryConfig, NewCategory};
pub use cursor::CursorError;
pub use custom_fields::{
    Bounds, CUSTOM_FIELDS_MAX, CustomField, CustomFieldType, FieldOption, NewCustomField,
};
pub use faults::Faults;
pub use history::{BroughtHistory, HistoryEntry};
pub use idempotency::{Claim, IdempotentAnswer};
pub use keys::{KeyChange, KeyChanges, KeyRecord, KeyStatus, MadeBy, NewKey};
pub use latencies::Latencies;
pub use locks::{Begun, Locking, Parents, Rows};
pub use log::{EventKey, Followed, LogEnds, LogPage};
pub use pages::{CursorKey, Page, PageRequest, Position};
pub use request_logs::{NewRequestLog, RequestLog, RequestLogFilter};
pub use settings::Settings;
pub use sqlite_file::sqlite_file;
pub use tx::Tx;
pub use usage::{Figures, FiguresKey, KeyUse, Span, Usage, UsageFigures, UsageFilter};
pub use users::{Role, User, UserStatus};
pub use wakes::{Noted, Wakes};
pub use workspaces::{ADMIN_USER_ID, NewWorkspace, SYSTEM_USER_ID, Workspace, WorkspaceChanges};

use failure::failed;
use gate::Gate;
use row::Row;
use sqlite::SqliteReads;
use transaction::Writer;

/// The number of a workspace inside the database. It is never shown: the API knows workspaces by
/// [`Workspace::public_id`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkspaceId(pub i64);

/// An open database. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Store {
    reads: DatabaseConnection,
    /// The connection of the watch of keys, which no slow list holds up.
    watch: DatabaseConnection,
    /// Only where the database is SQLite.
    sqlite_reads: Option<SqliteReads>,
    writer: Writer,
    clock: Clock,
    /// The gate at which requests with one idempotency key take turns.
    claims: Arc<Gate<idempotency::GateKey>>,
    /// The gate at which changes of one workspace on PostgreSQL take turns; see [`Tx`].
    changes: Arc<Gate<WorkspaceId>>,
    turn_within: Duration,
    wakes: Arc<Wakes>,
}

impl Store {
    /// Opens the database at `url`: `sqlite://path/to/file.db`, which is created when missing, or
    /// `postgres://…`.
    pub async fn open(url: &str, settings: &Settings, clock: Clock) -> Result<Self, Error> {
        let file = sqlite_file(url)?;
        let connect::Connections { reads, watch, writer } =
            connect::connect(url, file.as_deref(), settings).await.map_err(failed)?;
        let is_shared = file.is_none();
        let sqlite_reads = file.map(|file| SqliteReads::open(&file, settings)).transpose()?;
        let (claims, changes) = (Arc::default(), Arc::default());
        let turn_within = settings.acquire_timeout;
        let wakes = Arc::new(Wakes::new(is_shared));
        Ok(Self { reads, watch, sqlite_reads, writer, clock, claims, changes, turn_within, wakes })
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

    /// Begins a change as [`Store::begin`] does that locks what is there before it makes or changes
    /// anything.
    pub async fn begin_locking(
        &self,
        workspace: WorkspaceId,
        by: impl Into<Origin>,
    ) -> Result<Locking<Begun>, Error> {
        self.begin(workspace, by).await.map(Locking::begin)
    }

    /// Returns the wakes, which tell that a workspace's log has grown.
    pub fn wakes(&self) -> &Wakes {
        &self.wakes
    }

    /// The current instant, by the store's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Checks that the database answers, and takes changes as far as is known.
    pub async fn ping(&self) -> Result<(), Error> {
        let select = sql::statement(self.backend(), "SELECT 1", []);
        self.read_short(select, |row| row.get::<i32>(0)).await?;
        self.writer.check().await
    }

    /// Returns true if a change has failed for its storage, and none has succeeded since.
    pub fn is_failing(&self) -> bool {
        self.writer.is_failing()
    }

    /// Shows in the metrics how many connections of the pool that reads are idle and used.
    pub fn sample(&self) {
        let (size, idle) = match self.backend() {
            DbBackend::Postgres => {
                let pool = self.reads.get_postgres_connection_pool();
                (pool.size(), pool.num_idle())
            }
            _ => {
                let pool = self.reads.get_sqlite_connection_pool();
                (pool.size(), pool.num_idle())
            }
        };
        let used = (size as usize).saturating_sub(idle);
        metrics::gauge!("orqit_database_connections", "state" => "idle").set(idle as f64);
        metrics::gauge!("orqit_database_connections", "state" => "used").set(used as f64);
    }

    /// Closes every connection; what is under way is waited for.
    pub async fn close(self) -> Result<(), Error> {
        if let Some(sqlite_reads) = &self.sqlite_reads {
            sqlite_reads.close();
        }
        let reads = self.reads.close().await.and(self.watch.close().await);
        // Last, so that it folds the log of SQLite into the database.
        self.writer.close().await.map_err(failed)?;
        reads.map_err(failed)
    }

    /// Returns a store of the same database by the connection of the watch, which nothing else
    /// uses.
    pub fn watching(&self) -> Self {
        let writer = self.writer.by_connection(&self.watch);
        Self { reads: self.watch.clone(), writer, ..self.clone() }
    }

    fn backend(&self) -> DbBackend {
        self.reads.get_database_backend()
    }

    /// Reads the rows of a statement that belongs to no workspace, and is short work whatever it
    /// asks for, by `decode`.
    async fn read_short<T>(
        &self,
        statement: Statement,
        decode: row::Decode<T>,
    ) -> Result<Vec<T>, Error> {
        if let Some(sqlite) = &self.sqlite_reads
            && let Some(rows) = sqlite.read(&statement, decode)?
        {
            return Ok(rows);
        }
        let rows = self.reads.query_all_raw(statement).await.map_err(failed)?;
        rows.iter().map(|row| decode(&Row::Orm(row))).collect()
    }

    /// The rows of a statement that looks through all workspaces.
    async fn read_everywhere<T>(
        &self,
        statement: Statement,
        decode: row::Decode<T>,
    ) -> Result<Vec<T>, Error> {
        let rows = self.reads.query_all_raw(statement).await.map_err(failed)?;
        rows.iter().map(|row| decode(&Row::Orm(row))).collect()
    }

    /// Runs one statement that changes something and tells of it to nobody, and returns how many
    /// rows it wrote.
    async fn execute(&self, statement: Statement) -> Result<u64, Error> {
        let transaction = self.writer.begin().await.map_err(failed)?;
        let written = transaction.execute(statement).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(written)
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
    fn backend(&self) -> DbBackend {
        self.connection.get_database_backend()
    }

    /// The query plans of statements, a line each.
    async fn explain_all(
        &self,
        statements: impl IntoIterator<Item = Statement>,
    ) -> Result<Vec<String>, Error> {
        let mut plan = Vec::new();
        for statement in statements {
            plan.extend(self.explain(statement).await?);
        }
        Ok(plan)
    }

    /// The query plan of a statement, a line each.
    async fn explain(&self, statement: Statement) -> Result<Vec<String>, Error> {
        let (explain, column) = match self.backend() {
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

/// Makes the error of a number that no kind has: written by a later version, or by somebody else.
fn unknown_number(column: &str, number: i16) -> Error {
    Error::internal(format!("{column} is {number}, which this version does not know"))
}
