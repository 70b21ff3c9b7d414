//! The meaning of a failure of the database for the caller: unavailable for a moment, or a fault of
//! ours.
//!
//! A violated constraint is named where its query stands, not here.

use sea_orm::sqlx::error::DatabaseError;
use sea_orm::{DbErr, RuntimeErr, sqlx};

use crate::error::Error;

/// The error of a statement that was meant to succeed.
pub(super) fn failed(error: DbErr) -> Error {
    if is_away(&error) { Error::unavailable(error) } else { Error::internal(error) }
}

/// A failure that trying again may mend, and that no database has told.
pub(super) fn away(why: impl Into<String>) -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(why.into()))
}

/// Returns true if the statement broke a unique constraint whose message names `what`: the index on
/// PostgreSQL, the columns on SQLite.
pub(super) fn is_taken(error: &DbErr, what: &[&str]) -> bool {
    let refused = database_error(error).filter(|error| error.is_unique_violation());
    refused.is_some_and(|error| what.iter().any(|name| error.message().contains(name)))
}

/// Returns true if PostgreSQL gave up waiting for a lock.
pub(super) fn is_lock_timeout(error: &DbErr) -> bool {
    let code = database_error(error).and_then(DatabaseError::code);
    code.is_some_and(|code| code == "55P03")
}

/// Returns true if the storage has failed, so that no other change can succeed either: a disk that
/// is full, failing or read-only, or memory that is not to be had.
pub(super) fn is_storage(error: &DbErr) -> bool {
    let code = database_error(error).and_then(DatabaseError::code);
    code.is_some_and(|code| match sqlite_code(&code) {
        Some(code) => SQLITE_STORAGE.contains(&code),
        None => POSTGRES_STORAGE.contains(&code.as_ref()),
    })
}

fn database_error(error: &DbErr) -> Option<&dyn DatabaseError> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => error.as_database_error(),
        _ => None,
    }
}

/// Returns true if SQLite refused because another connection had a lock, or if the wait for that
/// took longer than a connection may take to make.
pub(super) fn is_busy(error: &DbErr) -> bool {
    let is_late = match error {
        DbErr::ConnectionAcquire(_) => true,
        DbErr::Conn(RuntimeErr::SqlxError(error)) => matches!(**error, sqlx::Error::PoolTimedOut),
        _ => false,
    };
    let code = database_error(error).and_then(DatabaseError::code);
    let code = code.and_then(|code| sqlite_code(&code));
    is_late || code.is_some_and(|code| SQLITE_LOCKED.contains(&code))
}

fn is_away(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            match error.as_ref() {
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed => true,
                sqlx::Error::Database(error) => {
                    error.code().is_some_and(|code| is_passing(code.as_ref()))
                }
                _ => false,
            }
        }
        _ => false,
    }
}

/// The SQLite codes of a storage that fails: out of memory (7), read-only (8), I/O (10), corrupt
/// (11), full (13), a file that cannot be opened (14), that is too large (22) or no database (26).
const SQLITE_STORAGE: [u32; 8] = [7, 8, 10, 11, 13, 14, 22, 26];
/// The SQLite codes of a lock that another connection holds: busy, locked.
const SQLITE_LOCKED: [u32; 2] = [5, 6];
/// The PostgreSQL codes of a storage that fails: full (disk, memory), I/O, a file that is gone,
/// corrupt (data, index), and a server that has become a standby.
const POSTGRES_STORAGE: [&str; 7] = ["53100", "53200", "58030", "58P01", "XX001", "XX002", "25006"];
/// The PostgreSQL classes that say "not now": the connection, transaction conflicts, resources, the
/// operator or a timeout, the system around the server.
const POSTGRES_PASSING: [&str; 5] = ["08", "40", "53", "57", "58"];
/// The PostgreSQL code of a lock that was not to be had in time.
const POSTGRES_LOCKED: &str = "55P03";

fn is_passing(code: &str) -> bool {
    match sqlite_code(code) {
        Some(code) => SQLITE_STORAGE.contains(&code) || SQLITE_LOCKED.contains(&code),
        None => {
            POSTGRES_PASSING.iter().any(|class| code.starts_with(class))
                || POSTGRES_STORAGE.contains(&code)
                || code == POSTGRES_LOCKED
        }
    }
}

/// Returns SQLite's primary result code, which is the low byte of the number that it answers; none
/// for a code of PostgreSQL, which has five characters.
fn sqlite_code(code: &str) -> Option<u32> {
    let number: u32 = code.parse().ok().filter(|_| code.len() < 5)?;
    Some(number & 0xff)
}
