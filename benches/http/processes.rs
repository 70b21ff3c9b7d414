//! The servers under measurement as processes of this machine: starting them on their core, and
//! what Linux tells of their time and memory.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// The release binary under `cargo bench`, the debug one under `cargo test`.
const ORQIT: &str = env!("CARGO_BIN_EXE_orqit");
/// The core of the servers.
const SERVER_CORE: &str = "0";
/// The core of the load.
const LOAD_CORE: &str = "1";
/// The ticks per second in which Linux counts a process's time, on every architecture.
const TICKS_PER_SECOND: u64 = 100;
/// What stands before the address in the first line of the service and of the bare server.
const ORQIT_READY: &str = "Orqit listens on http://";
pub const BARE_READY: &str = "listening on ";

/// Moves this process, which is the load, to its core.
pub fn pin_this_process() -> Result<(), String> {
    let pid = std::process::id().to_string();
    let mut command = Command::new("taskset");
    command.args(["--pid", "--cpu-list", LOAD_CORE, &pid]).stdout(Stdio::null());
    output(command).map(|_| ()).map_err(|error| {
        format!("{error}; the benchmark needs Linux, taskset (util-linux) and two cores")
    })
}

/// A command that runs `program`, pinned to the core of the servers or left to the system.
pub fn command(program: &Path, pinned: bool) -> Command {
    if !pinned {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", SERVER_CORE]).arg(program);
    command
}

/// A process that listens. Dropping it ends it.
pub struct Server {
    child: Child,
    // Kept open: a closed pipe would fail the server's next line.
    _stdout: BufReader<ChildStdout>,
    pub address: SocketAddr,
}

impl Server {
    /// Starts it, and waits for the line that tells its address after the words `ready`.
    pub async fn start(mut command: Command, ready: &str) -> Result<Self, String> {
        let program = format!("{command:?}");
        let failed = |error: std::io::Error| format!("cannot run {program}: {error}");
        let mut child = command.stdout(Stdio::piped()).spawn().map_err(failed)?;
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).map_err(failed)?;
        let address = line.trim().strip_prefix(ready).and_then(|text| text.parse().ok());
        let address = address.ok_or_else(|| format!("{program} did not start"))?;
        Ok(Self { child, _stdout: stdout, address })
    }

    /// The processor time that it has used, in seconds.
    pub fn cpu_seconds(&self) -> Result<f64, String> {
        cpu_seconds(&self.child.id().to_string())
    }

    /// The memory that it holds now, in KiB.
    pub fn rss_kib(&self) -> Result<u64, String> {
        let status = proc_file(&self.child.id().to_string(), "status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        kib.ok_or_else(|| "Linux tells no VmRSS of the server".to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, which whoever asked it last has noticed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processor time that a process (`self`: this one) has used, in seconds.
pub fn cpu_seconds(pid: &str) -> Result<f64, String> {
    let stat = proc_file(pid, "stat")?;
    // The fields after the name in parentheses, which itself may hold anything.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    // utime and stime, the 14th and 15th of all.
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(ticks as f64 / TICKS_PER_SECOND as f64)
}

fn proc_file(pid: &str, name: &str) -> Result<String, String> {
    let path = format!("/proc/{pid}/{name}");
    std::fs::read_to_string(&path).map_err(|error| format!("cannot read {path}: {error}"))
}

/// The service with a database, a key that nothing limits, and one with limits too high to reach.
pub struct Orqit {
    pub server: Server,
    pub key: String,
    pub limited_key: String,
}

impl Orqit {
    /// Starts the service on the database in `folder`, which is made when it is missing.
    pub async fn start(folder: &Path, pinned: bool) -> Result<Self, String> {
        let server = serve(Path::new(ORQIT), folder, pinned).await?;
        // A kept database has the keys of earlier runs.
        let mut update = Command::new(ORQIT);
        update.args(["workspace", "update", "default", "--max-active-keys", "100000"]);
        update.args(["--database-url", &database_url(folder)]);
        output(update)?;
        let key = make_key(folder, "unlimited")?;
        let limited_key = make_key(folder, "1000000")?;
        Ok(Self { server, key, limited_key })
    }

    /// Loads tickets, and the changes of their status, through the API.
    pub fn import(&self, tickets: &Path, events: Option<&Path>) -> Result<(), String> {
        let mut import = Command::new(ORQIT);
        import.args(["import", "tickets"]).arg(tickets);
        if let Some(events) = events {
            import.arg("--events").arg(events);
        }
        import.args(["--parallel", "64", "--api-key", &self.key]);
        import.args(["--url", &format!("http://{}", self.server.address)]);
        eprint!("{}", output(import)?);
        Ok(())
    }

    /// The message with the key.
    pub fn signed<M>(&self, message: M) -> tonic::Request<M> {
        let mut request = tonic::Request::new(message);
        let bearer = format!("Bearer {}", self.key).parse().expect("a key is visible ASCII");
        request.metadata_mut().insert("authorization", bearer);
        request
    }
}

fn make_key(folder: &Path, limit: &str) -> Result<String, String> {
    let mut create = Command::new(ORQIT);
    create.args(["key", "create", "--name", "Benchmark", "--scope", "read-write"]);
    create.args(["--limit-per-minute", limit, "--group-limit-per-minute", limit]);
    create.args(["--database-url", &database_url(folder)]);
    Ok(output(create)?.trim().to_owned())
}

/// Starts the service on the same database with the Redis at `url`, which nothing pins.
pub async fn serve_with_redis(folder: &Path, pinned: bool, url: &str) -> Result<Server, String> {
    let mut serve = command(Path::new(ORQIT), pinned);
    serve.env("ORQIT_REDIS_URL", url);
    serve.args(["serve", "--listen", "127.0.0.1:0", "--database-url", &database_url(folder)]);
    Server::start(serve, ORQIT_READY).await
}

/// Starts a build of the service on the database in `folder`.
pub async fn serve(orqit: &Path, folder: &Path, pinned: bool) -> Result<Server, String> {
    let mut serve = command(orqit, pinned);
    serve.args(["serve", "--listen", "127.0.0.1:0", "--database-url", &database_url(folder)]);
    Server::start(serve, ORQIT_READY).await
}

fn database_url(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("orqit.db").display())
}

/// What the command writes to stdout until it ends well.
fn output(mut command: Command) -> Result<String, String> {
    let program = format!("{:?}", command.get_program());
    let failed = |why: String| format!("cannot run {program}: {why}");
    let done = command.stderr(Stdio::inherit()).output();
    let done = done.map_err(|error| failed(error.to_string()))?;
    if !done.status.success() {
        return Err(failed(done.status.to_string()));
    }
    String::from_utf8(done.stdout).map_err(|error| error.to_string())
}
