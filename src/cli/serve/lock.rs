//! The server lock: one server at a time serves a SQLite file.
//!
//! It is an advisory lock on a file beside the database, `orqit.db.lock`. Operators' commands do not
//! take it, so they run beside the server. The kernel releases it with the process, however that
//! ends; the file stays. The database itself is not opened here: closing a descriptor of it would
//! drop the locks that SQLite has on it in this process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::cli::chain;
use crate::config::SERVER_LOCK_POLLED;
use crate::store::sqlite_file;

/// Takes the server lock of the database at `url`: it is held until the answer is dropped. None
/// where the database is not SQLite. Another server that has it may be about to stop: it is waited
/// for, for `wait` at most.
pub async fn take(url: &str, wait: Duration) -> Result<Option<File>, String> {
    let file = sqlite_file(url).map_err(|error| chain("cannot read ORQIT_DATABASE_URL", &error))?;
    let Some(database) = file else { return Ok(None) };
    let path = lock_path(&database)?;
    let file = open(&path)?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if began.elapsed() < wait => {
                tokio::time::sleep(SERVER_LOCK_POLLED).await;
            }
            Err(TryLockError::WouldBlock) => return Err(is_served(&database)),
            Err(TryLockError::Error(error)) => {
                return Err(format!("cannot lock {}: {error}", path.display()));
            }
        }
    }
}

/// The file beside the database, wherever a link leads; a new database is where its URL says.
fn lock_path(database: &Path) -> Result<PathBuf, String> {
    let path = match database.canonicalize() {
        Ok(path) => path,
        Err(error) if error.kind() == ErrorKind::NotFound => database.to_owned(),
        Err(error) => return Err(format!("cannot find {}: {error}", database.display())),
    };
    let mut path = path.into_os_string();
    path.push(".lock");
    Ok(path.into())
}

fn open(path: &Path) -> Result<File, String> {
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(path);
    file.map_err(|error| {
        let path = path.display();
        format!("cannot open {path}: {error}; the server must be able to write beside its database")
    })
}

fn is_served(database: &Path) -> String {
    let database = database.display();
    format!(
        "another orqit serves {database}; stop it, or set ORQIT_DATABASE_URL to a PostgreSQL \
         database, which several can serve"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_file_has_one_server_under_whatever_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("orqit.db"), folder.path().join("link.db"));
        std::fs::write(&file, "").expect("written");
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        let url = |path: &Path| format!("sqlite://{}", path.display());
        let first = take(&url(&file), Duration::ZERO).await.expect("free");
        for path in [&file, &link] {
            let refused = take(&url(path), Duration::ZERO).await.expect_err("taken");
            assert!(refused.contains("stop it") && refused.contains("PostgreSQL"), "{refused}");
        }
        drop(first);
        assert!(take(&url(&link), Duration::ZERO).await.expect("free").is_some());
        assert!(folder.path().join("orqit.db.lock").exists(), "the file stays");
    }

    #[tokio::test]
    async fn a_server_that_is_about_to_stop_is_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("orqit.db").display());
        let first = take(&url, Duration::ZERO).await.expect("free");
        let stop = async {
            tokio::time::sleep(SERVER_LOCK_POLLED).await;
            drop(first);
        };
        let (second, ()) = tokio::join!(take(&url, LONG), stop);
        assert!(second.expect("free by then").is_some());
    }

    #[tokio::test]
    async fn postgresql_takes_any_number_of_servers() {
        assert!(take("postgres://me@host/orqit", Duration::ZERO).await.expect("no lock").is_none());
    }
}
