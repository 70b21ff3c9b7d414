//! The service under measurement, as a process over a database of its own.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use sea_orm::{ConnectionTrait, Database};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::Failure;
use crate::linux;

/// The database on a server of PostgreSQL.
const DATABASE: &str = "orqit_bench_webhooks";
const ORQIT: &str = env!("CARGO_BIN_EXE_orqit");

pub struct Service {
    child: Child,
    client: Connection,
    database_url: String,
    postmaster: Option<String>,
    files: TempDir,
}

/// A client of the service with a key without limits.
#[derive(Clone)]
pub struct Connection {
    client: reqwest::Client,
    url: String,
    key: String,
}

impl Service {
    pub async fn start(server: Option<&str>) -> Result<Self, Failure> {
        let files = tempfile::tempdir()?;
        let (database_url, postmaster) = match server {
            Some(server) => postgres(server).await?,
            None => (format!("sqlite://{}/orqit.db", files.path().display()), None),
        };
        run(&database_url, files.path(), &["workspace", "create", "default"]).await?;
        let update = ["workspace", "update", "default", "--max-active-keys", "200"];
        run(&database_url, files.path(), &update).await?;
        let key = key(&database_url, files.path()).await?;
        let mut child = command(&database_url, files.path(), &["serve"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let first = lines.next_line().await?.ok_or("it does not start")?;
        let url = first.strip_prefix("Orqit listens on ").ok_or("it does not listen")?;
        let client = Connection::new(url, &key)?;
        Ok(Self { child, client, database_url, postmaster, files })
    }

    pub async fn stop(mut self) -> Result<(), Failure> {
        self.child.kill().await?;
        Ok(())
    }

    /// Another client, with connections of its own.
    pub fn connection(&self) -> Result<Connection, Failure> {
        Connection::new(&self.client.url, &self.client.key)
    }

    /// More keys.
    pub async fn keys(&self, count: usize) -> Result<Vec<Connection>, Failure> {
        let mut keys = Vec::new();
        for _ in 0..count {
            let key = key(&self.database_url, self.files.path()).await?;
            keys.push(Connection::new(&self.client.url, &key)?);
        }
        Ok(keys)
    }

    /// The processor time of the service and its database so far, in seconds.
    pub fn cpu(&self) -> Result<f64, Failure> {
        let own = linux::cpu_seconds(&self.pid()?)?;
        let database = self.postmaster.as_deref().map(linux::family_cpu_seconds).transpose()?;
        Ok(own + database.unwrap_or(0.0))
    }

    /// The memory that the service holds, in KiB.
    pub fn memory(&self) -> Result<u64, Failure> {
        Ok(linux::rss_kib(&self.pid()?)?)
    }

    fn pid(&self) -> Result<String, Failure> {
        Ok(self.child.id().ok_or("it has ended")?.to_string())
    }

    pub async fn register(&self, url: &str) -> Result<i64, Failure> {
        let hook = json!({"url": url, "events": ["ticket.created"]});
        Ok(self.client.post("/webhooks", &hook).await?["id"].as_i64().ok_or("no id")?)
    }

    pub async fn delete(&self, webhook: i64) -> Result<(), Failure> {
        let Connection { client, url, key } = &self.client;
        let path = format!("{url}/api/public/v1/webhooks/{webhook}");
        client.delete(path).bearer_auth(key).send().await?.error_for_status()?;
        Ok(())
    }

    pub async fn create(&self) -> Result<i64, Failure> {
        self.client.create().await
    }
}

impl Connection {
    fn new(url: &str, key: &str) -> Result<Self, Failure> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { client, url: url.to_owned(), key: key.to_owned() })
    }

    /// Creates a ticket, and answers its id.
    pub async fn create(&self) -> Result<i64, Failure> {
        let ticket = json!({
            "title": "VPN not connecting",
            "description": "User cannot connect to the corporate VPN from the second floor.",
            "type": "INCIDENT",
            "category": "NETWORK",
        });
        Ok(self.post("/tickets", &ticket).await?["id"].as_i64().ok_or("no id")?)
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let request = self.client.post(format!("{}/api/public/v1{path}", self.url));
        let answer = request.bearer_auth(&self.key).json(body).send().await?.error_for_status()?;
        Ok(answer.json::<Value>().await?["data"].take())
    }

    /// Opens a stream of events from now on.
    pub async fn stream(&self) -> Result<reqwest::Response, Failure> {
        let request = self.client.get(format!("{}/api/public/v1/events/stream", self.url));
        Ok(request.bearer_auth(&self.key).send().await?.error_for_status()?)
    }
}

/// A database of its own on a server, and the server's first process.
async fn postgres(server: &str) -> Result<(String, Option<String>), Failure> {
    let connection = Database::connect(server).await?;
    connection.execute_unprepared(&format!("DROP DATABASE IF EXISTS {DATABASE}")).await?;
    connection.execute_unprepared(&format!("CREATE DATABASE {DATABASE}")).await?;
    let backend = "SELECT pg_backend_pid()";
    let backend = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, backend);
    let backend = connection.query_one_raw(backend).await?.ok_or("no process")?;
    let backend: i32 = backend.try_get_by_index(0)?;
    let (base, query) = server.split_once('?').unwrap_or((server, ""));
    let base = base.rsplit_once('/').map_or(base, |(base, _)| base);
    Ok((format!("{base}/{DATABASE}?{query}"), linux::parent(&backend.to_string()).ok()))
}

fn command(database_url: &str, files: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(ORQIT);
    command.args(arguments).current_dir(files);
    command.env("ORQIT_DATABASE_URL", database_url).env("ORQIT_LISTEN", "127.0.0.1:0");
    command.env("ORQIT_MASTER_KEY", "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=");
    command.env("ORQIT_WEBHOOK_ALLOW_NETWORKS", "127.0.0.0/8").env("ORQIT_LOG", "warn");
    // All clients are one address here.
    command.env("ORQIT_CONNECTIONS_PER_ADDRESS", "10000");
    command
}

async fn run(database_url: &str, files: &Path, arguments: &[&str]) -> Result<String, Failure> {
    let output = command(database_url, files, arguments).output().await?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?.trim_end().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
    }
}

async fn key(database_url: &str, files: &Path) -> Result<String, Failure> {
    let limits = ["--limit-per-minute", "unlimited", "--group-limit-per-minute", "unlimited"];
    let create = [&["key", "create", "--name", "Bench", "--scope", "admin"], &limits[..]].concat();
    run(database_url, files, &create).await
}

/// How long the service gets to settle.
pub const SETTLED: Duration = Duration::from_millis(500);
