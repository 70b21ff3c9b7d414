//! SQLite by connections of our own: short reads in place, and one writer.
//!
//! The statements are the same as on PostgreSQL, and sea-orm builds them; only who runs them
//! differs. What is read at length goes through sea-orm's pool.

mod connection;
mod failure;
mod file;
mod reads;
mod session;
mod writer;

pub(super) use reads::SqliteReads;
pub(super) use writer::{SqliteChange, SqliteWriter};
