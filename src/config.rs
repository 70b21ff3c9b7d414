//! The settings of the service, each with its default and its bound, and the bounds that have
//! no setting.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use http::HeaderValue;

use crate::store::Settings;

/// The most bytes of a request body or gRPC message, also after decompression.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The most bytes of a request's header list.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;
/// The most streams that one HTTP/2 connection may have open.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 100;
/// The most bytes of a refused body that are read and dropped, so that its sender gets to read why.
pub const DRAINED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long a refused body is read and dropped.
pub const DRAIN_REFUSED_WITHIN: Duration = Duration::from_secs(2);
/// The most keys whose callers are kept in memory.
pub const KEYS_CACHED_MAX: usize = 100_000;
/// The deepest row that `page` and `perPage` reach.
pub const PAGED_ROWS_MAX: i64 = 100_000;
/// The items of a page unless the caller says otherwise.
pub const PER_PAGE_DEFAULT: u32 = 20;
/// How long after closing a ticket may be opened again.
pub const REOPEN_WITHIN: Duration = Duration::from_secs(30 * 24 * 3600);
/// The least bytes of an answer that is worth compressing.
pub const COMPRESS_BYTES_MIN: u16 = 1024;

/// How often what requests have left behind is written down.
pub const USAGE_WRITE_INTERVAL: Duration = Duration::from_secs(1);
/// So many requests of one thread are written down sooner.
pub const USAGE_WRITE_AT: usize = 500;
/// The most requests that are written in one transaction.
pub const USAGE_BATCH_MAX: usize = 1000;
/// The longest pause between two tries to write them.
pub const USAGE_RETRY_WITHIN_MAX: Duration = Duration::from_secs(30);
/// How often a database that is there may refuse requests before they are given up.
pub const USAGE_ATTEMPTS_MAX: u32 = 5;
/// How long a stop waits for the last requests to be written.
pub const USAGE_STOP_WITHIN: Duration = Duration::from_secs(10);
/// The most figures (by key, endpoint and hour) that are kept of requests beyond the queue.
pub const USAGE_OVERFLOW_MAX: usize = 5_000;
/// How often it is told that requests are missing in the log.
pub const USAGE_WARN_INTERVAL: Duration = Duration::from_secs(60);
/// The least time that figures of hours are kept: as far as one question reaches back.
pub const USAGE_HOURS_KEPT_MIN: Duration = Duration::from_secs(32 * 24 * 3600);
/// How long figures of days are kept.
pub const USAGE_DAYS_KEPT: Duration = Duration::from_secs(400 * 24 * 3600);
/// How often what is too old is looked for.
pub const RETENTION_INTERVAL: Duration = Duration::from_secs(3600);
/// The pause between two deletions of what is too old.
pub const RETENTION_PAUSE: Duration = Duration::from_millis(50);
/// The most requests of a workspace that are deleted at once.
pub const RETENTION_ROWS_MAX: u64 = 1000;

/// Where the database is and how it is used.
#[derive(Debug, Clone, Args)]
pub struct DatabaseArgs {
    /// The database: `sqlite://orqit.db` or `postgres://user:password@host/name`.
    #[arg(
        long,
        env = "ORQIT_DATABASE_URL",
        default_value = "sqlite://orqit.db",
        value_parser = database_url,
        hide_env_values = true
    )]
    pub database_url: String,
    /// The most connections: on SQLite those that read (4 by default), on PostgreSQL all (16).
    #[arg(long, env = "ORQIT_DATABASE_CONNECTIONS", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub database_connections: Option<u32>,
    /// How long one statement may take (PostgreSQL; on SQLite the request timeout bounds it).
    #[arg(long, env = "ORQIT_STATEMENT_TIMEOUT", default_value = "10s", value_parser = bounded_duration)]
    pub statement_timeout: Duration,
}

impl DatabaseArgs {
    /// The settings of the store.
    pub fn settings(&self) -> Settings {
        let default = Settings::default();
        Settings {
            sqlite_readers: self.database_connections.unwrap_or(default.sqlite_readers),
            postgres_connections: self.database_connections.unwrap_or(default.postgres_connections),
            postgres_statement_timeout: self.statement_timeout,
            ..default
        }
    }
}

/// What `orqit serve` can be told.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The address to listen on.
    #[arg(long, env = "ORQIT_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Fill a new database with a small workspace to look at.
    #[arg(long)]
    pub demo: bool,
    /// A file with the TLS certificate chain (PEM); needs --tls-key.
    #[arg(long, env = "ORQIT_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// A file with the certificate's private key (PEM); needs --tls-cert.
    #[arg(long, env = "ORQIT_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Whether clients may ask for the protobuf definitions by server reflection.
    #[arg(long, env = "ORQIT_REFLECTION", default_value_t = true, action = clap::ArgAction::Set)]
    pub reflection: bool,
    /// Origins whose pages may call from a browser, such as `https://app.example`; none by default.
    #[arg(long, env = "ORQIT_CORS_ORIGINS", value_delimiter = ',', value_parser = origin)]
    pub cors_origins: Vec<HeaderValue>,
    /// How long a request may take until its answer begins.
    #[arg(long, env = "ORQIT_REQUEST_TIMEOUT", default_value = "30s", value_parser = bounded_duration)]
    pub request_timeout: Duration,
    /// How long the headers of a request may take to arrive; also how long a connection may idle.
    #[arg(long, env = "ORQIT_HEADER_TIMEOUT", default_value = "30s", value_parser = bounded_duration)]
    pub header_timeout: Duration,
    /// How long the body of a request may take to arrive.
    #[arg(long, env = "ORQIT_BODY_TIMEOUT", default_value = "15s", value_parser = bounded_duration)]
    pub body_timeout: Duration,
    /// How long open requests may take to finish after SIGTERM.
    #[arg(long, env = "ORQIT_DRAIN_TIMEOUT", default_value = "20s", value_parser = bounded_duration)]
    pub drain_timeout: Duration,
    /// The most connections at a time; further ones wait to be accepted.
    #[arg(long, env = "ORQIT_CONNECTIONS_MAX", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections_max: u32,
    /// How long each request of a key is kept, 1h to 3650d. The figures that they add up to are kept
    /// by the hour as long, at least 32 days, and by the day for 400 days.
    #[arg(long, env = "ORQIT_REQUEST_LOG_RETENTION", default_value = "30d", value_parser = retention)]
    pub request_log_retention: Duration,
    /// The most requests that wait in memory to be written to the request log; further ones are
    /// counted in the figures, but missing in the log.
    #[arg(long, env = "ORQIT_REQUEST_LOG_QUEUE", default_value_t = 16_384,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub request_log_queue: u32,
}

/// Reads `500ms`, `30s`, `15m`, `12h` or `30d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let remedy =
        || format!("`{text}` is not a duration: write a number and ms, s, m, h or d, such as 30s");
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(remedy)?;
    let (digits, unit) = text.split_at(unit_at);
    let count: u64 = digits.parse().map_err(|_| remedy())?;
    let unit_millis: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 3600 * 1000,
        "d" => 24 * 3600 * 1000,
        _ => return Err(remedy()),
    };
    count.checked_mul(unit_millis).map(Duration::from_millis).ok_or_else(remedy)
}

/// A timeout: 1 ms to an hour.
fn bounded_duration(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    let bounds = Duration::from_millis(1)..=Duration::from_secs(3600);
    if bounds.contains(&duration) {
        Ok(duration)
    } else {
        Err("a timeout must be 1ms to 1h".to_owned())
    }
}

/// How long requests are kept: 1 hour to 3650 days.
fn retention(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    let bounds = Duration::from_secs(3600)..=Duration::from_secs(3650 * 24 * 3600);
    if bounds.contains(&duration) {
        Ok(duration)
    } else {
        Err("requests must be kept for 1h to 3650d".to_owned())
    }
}

fn database_url(text: &str) -> Result<String, String> {
    let schemes = ["sqlite:", "postgres://", "postgresql://"];
    let known = schemes.iter().any(|scheme| text.starts_with(scheme));
    // Every connection to memory has a database of its own: what one writes no other would see.
    let in_memory = text.contains(":memory:") || text.contains("mode=memory");
    let remedy = "a database is sqlite://file.db or postgres://user:password@host/name; it is not kept in memory";
    if known && !in_memory { Ok(text.to_owned()) } else { Err(remedy.to_owned()) }
}

fn origin(text: &str) -> Result<HeaderValue, String> {
    let remedy = "an origin is a scheme and a host, such as https://app.example";
    let uri: http::Uri = text.parse().map_err(|_| remedy.to_owned())?;
    let bare = !text.ends_with('/') && uri.path_and_query().is_none_or(|rest| rest == "/");
    if uri.scheme().is_none() || uri.host().is_none() || !bare {
        return Err(remedy.to_owned());
    }
    HeaderValue::from_str(text).map_err(|_| remedy.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30d"), Ok(Duration::from_secs(30 * 24 * 3600)));
        for wrong in
            ["", "30", "s", "-1s", "1.5s", "1w", "99999999999999999999s", "99999999999999999d"]
        {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert!(bounded_duration("0s").is_err());
        assert!(bounded_duration("2h").is_err());
        for (right, wrong) in [("1h", "59m"), ("3650d", "3651d")] {
            assert!(retention(right).is_ok() && retention(wrong).is_err(), "{right} {wrong}");
        }
    }

    #[test]
    fn a_database_is_a_file_or_a_server() {
        for right in ["sqlite://orqit.db", "sqlite:orqit.db", "postgres://me@host/orqit"] {
            assert!(database_url(right).is_ok(), "{right}");
        }
        for wrong in ["orqit.db", "mysql://host/orqit", "sqlite::memory:", "sqlite://?mode=memory"]
        {
            assert!(database_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        assert!(origin("https://app.example").is_ok());
        assert!(origin("http://localhost:5173").is_ok());
        for wrong in ["*", "app.example", "https://app.example/", "https://app.example/path"] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }
}
