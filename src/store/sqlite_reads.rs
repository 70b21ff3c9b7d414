//! Short reads of SQLite, done where they are asked for.
//!
//! The pool of sqlx hands a statement to its connection's thread, copies each value of each row,
//! sends the rows back one by one, and then asks the connection whether it is well. For a row by
//! its key, or a page that an index has in order, all that is several times the work of the read,
//! which takes less time than to wake a thread. Here such a read is made in place, and its rows are
//! decoded where SQLite has them.
//!
//! A read is one statement, and so of one moment. It must be short whatever the caller sends: it
//! keeps a thread of the runtime from everything else. What is not, and all that writes, goes
//! through sea-orm.

use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql};
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::{Statement, Value};

use super::Settings;
use super::rows::{Decode, Row};
use crate::error::Error;

/// A connection for each thread of the runtime.
#[derive(Debug, Clone)]
pub(super) struct SqliteReads {
    connections: Arc<[Mutex<Option<Connection>>]>,
}

impl SqliteReads {
    /// Connects to the database at `url`, which exists.
    pub(super) fn open(url: &str, settings: &Settings) -> Result<Self, Error> {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let connections = (0..count).map(|_| Ok(Mutex::new(Some(connect(url, settings)?))));
        let connections: rusqlite::Result<_> = connections.collect();
        Ok(Self { connections: connections.map_err(failed)? })
    }

    /// What `decode` makes of each row of a statement that is short work.
    pub(super) fn read<T>(
        &self,
        statement: &Statement,
        decode: Decode<T>,
    ) -> Result<Vec<T>, Error> {
        let free = self.connections.iter().find_map(|connection| match connection.try_lock() {
            Ok(connection) => Some(connection),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        });
        // Not one is free when more threads read than run: those who have one are about to be done.
        let connection = free.unwrap_or_else(|| lock(&self.connections[0]));
        let connection = connection.as_ref();
        query(
            connection.ok_or_else(|| Error::unavailable("the store is closed"))?,
            statement,
            decode,
        )
    }

    /// Closes the connections.
    pub(super) fn close(&self) {
        for connection in &*self.connections {
            lock(connection).take();
        }
    }
}

/// A read that panicked has left its connection as it was.
fn lock(connection: &Mutex<Option<Connection>>) -> std::sync::MutexGuard<'_, Option<Connection>> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connect(url: &str, settings: &Settings) -> rusqlite::Result<Connection> {
    let options = SqliteConnectOptions::from_str(url).unwrap_or_default();
    // Not read-only: a reader must be able to make the shared-memory file of the log.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(options.get_filename(), flags)?;
    connection.busy_timeout(settings.sqlite_busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(settings.statement_cache);
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Negative: in KiB, not in pages.
    connection.pragma_update(None, "cache_size", -i64::from(settings.sqlite_cache_kib))?;
    Ok(connection)
}

fn query<T>(
    connection: &Connection,
    statement: &Statement,
    decode: Decode<T>,
) -> Result<Vec<T>, Error> {
    let mut prepared = connection.prepare_cached(&statement.sql).map_err(failed)?;
    bind(&mut prepared, statement)?;
    let mut rows = prepared.raw_query();
    let mut decoded = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        decoded.push(decode(&Row::Sqlite(row))?);
    }
    Ok(decoded)
}

/// Binds `$1`, `$2` … To SQLite these are names, which it numbers as it meets them in the text.
fn bind(prepared: &mut rusqlite::Statement<'_>, statement: &Statement) -> Result<(), Error> {
    let values = statement.values.as_ref().map_or(&[][..], |values| &values.0);
    for place in 1..=prepared.parameter_count() {
        let number = prepared.parameter_name(place).and_then(|name| name[1..].parse().ok());
        let value = number.and_then(|number: usize| values.get(number.checked_sub(1)?));
        let value = value.ok_or_else(|| Error::internal("a statement lacks a parameter"))?;
        prepared.raw_bind_parameter(place, Parameter(value)).map_err(failed)?;
    }
    Ok(())
}

struct Parameter<'a>(&'a Value);

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match self.0 {
            Value::SmallInt(Some(value)) => ValueRef::Integer((*value).into()),
            Value::Int(Some(value)) => ValueRef::Integer((*value).into()),
            Value::BigInt(Some(value)) => ValueRef::Integer(*value),
            Value::String(Some(value)) => ValueRef::Text(value.as_bytes()),
            other => {
                let error = format!("a short read binds a {other:?}");
                return Err(rusqlite::Error::ToSqlConversionFailure(error.into()));
            }
        };
        Ok(ToSqlOutput::Borrowed(value))
    }
}

/// The error of a read: the database is busy for longer than we wait, or it is ours to look into.
pub(super) fn failed(error: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    match error.sqlite_error_code() {
        Some(DatabaseBusy | DatabaseLocked) => Error::unavailable(error),
        _ => Error::internal(error),
    }
}
