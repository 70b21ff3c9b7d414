//! The settings of the service, each with its default and its bound, and the bounds that have
//! no setting.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use http::HeaderValue;
use ipnet::IpNet;

use crate::limits;
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
/// The most keys, in all workspaces, whose fingerprints are kept in memory: at most 18 bytes each.
/// Further ones are looked up in the database, and spend an attempt of their address, whenever their
/// callers are not in memory.
pub const KEY_FINGERPRINTS_MAX: usize = 1_000_000;
/// The most keys that a new workspace may have active at a time.
pub const MAX_ACTIVE_KEYS_DEFAULT: i32 = 10;
/// The most keys that callers may make in a new workspace within an hour.
pub const KEY_CREATIONS_PER_HOUR_DEFAULT: i32 = 5;
/// What a key may send a minute over all, and in one endpoint group, unless it says otherwise.
pub const LIMITS_DEFAULT: (i32, i32) = (60, 30);
/// Changes of keys that are kept for watchers that fall behind; one that is further behind forgets
/// all that it has cached.
pub const KEY_CHANGES_KEPT: i64 = 10_000;
/// How often a server looks whether another process has changed a key.
pub const KEY_EPOCH_POLLED: Duration = Duration::from_millis(100);
/// How long a server accepts keys from memory after it last looked.
pub const KEY_LEASE: Duration = Duration::from_secs(2);
/// How long who has changed a key waits beyond the lease for a server that does not answer: more
/// than clocks of two machines differ in rate over that time.
pub const KEY_LEASE_MARGIN: Duration = Duration::from_millis(200);
/// How long the answer to a request with an idempotency key is kept.
pub const IDEMPOTENCY_KEPT: Duration = Duration::from_secs(24 * 3600);
/// How long a request waits for another one with the same idempotency key.
pub const IDEMPOTENCY_WAIT: Duration = Duration::from_secs(2);
/// How long a start waits for another server of the same SQLite file to stop.
pub const SERVER_LOCK_WAIT: Duration = Duration::from_secs(5);
/// How often it looks whether that has stopped.
pub const SERVER_LOCK_POLLED: Duration = Duration::from_millis(50);
/// The failed attempts that a client address has at once; see `attempts`.
pub const FAILED_ATTEMPTS_BURST: NonZeroU32 = NonZeroU32::new(30).expect("30 is not 0");
/// How long until a client address has one of them back.
pub const FAILED_ATTEMPT_BACK_EVERY: Duration = Duration::from_secs(2);
/// The most client networks whose failed attempts are told apart.
pub const FAILED_ATTEMPT_NETWORKS_MAX: usize = 100_000;
/// The most addresses of `X-Forwarded-For` that are looked at.
pub const FORWARDED_HOPS_MAX: usize = 32;
/// The most tokens that one message of GitHub's secret scanning may report.
pub const SCANNED_TOKENS_MAX: usize = 1000;
/// The deepest row that `page` and `perPage` reach.
pub const PAGED_ROWS_MAX: i64 = 100_000;
/// The items of a page unless the caller says otherwise.
pub const PER_PAGE_DEFAULT: u32 = 20;
/// How long after closing a ticket may be opened again.
pub const REOPEN_WITHIN: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long a window of the rate limits lasts, in milliseconds; `limits/spend.lua` has it too.
pub const RATE_LIMIT_WINDOW_MS: u32 = 60_000;
/// The most endpoint groups that have a rate limit of their own.
pub const ENDPOINT_GROUPS_MAX: usize = 8;
/// How often Redis is tried while it is away.
pub const REDIS_RETRY_EVERY: Duration = Duration::from_secs(1);
/// The least bytes of an answer that is worth compressing.
pub const COMPRESS_BYTES_MIN: u16 = 1024;

/// The most changes that share one COMMIT on SQLite.
pub const SQLITE_COMMIT_CHANGES_MAX: usize = 64;
/// The most bytes of text that a read of SQLite may take in place: what a thread of the runtime does
/// within a fraction of a millisecond.
pub const SQLITE_SHORT_READ_BYTES_MAX: usize = 256 * 1024;

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

/// Where the rate limits of keys are counted.
#[derive(Debug, Clone, Args)]
pub struct LimitArgs {
    /// The Redis or Valkey in which several replicas count rate limits together, such as
    /// `redis://host:6379`. Without one each replica admits its share of every limit.
    #[arg(long, env = "ORQIT_REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<String>,
    /// How long Redis may take to answer before a request goes on without it.
    #[arg(long, env = "ORQIT_REDIS_TIMEOUT", default_value = "250ms", value_parser = bounded_duration)]
    pub redis_timeout: Duration,
    /// How many replicas there are. Each admits so small a part of every rate limit, but at least
    /// one request a minute, while they cannot count together.
    #[arg(long, env = "ORQIT_REPLICAS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub replicas: u32,
}

impl LimitArgs {
    /// The settings of the limiter, or a sentence about the URL. Not checked by clap, which would
    /// repeat the URL with its password.
    pub fn settings(&self) -> Result<limits::Settings, String> {
        let Self { redis_url, redis_timeout, replicas } = self;
        let settings =
            limits::Settings { redis: None, redis_timeout: *redis_timeout, replicas: *replicas };
        match redis_url {
            Some(url) => settings.with_redis(url),
            None => Ok(settings),
        }
    }
}

/// What `orqit serve` can be told.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub limits: LimitArgs,
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
    /// Proxies whose `X-Forwarded-For` is believed, as addresses or networks such as `10.0.0.0/8`;
    /// none by default.
    #[arg(long, env = "ORQIT_TRUSTED_PROXIES", value_delimiter = ',', value_parser = network)]
    pub trusted_proxies: Vec<IpNet>,
    /// A file with the public keys of GitHub's secret scanning, as GitHub publishes them (JSON); its
    /// endpoint exists only with one.
    #[arg(long, env = "ORQIT_GITHUB_PUBLIC_KEYS")]
    pub github_public_keys: Option<PathBuf>,
    /// How long a request may take until its answer begins.
    #[arg(long, env = "ORQIT_REQUEST_TIMEOUT", default_value = "30s", value_parser = bounded_duration)]
    pub request_timeout: Duration,
    /// How long the headers of a request may take to arrive; also how long a connection may idle.
    #[arg(long, env = "ORQIT_HEADER_TIMEOUT", default_value = "30s", value_parser = bounded_duration)]
    pub header_timeout: Duration,
    /// How long the body of a request may take to arrive.
    #[arg(long, env = "ORQIT_BODY_TIMEOUT", default_value = "15s", value_parser = bounded_duration)]
    pub body_timeout: Duration,
    /// How long requests in flight may take to finish after SIGTERM. Then they are aborted.
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

/// A network, or an address as the network of itself.
fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let address = || text.parse().map(|address: IpAddr| IpNet::from(address.to_canonical()));
    let network = text.parse().or_else(|_| address()).map_err(|_| {
        format!(
            "`{text}` is not a network: write an address, or one with a prefix such as 10.0.0.0/8"
        )
    })?;
    match network {
        // Clients are compared as IPv4, whichever way they came: this would match none.
        IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => {
            Err(format!("`{text}` is IPv4 written as IPv6: write it as IPv4"))
        }
        network => Ok(network),
    }
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
    fn a_proxy_is_an_address_or_a_network() {
        for (text, expected) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            (" 192.0.2.1", "192.0.2.1/32"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::1", "::1/128"),
            ("::ffff:192.0.2.1", "192.0.2.1/32"),
        ] {
            assert_eq!(network(text).map(|network| network.to_string()), Ok(expected.to_owned()));
        }
        for wrong in ["", "10.0.0.0/33", "proxy.example", "10.0.0.1:80", "::ffff:10.0.0.0/104"] {
            assert!(network(wrong).is_err(), "{wrong}");
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
