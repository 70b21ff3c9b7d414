//! The one connection that writes, and the changes that share its next COMMIT.
//!
//! Changes run on it one after the other, each within a savepoint of its own, so that one that
//! fails takes no other with it. They are answered when the COMMIT that they share has returned.
//!
//! After a failure that leaves it open what SQLite has done, of COMMIT or ROLLBACK or of the storage,
//! the whole group is refused as unavailable, and the connection is thrown away: SQLite may have
//! ended the transaction by itself, and everything written on that connection afterwards would be
//! acknowledged and lost.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use sea_orm::{DbErr, Statement};
use tokio::sync::oneshot;

use super::connection::{self, Purpose, ReadError};
use super::failure::{is_busy, to_db_err};
use super::file::DatabaseFile;
use crate::config::SQLITE_COMMIT_CHANGES_MAX;
use crate::error::Error;
use crate::store::Settings;
use crate::store::failure::{away, is_storage};
use crate::store::health::Health;
use crate::store::row::Decode;

/// The sender that tells a change that its COMMIT has returned.
pub(super) type Answer = oneshot::Sender<Result<(), DbErr>>;

/// The connection and its group.
pub(super) struct Session {
    file: DatabaseFile,
    settings: Settings,
    health: Arc<Health>,
    /// The connection; none before it is opened, and after a failure.
    connection: Option<Connection>,
    /// The changes that wait for the next COMMIT.
    group: Vec<Answer>,
    is_closed: bool,
}

impl Session {
    /// A session on a file that exists.
    pub(super) fn open(
        path: &Path,
        settings: &Settings,
        health: Arc<Health>,
    ) -> Result<Self, DbErr> {
        let (file, settings) = (DatabaseFile::new(path), settings.clone());
        let (connection, group) = (None, Vec::new());
        let mut session = Self { file, settings, health, connection, group, is_closed: false };
        session.connect()?;
        // The log and its index exist from here on.
        session.begin_waiting()?;
        session.file.note();
        session.undo();
        Ok(session)
    }

    fn connect(&mut self) -> Result<(), DbErr> {
        if self.is_closed {
            return Err(away("the store is closed"));
        }
        // SQLite would throw away the log beside a file that was put in the place of its own.
        self.check_files()?;
        match connection::open(self.file.path(), &self.settings, Purpose::Write) {
            Ok(connection) => {
                self.connection = Some(connection);
                Ok(())
            }
            Err(error) => Err(self.doubt(to_db_err(error))),
        }
    }

    /// Begins a change in place: true when it has begun, false when that has to wait for something
    /// first (see [`Session::begin_waiting`]).
    pub(super) fn try_begin(&mut self) -> Result<bool, DbErr> {
        let Some(connection) = &self.connection else { return Ok(false) };
        if self.group.len() >= SQLITE_COMMIT_CHANGES_MAX {
            return Ok(false);
        }
        if connection.is_autocommit() {
            match run_text(connection, "BEGIN IMMEDIATE") {
                Ok(()) => self.limit_pages()?,
                Err(error) if is_busy(&error) => return Ok(false),
                Err(error) => return Err(self.doubt(to_db_err(error))),
            }
        }
        self.run(|connection| run_text(connection, "SAVEPOINT change"))?;
        Ok(true)
    }

    /// Begins a change, and waits for what it takes: the COMMIT of a group that is full, a new
    /// connection, another process's lock.
    pub(super) fn begin_waiting(&mut self) -> Result<(), DbErr> {
        if self.group.len() >= SQLITE_COMMIT_CHANGES_MAX {
            self.commit_group();
        }
        if self.connection.is_none() {
            self.connect()?;
        }
        self.wait_for_locks(self.settings.sqlite_busy_timeout)?;
        let begun = self.try_begin()?;
        self.wait_for_locks(Duration::ZERO)?;
        match begun {
            true => self.check_files(),
            false => Err(away("another process has locked the database for too long")),
        }
    }

    fn wait_for_locks(&mut self, at_most: Duration) -> Result<(), DbErr> {
        self.run(|connection| connection.busy_timeout(at_most))
    }

    /// Lets the database grow no further than a test asks for.
    fn limit_pages(&mut self) -> Result<(), DbErr> {
        let Some(pages_max) = self.settings.faults.pages_max() else { return Ok(()) };
        self.run(|connection| connection.pragma_update(None, "max_page_count", pages_max))
    }

    /// Runs a statement of the change that has begun, and returns how many rows it wrote.
    pub(super) fn execute(&mut self, statement: &Statement) -> Result<u64, DbErr> {
        let failing = self.settings.faults.at_statement();
        self.run(|connection| failing.and_then(|()| connection::execute(connection, statement)))
    }

    /// Reads the rows of a statement of the change that has begun, by `decode`.
    pub(super) fn read<T>(
        &mut self,
        statement: &Statement,
        decode: Decode<T>,
    ) -> Result<Result<Vec<T>, Error>, DbErr> {
        self.run(|connection| match connection::read(connection, statement, decode, usize::MAX) {
            Ok(rows) => Ok(Ok(rows.unwrap_or_default())),
            Err(ReadError::Sqlite(error)) => Err(error),
            Err(ReadError::Decode(error)) => Ok(Err(error)),
        })
    }

    /// Adds the change that has begun to those that the next COMMIT answers: true when it is the
    /// first of them.
    pub(super) fn join(&mut self, answer: Answer) -> Result<bool, DbErr> {
        self.run(|connection| run_text(connection, "RELEASE change"))?;
        self.group.push(answer);
        Ok(self.group.len() == 1)
    }

    /// Undoes the change that has begun.
    pub(super) fn undo(&mut self) {
        let text = match self.group.is_empty() {
            // Nobody waits for a COMMIT, so nobody else would end the transaction.
            true => "ROLLBACK",
            false => "ROLLBACK TO change; RELEASE change",
        };
        if let Some(connection) = &self.connection
            && let Err(error) = connection.execute_batch(text)
        {
            self.doubt(to_db_err(error));
        }
    }

    /// Makes the changes of the group last, and answers each of them.
    pub(super) fn commit_group(&mut self) {
        let Some(connection) = self.connection.as_ref().filter(|_| !self.group.is_empty()) else {
            return;
        };
        let failing = self.settings.faults.at_commit();
        let committed = failing.and_then(|()| run_text(connection, "COMMIT"));
        if let Err(error) = committed {
            self.doubt(to_db_err(error));
        } else if self.check_files().is_ok() {
            self.health.wrote();
            for answer in self.group.drain(..) {
                // Whoever is gone by now needs no answer.
                let _ = answer.send(Ok(()));
            }
        }
    }

    /// Refuses, and throws the connection away, when it writes to files that nobody will find.
    pub(super) fn check_files(&mut self) -> Result<(), DbErr> {
        self.file.check().map_err(|error| self.doubt(error))
    }

    /// Commits what waits, and closes the connection for good.
    pub(super) fn close(&mut self) {
        self.commit_group();
        self.is_closed = true;
        self.connection = None;
    }

    /// Runs `work` on the connection, which is in doubt when SQLite has ended the transaction or the
    /// storage has failed.
    fn run<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, DbErr> {
        let Some(connection) = &self.connection else {
            return Err(away("the transaction has ended"));
        };
        let done = work(connection).map_err(to_db_err);
        let ended = connection.is_autocommit();
        done.map_err(|error| if ended || is_storage(&error) { self.doubt(error) } else { error })
    }

    /// Throws the connection away, refuses everybody in the group, and hands the cause on.
    pub(super) fn doubt(&mut self, cause: DbErr) -> DbErr {
        self.health.failed(&cause);
        self.connection = None;
        for answer in self.group.drain(..) {
            // Whoever is gone by now needs no answer.
            let _ = answer.send(Err(away("the shared commit has failed")));
        }
        cause
    }
}

/// Runs a statement without parameters that is run again and again.
fn run_text(connection: &Connection, text: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(text)?.raw_execute().map(|_| ())
}
