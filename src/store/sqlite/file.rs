//! The files of a SQLite database, and whether they are still the ones that were opened.
//!
//! A file that is deleted or replaced while it is open takes writes as if nothing had happened,
//! and nobody will ever read them: the next process opens whatever bears the name by then.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sea_orm::DbErr;

use crate::store::failure::away;

/// The suffixes of the files of a database beside its own: its log, and the log's index.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// The device and the number of a file on it.
type Identity = (u64, u64);

/// The database file with its companions.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    /// The database first, then its companions.
    paths: Vec<PathBuf>,
    /// The identities of the files when the database was opened; none before
    /// [`DatabaseFile::note`].
    opened: Option<Vec<Option<Identity>>>,
}

impl DatabaseFile {
    pub(super) fn new(path: &Path) -> Self {
        let companion = |suffix: &&str| {
            let mut name = OsString::from(path);
            name.push(suffix);
            PathBuf::from(name)
        };
        let companions = COMPANIONS.iter().map(companion);
        Self { paths: [path.to_owned()].into_iter().chain(companions).collect(), opened: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.paths[0]
    }

    /// Notes which files bear the names now, all of which exist.
    pub(super) fn note(&mut self) {
        self.opened = Some(self.paths.iter().map(|path| identity(path)).collect());
    }

    /// Refuses when a file is gone or another one than was noted.
    pub(super) fn check(&self) -> Result<(), DbErr> {
        let opened = self.opened.iter().flatten();
        let changed = self.paths.iter().zip(opened).find(|(path, file)| identity(path) != **file);
        match changed {
            None => Ok(()),
            Some((path, _)) => Err(away(format!(
                "the database file {} was deleted or replaced while the service runs; \
                 stop the service, put the file back, and start it again",
                path.display()
            ))),
        }
    }
}

fn identity(path: &Path) -> Option<Identity> {
    // A file that cannot be looked at is as good as gone.
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}
