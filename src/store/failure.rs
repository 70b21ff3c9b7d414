//! What a failure of the database is to the caller: away for a moment, or ours to look into.
//!
//! A violated constraint is named where its query stands, not here.

use sea_orm::{DbErr, RuntimeErr, SqlErr, sqlx};

use crate::error::Error;

/// The error of a statement that was meant to succeed.
pub(super) fn failed(error: DbErr) -> Error {
    if is_away(&error) { Error::unavailable(error) } else { Error::internal(error) }
}

/// Whether the statement broke a unique constraint whose message names `what`: the index on
/// PostgreSQL, the columns on SQLite.
pub(super) fn is_taken(error: &DbErr, what: &[&str]) -> bool {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(message)) => {
            what.iter().any(|name| message.contains(name))
        }
        _ => false,
    }
}

/// Whether PostgreSQL gave up waiting for a lock.
pub(super) fn is_lock_timeout(error: &DbErr) -> bool {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            let code = error.as_database_error().and_then(|error| error.code());
            code.is_some_and(|code| code == "55P03")
        }
        _ => false,
    }
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

/// Codes that say "not now". SQLite: busy or locked (the low byte of the number). PostgreSQL: the
/// connection (08), transaction conflicts (40), resources (53), the operator or a timeout (57), a
/// lock that is not to be had (55P03), and a server that has become a standby (25006).
fn is_passing(code: &str) -> bool {
    match code.parse::<u32>() {
        Ok(number) if code.len() < 5 => matches!(number & 0xff, 5 | 6),
        _ => {
            ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class))
                || matches!(code, "55P03" | "25006")
        }
    }
}
