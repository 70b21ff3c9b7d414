//! Short reads of SQLite, done in place.
//!
//! The pool of sqlx hands a statement to its connection's thread, copies each value of each row,
//! sends the rows back one by one, and then asks the connection whether it is well. For a row by
//! its key, or a page that an index has in order, all that is several times the work of the read,
//! which takes less time than to wake a thread. Here such a read is made in place, and its rows are
//! decoded where SQLite has them.
//!
//! A read is one statement, and so of one moment. It must be short whatever the caller sends: it
//! keeps a thread of the runtime from everything else. What is not goes through sea-orm, and so does
//! a read that turns out to hold too many bytes.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use rusqlite::Connection;
use sea_orm::Statement;

use super::connection::{self, Purpose};
use super::failure::failed;
use crate::config::SQLITE_SHORT_READ_BYTES_MAX;
use crate::error::Error;
use crate::store::row::Decode;
use crate::store::{Faults, Settings};

/// A connection for each thread of the runtime.
#[derive(Debug, Clone)]
pub(in crate::store) struct SqliteReads {
    connections: Arc<[Mutex<Option<Connection>>]>,
    faults: Faults,
}

impl SqliteReads {
    /// Connects to a database file that exists.
    pub(in crate::store) fn open(file: &Path, settings: &Settings) -> Result<Self, Error> {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let connections = (0..count).map(|_| connect(file, settings));
        let connections: rusqlite::Result<_> = connections.collect();
        let (connections, faults) = (connections.map_err(failed)?, settings.faults.clone());
        Ok(Self { connections, faults })
    }

    /// Reads the rows of a statement that is short work by `decode`; none when the rows hold more
    /// bytes than may be read in place.
    pub(in crate::store) fn read<T>(
        &self,
        statement: &Statement,
        decode: Decode<T>,
    ) -> Result<Option<Vec<T>>, Error> {
        let free = self.connections.iter().find_map(|connection| match connection.try_lock() {
            Ok(connection) => Some(connection),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        });
        // Not one is free when more threads read than run: those who have one are about to be done.
        let connection = free.unwrap_or_else(|| lock(&self.connections[0]));
        let connection = connection.as_ref();
        let connection = connection.ok_or_else(|| Error::unavailable("the store is closed"))?;
        self.faults.at_read().map_err(failed)?;
        Ok(connection::read(connection, statement, decode, SQLITE_SHORT_READ_BYTES_MAX)?)
    }

    /// Closes the connections.
    pub(in crate::store) fn close(&self) {
        for connection in &*self.connections {
            lock(connection).take();
        }
    }
}

fn connect(path: &Path, settings: &Settings) -> rusqlite::Result<Mutex<Option<Connection>>> {
    connection::open(path, settings, Purpose::Read).map(Some).map(Mutex::new)
}

/// A read that panicked has left its connection as it was.
fn lock(connection: &Mutex<Option<Connection>>) -> MutexGuard<'_, Option<Connection>> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}
