//! A transaction that writes, on either database: what sea-orm builds, run by who writes there.

use std::path::Path;
use std::sync::Arc;

use sea_orm::{DatabaseConnection, DbBackend, DbErr, Statement};

use super::failure::{failed, is_storage};
use super::health::Health;
use super::postgres::{PostgresChange, PostgresWriter};
use super::row::{Decode, Row};
use super::sqlite::{SqliteChange, SqliteWriter};
use super::{Settings, sql};
use crate::error::Error;
use crate::metrics::{Counted, StoreOperation};

/// The connections of the watch of keys, which does one thing after the other.
pub(super) const WATCH_CONNECTIONS: u32 = 1;

/// The bytes that SQLite must have room for to count as writable.
const SQLITE_PROBE_BYTES: usize = 64 * 1024;

/// The writer of the database. Clones share their connections.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    by: By,
    health: Arc<Health>,
}

#[derive(Debug, Clone)]
enum By {
    Sqlite(SqliteWriter),
    Postgres(PostgresWriter),
}

impl Writer {
    /// The writer of a SQLite file that exists.
    pub(super) fn sqlite(file: &Path, settings: &Settings) -> Result<Self, DbErr> {
        let health = Arc::new(Health::default());
        let by = By::Sqlite(SqliteWriter::open(file, settings, Arc::clone(&health))?);
        Ok(Self { by, health })
    }

    /// A writer by the connections of `pool`.
    pub(super) fn postgres(
        pool: DatabaseConnection,
        connections: u32,
        settings: &Settings,
    ) -> Self {
        let writer = PostgresWriter::new(pool, connections, settings.acquire_timeout);
        Self { by: By::Postgres(writer), health: Arc::default() }
    }

    /// Returns the same writer by the connection of the watch; SQLite has but one.
    pub(super) fn by_connection(&self, watch: &DatabaseConnection) -> Self {
        let by = match &self.by {
            By::Sqlite(writer) => By::Sqlite(writer.clone()),
            By::Postgres(writer) => By::Postgres(writer.by_pool(watch, WATCH_CONNECTIONS)),
        };
        Self { by, health: Arc::clone(&self.health) }
    }

    /// Begins a transaction. On SQLite it waits until no other one is under way.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn begin(&self) -> Result<Transaction, DbErr> {
        let _timed = StoreOperation::begin("begin", "transactions");
        let waiting = Counted::new("orqit_changes_waiting");
        let begun = match &self.by {
            By::Sqlite(writer) => writer.begin().await.map(Under::Sqlite),
            By::Postgres(writer) => writer.begin().await.map(Under::Postgres),
        };
        drop(waiting);
        let open = Counted::new("orqit_changes_open");
        Ok(Transaction { under: begun?, health: Arc::clone(&self.health), _open: open })
    }

    /// Returns true if the storage has failed, and no write has succeeded since.
    pub(super) fn is_failing(&self) -> bool {
        self.health.is_failing()
    }

    /// Refuses when changes would be refused, or would be written where nobody finds them. While the
    /// storage fails, a small write tries whether it still does.
    pub(super) async fn check(&self) -> Result<(), Error> {
        if let By::Sqlite(writer) = &self.by {
            writer.check().await.map_err(failed)?;
        }
        if !self.health.is_failing() {
            return Ok(());
        }
        if !self.health.may_probe() {
            return Err(Error::unavailable(
                "the storage has failed and no write has succeeded since",
            ));
        }
        self.probe().await
    }

    /// Writes what no one will see, and as much as a change may need: a disk with room for a page has
    /// none for a ticket.
    async fn probe(&self) -> Result<(), Error> {
        let transaction = self.begin().await.map_err(failed)?;
        let backend = transaction.backend();
        let length = if backend == DbBackend::Sqlite { SQLITE_PROBE_BYTES } else { 1 };
        let text = "INSERT INTO key_watchers (id, epoch) VALUES ($1, 0)";
        let grow = sql::statement(backend, text, ["?".repeat(length).into()]);
        transaction.execute(grow).await.map_err(failed)?;
        let text = "DELETE FROM key_watchers WHERE epoch = 0 AND id LIKE '?%'";
        transaction.execute(sql::statement(backend, text, [])).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// Closes SQLite's writer; PostgreSQL's pool is closed by who has it.
    pub(super) async fn close(&self) -> Result<(), DbErr> {
        match &self.by {
            By::Sqlite(writer) => writer.close().await,
            By::Postgres(_) => Ok(()),
        }
    }
}

/// A transaction under way. Dropping it rolls back.
#[must_use = "a transaction that is not committed is rolled back"]
#[derive(Debug)]
pub(super) struct Transaction {
    under: Under,
    health: Arc<Health>,
    _open: Counted,
}

#[derive(Debug)]
enum Under {
    Sqlite(SqliteChange),
    Postgres(PostgresChange),
}

impl Transaction {
    pub(super) fn backend(&self) -> DbBackend {
        match &self.under {
            Under::Sqlite(_) => DbBackend::Sqlite,
            Under::Postgres(_) => DbBackend::Postgres,
        }
    }

    /// Runs a statement, and returns how many rows it wrote.
    pub(super) async fn execute(&self, statement: Statement) -> Result<u64, DbErr> {
        let done = match &self.under {
            Under::Sqlite(change) => change.execute(&statement).await,
            Under::Postgres(change) => change.execute(statement).await,
        };
        done.inspect_err(|error| self.note(error))
    }

    /// Reads the rows of a statement by `decode`.
    pub(super) async fn read<T>(
        &self,
        statement: Statement,
        decode: Decode<T>,
    ) -> Result<Vec<T>, Error> {
        self.try_read(statement, decode).await.map_err(failed)?
    }

    /// Reads the rows of a statement that may be refused: that is the outer error.
    pub(super) async fn try_read<T>(
        &self,
        statement: Statement,
        decode: Decode<T>,
    ) -> Result<Result<Vec<T>, Error>, DbErr> {
        let read = match &self.under {
            Under::Sqlite(change) => change.read(&statement, decode).await,
            Under::Postgres(change) => change.query(statement).await.map(|rows| {
                rows.iter().map(|row| decode(&Row::Orm(row))).collect::<Result<_, _>>()
            }),
        };
        read.inspect_err(|error| self.note(error))
    }

    /// Reads the first row of a statement by `decode`.
    pub(super) async fn read_one<T>(
        &self,
        statement: Statement,
        decode: Decode<T>,
    ) -> Result<Option<T>, Error> {
        Ok(self.read(statement, decode).await?.into_iter().next())
    }

    /// Marks a point that [`Transaction::roll_back_to_savepoint`] goes back to. The one that was
    /// marked last, and is not released, counts.
    pub(super) async fn set_savepoint(&self) -> Result<(), DbErr> {
        self.run("SAVEPOINT part").await
    }

    /// Forgets the savepoint, and keeps what was written since.
    pub(super) async fn release_savepoint(&self) -> Result<(), DbErr> {
        self.run("RELEASE SAVEPOINT part").await
    }

    /// Undoes everything since the savepoint, and forgets it.
    pub(super) async fn roll_back_to_savepoint(&self) -> Result<(), DbErr> {
        self.run("ROLLBACK TO SAVEPOINT part").await?;
        if let Under::Postgres(change) = &self.under {
            change.mend();
        }
        self.release_savepoint().await
    }

    async fn run(&self, text: &str) -> Result<(), DbErr> {
        self.execute(sql::statement(self.backend(), text, [])).await.map(|_| ())
    }

    /// Makes it last. When it has returned, what was written is on the disk, and everybody sees it.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn commit(self) -> Result<(), DbErr> {
        let _timed = StoreOperation::begin("commit", "transactions");
        let Self { under, health, _open } = self;
        match under {
            Under::Sqlite(change) => change.commit().await,
            Under::Postgres(change) => {
                let committed = change.commit().await;
                match &committed {
                    Ok(()) => health.wrote(),
                    Err(error) if is_storage(error) => health.failed(error),
                    Err(_) => {}
                }
                committed
            }
        }
    }

    fn note(&self, error: &DbErr) {
        if is_storage(error) {
            self.health.failed(error);
        }
    }
}
