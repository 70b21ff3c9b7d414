//! A Redis or Valkey server of a test's own, which it may kill and start again.

use std::path::PathBuf;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::wire::soon;

/// Where a server is that tests may share; `scripts/with-redis` sets it.
pub const SERVER_URL: &str = "ORQIT_TEST_REDIS_URL";

/// A URL of a server that the test leaves alone: the shared one if there is one, and else the
/// server that has to be kept meanwhile.
pub async fn any() -> (String, Option<RedisServer>) {
    match std::env::var(SERVER_URL) {
        Ok(url) => (url, None),
        Err(_) => {
            let server = RedisServer::start().await;
            (server.url(), Some(server))
        }
    }
}

/// A server that ends with the test, without anything on disk.
pub struct RedisServer {
    port: u16,
    running: Option<Child>,
    directory: TempDir,
}

impl RedisServer {
    pub async fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        let directory = tempfile::tempdir().expect("a directory");
        let mut server = Self { port, running: None, directory };
        server.start_again().await;
        server
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Starts it where it was, empty.
    pub async fn start_again(&mut self) {
        let mut command = Command::new(program());
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.args(["--port", &self.port.to_string(), "--dir"]).arg(self.directory.path());
        let command = command.stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("Redis starts");
        let mut log = BufReader::new(child.stdout.take().expect("piped")).lines();
        while let Some(line) = soon(log.next_line()).await.expect("text") {
            if line.contains("Ready to accept connections") {
                // It writes no more than fits into the pipe.
                child.stdout = Some(log.into_inner().into_inner());
                self.running = Some(child);
                return;
            }
        }
        panic!("Redis ended instead of serving on port {}", self.port);
    }

    /// Kills it, as a machine that goes would.
    pub async fn kill(&mut self) {
        self.running.take().expect("it runs").kill().await.expect("killed");
    }

    /// Keeps it from answering, connections open, until it is told to go on.
    pub async fn freeze(&self) {
        self.signal("-STOP").await;
    }

    /// Lets it go on.
    pub async fn thaw(&self) {
        self.signal("-CONT").await;
    }

    async fn signal(&self, signal: &str) {
        let pid = self.running.as_ref().and_then(Child::id).expect("it runs").to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().await;
        assert!(sent.expect("kill runs").success());
    }
}

/// The server's program, by whichever name it is there.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["valkey-server", "redis-server"];
    let candidates = std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|file| file.is_file());
    candidates.expect(
        "this test needs redis-server or valkey-server: run it by `scripts/with-redis cargo test …`, which installs one",
    )
}
