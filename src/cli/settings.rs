//! The settings of the service, each with its default and its bound.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use http::HeaderValue;
use ipnet::IpNet;

use super::email_settings::EmailArgs;
use super::values::{bounded_duration, database_url, network, origin, public_url, retention};
use super::webhook_settings::WebhookArgs;
use crate::connections::Bounds;
use crate::held_bytes;
use crate::limits;
use crate::store::Settings;

/// The settings of the database.
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
    /// The longest time of one statement (PostgreSQL; on SQLite the request timeout bounds it).
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

/// The settings of the store that counts the rate limits of keys.
#[derive(Debug, Clone, Args)]
pub struct LimitArgs {
    /// The Redis or Valkey in which several replicas count rate limits together, such as
    /// `redis://host:6379`. Without one each replica admits its share of every limit.
    #[arg(long, env = "ORQIT_REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<String>,
    /// The longest time to wait for Redis before a request goes on without it.
    #[arg(long, env = "ORQIT_REDIS_TIMEOUT", default_value = "250ms", value_parser = bounded_duration)]
    pub redis_timeout: Duration,
    /// The number of replicas. Each admits so small a part of every rate limit, but at least one
    /// request a minute, while they cannot count together.
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

/// The settings of `orqit serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub limits: LimitArgs,
    #[command(flatten)]
    pub webhooks: WebhookArgs,
    #[command(flatten)]
    pub email: EmailArgs,
    /// The address to listen on.
    #[arg(long, env = "ORQIT_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// The URL at which clients reach the service, such as `https://desk.example`, for its OpenAPI
    /// document; by default the address that it listens on.
    #[arg(long, env = "ORQIT_PUBLIC_URL", value_parser = public_url)]
    pub public_url: Option<String>,
    /// Fill a new database with a small workspace to look at.
    #[arg(long)]
    pub demo: bool,
    /// A file with the TLS certificate chain (PEM); needs --tls-key.
    #[arg(long, env = "ORQIT_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// A file with the certificate's private key (PEM); needs --tls-cert.
    #[arg(long, env = "ORQIT_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Let clients ask for the protobuf definitions by server reflection.
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
    /// The longest time until the answer to a request begins.
    #[arg(long, env = "ORQIT_REQUEST_TIMEOUT", default_value = "30s", value_parser = bounded_duration)]
    pub request_timeout: Duration,
    /// The longest time that the headers of a request may take to arrive, and that a connection may
    /// be without a request.
    #[arg(long, env = "ORQIT_HEADER_TIMEOUT", default_value = "30s", value_parser = bounded_duration)]
    pub header_timeout: Duration,
    /// The longest time that the body of a request may take to arrive.
    #[arg(long, env = "ORQIT_BODY_TIMEOUT", default_value = "15s", value_parser = bounded_duration)]
    pub body_timeout: Duration,
    /// The longest time that a client may take nothing of an answer. Then the stream of HTTP/2 is
    /// reset, or the connection closed.
    #[arg(long, env = "ORQIT_WRITE_TIMEOUT", default_value = "60s", value_parser = bounded_duration)]
    pub write_timeout: Duration,
    /// The most bytes of request bodies in memory, of all clients, in MiB. Beyond it those under way
    /// for longest give way, or new ones get 503.
    #[arg(long, env = "ORQIT_BODY_MIB_MAX", default_value_t = 64, value_parser = clap::value_parser!(u32).range(2..=65_536))]
    pub body_mib_max: u32,
    /// The MiB of bodies that one client address may hold (of IPv6 a /64).
    #[arg(long, env = "ORQIT_BODY_MIB_PER_ADDRESS", default_value_t = 16, value_parser = clap::value_parser!(u32).range(2..=65_536))]
    pub body_mib_per_address: u32,
    /// The most bytes of answers in memory that clients have not read, of all clients, in MiB. Beyond
    /// it those that nobody reads for longest give way, or new requests get 503.
    #[arg(long, env = "ORQIT_ANSWER_MIB_MAX", default_value_t = 64, value_parser = clap::value_parser!(u32).range(32..=65_536))]
    pub answer_mib_max: u32,
    /// The MiB of answers that one client address may hold (of IPv6 a /64).
    #[arg(long, env = "ORQIT_ANSWER_MIB_PER_ADDRESS", default_value_t = 32, value_parser = clap::value_parser!(u32).range(32..=65_536))]
    pub answer_mib_per_address: u32,
    /// The longest time that requests in flight may take to finish after SIGTERM. Then they are
    /// aborted.
    #[arg(long, env = "ORQIT_DRAIN_TIMEOUT", default_value = "20s", value_parser = bounded_duration)]
    pub drain_timeout: Duration,
    /// The most connections at a time. Those without a request give way to new ones; where all have
    /// one, new ones wait to be accepted.
    #[arg(long, env = "ORQIT_CONNECTIONS_MAX", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections_max: u32,
    /// The most connections of one client address (of IPv6 a /64), but for trusted proxies. Those
    /// without a request give way to new ones; where all have one, new ones are closed.
    #[arg(long, env = "ORQIT_CONNECTIONS_PER_ADDRESS", default_value_t = 512,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections_per_address: u32,
    /// The time for which each request of a key is kept, 1h to 3650d. The figures that they add up
    /// to are kept by the hour as long, at least 32 days, and by the day for 400 days.
    #[arg(long, env = "ORQIT_REQUEST_LOG_RETENTION", default_value = "30d", value_parser = retention)]
    pub request_log_retention: Duration,
    /// The time for which events and their deliveries are kept, 1h to 3650d.
    #[arg(long, env = "ORQIT_EVENT_RETENTION", default_value = "30d", value_parser = retention)]
    pub event_retention: Duration,
    /// The time for which e-mails are kept after they were sent or have failed, 1h to 3650d.
    #[arg(long, env = "ORQIT_EMAIL_RETENTION", default_value = "365d", value_parser = retention)]
    pub email_retention: Duration,
    /// The most requests that wait in memory to be written to the request log; further ones are
    /// counted in the figures, but missing in the log.
    #[arg(long, env = "ORQIT_REQUEST_LOG_QUEUE", default_value_t = 16_384,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub request_log_queue: u32,
}

impl ServeArgs {
    /// The bounds of connections.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            header_timeout: self.header_timeout,
            write_timeout: self.write_timeout,
            drain_timeout: self.drain_timeout,
            connections_max: self.connections_max,
            connections_per_address: self.connections_per_address,
            trusted_proxies: Arc::from(self.trusted_proxies.as_slice()),
        }
    }

    /// The most bytes of request bodies.
    pub fn bodies(&self) -> held_bytes::Bounds {
        held_bytes::Bounds::of_mib(self.body_mib_max, self.body_mib_per_address)
    }

    /// The most bytes of answers.
    pub fn answers(&self) -> held_bytes::Bounds {
        held_bytes::Bounds::of_mib(self.answer_mib_max, self.answer_mib_per_address)
    }
}
