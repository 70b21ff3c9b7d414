//! A connection to the SQLite file: how it is set up, and how a statement runs on it.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql};
use sea_orm::{Statement, Value};

use super::failure::failed;
use crate::error::Error;
use crate::store::Settings;
use crate::store::row::{Decode, Row};

/// The purpose of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The connection reads; it waits for another process's lock as long as the settings say.
    Read,
    /// The connection writes; it waits for no lock unless it is told to.
    Write,
}

/// Connects to a file that exists.
pub(super) fn open(
    path: &Path,
    settings: &Settings,
    purpose: Purpose,
) -> rusqlite::Result<Connection> {
    // Not read-only, for reads either: a reader must be able to make the shared-memory file of the
    // log.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_prepared_statement_cache_capacity(settings.statement_cache);
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Negative: in KiB, not in pages.
    connection.pragma_update(None, "cache_size", -i64::from(settings.sqlite_cache_kib))?;
    match purpose {
        Purpose::Read => {
            connection.busy_timeout(settings.sqlite_busy_timeout)?;
            connection.pragma_update(None, "query_only", true)?;
        }
        Purpose::Write => {
            connection.busy_timeout(Duration::ZERO)?;
            connection.pragma_update(None, "foreign_keys", true)?;
            // What is acknowledged is on the disk.
            connection.pragma_update(None, "synchronous", "FULL")?;
        }
    }
    Ok(connection)
}

/// Runs a statement that selects nothing, and returns how many rows it wrote.
pub(super) fn execute(connection: &Connection, statement: &Statement) -> rusqlite::Result<u64> {
    let mut prepared = connection.prepare_cached(&statement.sql)?;
    bind(&mut prepared, statement)?;
    Ok(prepared.raw_execute()? as u64)
}

/// Reads the rows of a statement by `decode`; none when the rows hold more than `bytes_max`.
pub(super) fn read<T>(
    connection: &Connection,
    statement: &Statement,
    decode: Decode<T>,
    bytes_max: usize,
) -> Result<Option<Vec<T>>, ReadError> {
    let mut prepared = connection.prepare_cached(&statement.sql)?;
    bind(&mut prepared, statement)?;
    let mut rows = prepared.raw_query();
    let (mut decoded, bytes) = (Vec::new(), Cell::new(0));
    while let Some(row) = rows.next()? {
        decoded.push(decode(&Row::Sqlite { row, bytes: &bytes }).map_err(ReadError::Decode)?);
        if bytes.get() > bytes_max {
            return Ok(None);
        }
    }
    Ok(Some(decoded))
}

/// The reason why a read failed.
pub(super) enum ReadError {
    /// SQLite refused.
    Sqlite(rusqlite::Error),
    /// A row is not what it should be.
    Decode(Error),
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Sqlite(error) => failed(error),
            ReadError::Decode(error) => error,
        }
    }
}

/// Binds `?`, or `$1`, `$2` …, which to SQLite are names that it numbers as it meets them.
fn bind(prepared: &mut rusqlite::Statement<'_>, statement: &Statement) -> rusqlite::Result<()> {
    let values = statement.values.as_ref().map_or(&[][..], |values| &values.0);
    for place in 1..=prepared.parameter_count() {
        let number = match prepared.parameter_name(place) {
            Some(name) => name[1..].parse().unwrap_or_default(),
            None => place,
        };
        let value = number.checked_sub(1).and_then(|index: usize| values.get(index));
        let value = value.ok_or(rusqlite::Error::InvalidParameterCount(place, values.len()))?;
        prepared.raw_bind_parameter(place, Parameter(value))?;
    }
    Ok(())
}

struct Parameter<'a>(&'a Value);

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match self.0 {
            Value::Bool(value) => value.map(|value| ValueRef::Integer(value.into())),
            Value::SmallInt(value) => value.map(|value| ValueRef::Integer(value.into())),
            Value::Int(value) => value.map(|value| ValueRef::Integer(value.into())),
            Value::BigInt(value) => value.map(ValueRef::Integer),
            Value::BigUnsigned(value) => match value.map(i64::try_from) {
                Some(Err(error)) => {
                    return Err(rusqlite::Error::ToSqlConversionFailure(Box::new(error)));
                }
                value => value.and_then(Result::ok).map(ValueRef::Integer),
            },
            Value::String(value) => value.as_ref().map(|value| ValueRef::Text(value.as_bytes())),
            Value::Bytes(value) => value.as_ref().map(|value| ValueRef::Blob(value)),
            other => {
                let error = format!("a statement binds a {other:?}, which no column holds");
                return Err(rusqlite::Error::ToSqlConversionFailure(error.into()));
            }
        };
        Ok(ToSqlOutput::Borrowed(value.unwrap_or(ValueRef::Null)))
    }
}
