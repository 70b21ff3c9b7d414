//! Faults of the storage that a test asks for, where a real disk cannot be made to fail.
//!
//! The service asks for none. What is asked for meets the connections of ours to SQLite, which
//! handle it as they handle a failure of the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use rusqlite::ffi;

/// The failures that are asked for. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Faults(Option<Arc<Points>>);

#[derive(Debug, Default)]
struct Points {
    /// The code with which the next reads in place fail; 0: they do not.
    read: AtomicI32,
    /// The code with which the next statements fail; 0: they do not.
    statement: AtomicI32,
    /// The code with which the next commits fail; 0: they do not.
    commit: AtomicI32,
    /// The most pages that the database may have; 0: as many as the disk holds.
    pages_max: AtomicU32,
}

impl Faults {
    /// Makes points at which a test can let the storage fail; none fails yet.
    pub fn armed() -> Self {
        Self(Some(Arc::default()))
    }

    /// Lets every short read fail with this SQLite code from now on; 0 ends it.
    pub fn fail_reads(&self, code: i32) {
        if let Some(points) = &self.0 {
            points.read.store(code, Ordering::SeqCst);
        }
    }

    /// Lets every statement that changes something fail with this SQLite code from now on, such as
    /// 10 (I/O error); 0 ends it.
    pub fn fail_statements(&self, code: i32) {
        if let Some(points) = &self.0 {
            points.statement.store(code, Ordering::SeqCst);
        }
    }

    /// Lets every commit fail with this SQLite code from now on; 0 ends it.
    pub fn fail_commits(&self, code: i32) {
        if let Some(points) = &self.0 {
            points.commit.store(code, Ordering::SeqCst);
        }
    }

    /// Limits the database to so many pages from now on; 0 lifts the limit.
    pub fn limit_pages(&self, pages_max: u32) {
        if let Some(points) = &self.0 {
            points.pages_max.store(pages_max, Ordering::SeqCst);
        }
    }

    pub(super) fn at_read(&self) -> rusqlite::Result<()> {
        self.0.as_ref().map_or(Ok(()), |points| fail(points.read.load(Ordering::SeqCst)))
    }

    pub(super) fn at_statement(&self) -> rusqlite::Result<()> {
        self.0.as_ref().map_or(Ok(()), |points| fail(points.statement.load(Ordering::SeqCst)))
    }

    pub(super) fn at_commit(&self) -> rusqlite::Result<()> {
        self.0.as_ref().map_or(Ok(()), |points| fail(points.commit.load(Ordering::SeqCst)))
    }

    /// The most pages that the database may have; none where no test asks.
    pub(super) fn pages_max(&self) -> Option<u32> {
        let pages_max = self.0.as_ref()?.pages_max.load(Ordering::SeqCst);
        // SQLite's own most.
        Some(if pages_max == 0 { u32::MAX - 1 } else { pages_max })
    }
}

fn fail(code: i32) -> rusqlite::Result<()> {
    match code {
        0 => Ok(()),
        code => {
            let message = Some("a test lets the storage fail".to_owned());
            Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), message))
        }
    }
}
