//! The path of a SQLite database. Nothing here opens it.

use std::path::PathBuf;
use std::str::FromStr;

use sea_orm::sqlx::sqlite::SqliteConnectOptions;

use crate::error::Error;

/// The file of the SQLite database at `url`; none for a database that is not SQLite.
pub fn sqlite_file(url: &str) -> Result<Option<PathBuf>, Error> {
    if !url.starts_with("sqlite:") {
        return Ok(None);
    }
    let options = SqliteConnectOptions::from_str(url).map_err(Error::internal)?;
    Ok(Some(options.get_filename().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_what_sqlite_opens() {
        for (url, expected) in [
            ("sqlite://orqit.db", Some("orqit.db")),
            ("sqlite:orqit.db", Some("orqit.db")),
            ("sqlite:///var/lib/orqit.db?mode=rwc", Some("/var/lib/orqit.db")),
            ("sqlite://my%20desk.db", Some("my desk.db")),
            ("postgres://me@host/orqit", None),
        ] {
            let file = sqlite_file(url).expect("a URL");
            assert_eq!(file, expected.map(PathBuf::from), "{url}");
        }
    }
}
