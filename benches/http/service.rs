//! A build of the service, running on a database of its own.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::processes::{self, Placement, Server};

/// This build: the release binary under `cargo bench`, the debug one under `cargo test`.
pub const THIS_BUILD: &str = env!("CARGO_BIN_EXE_orqit");
/// What stands before the address in the first line of the service.
const READY: &str = "Orqit listens on http://";
/// The workspace that a first start makes.
pub const FIRST_WORKSPACE: &str = "default";

/// The service, and keys to call it with.
pub struct Service {
    pub server: Server,
    /// Without limits, each of another workspace.
    pub keys: Vec<String>,
    /// Of the first workspace, with limits too high to reach.
    pub limited_key: String,
}

/// Whose keys the requests carry.
#[derive(Debug, Clone, Copy)]
pub enum Callers {
    /// The first workspace's key without limits.
    One,
    /// The first workspace's key with limits.
    Limited,
    /// The keys of all workspaces in turn.
    EveryWorkspace,
}

/// What an import took.
pub struct Import {
    pub seconds: f64,
    pub server_cpu_seconds: f64,
}

impl Service {
    /// Starts a build on a database, which it makes if there is none, with keys of these
    /// workspaces. `redis_url` names the Redis that counts the limits, if one does.
    pub fn start(
        build: &Path,
        database_url: &str,
        workspaces: &[String],
        placement: Placement,
        redis_url: Option<&str>,
    ) -> Result<Self, String> {
        let mut serve = processes::command(build, placement);
        serve.args(["serve", "--listen", "127.0.0.1:0", "--database-url", database_url]);
        if let Some(url) = redis_url {
            serve.env("ORQIT_REDIS_URL", url);
        }
        let server = Server::start(serve, READY)?;
        let key = |workspace: &str, limit| make_key(build, database_url, workspace, limit);
        let keys = workspaces.iter().map(|workspace| key(workspace, "unlimited"));
        let keys = keys.collect::<Result<_, _>>()?;
        Ok(Self { server, keys, limited_key: key(&workspaces[0], "1000000")? })
    }

    pub fn keys(&self, callers: Callers) -> &[String] {
        match callers {
            Callers::One => &self.keys[..1],
            Callers::Limited => std::slice::from_ref(&self.limited_key),
            Callers::EveryWorkspace => &self.keys,
        }
    }

    /// Loads tickets, and the changes of their status, through the API, with this build's client
    /// whatever build serves.
    pub fn import(&self, tickets: &Path, events: Option<&Path>) -> Result<Import, String> {
        let mut import = Command::new(THIS_BUILD);
        // Ticket by ticket, as its clients create and change them.
        import.args(["import", "tickets", "--replay", "--preset", "servicenow"]).arg(tickets);
        if let Some(events) = events {
            import.arg("--events").arg(events);
        }
        import.args(["--parallel", "16", "--api-key", &self.keys[0]]);
        import.args(["--url", &format!("http://{}", self.server.address)]);
        let (begun, cpu_before) = (Instant::now(), self.server.cpu_seconds()?);
        // Some of the events are refused, which is the code 2.
        eprint!("{}", processes::output_with(import, 2)?);
        Ok(Import {
            seconds: begun.elapsed().as_secs_f64(),
            server_cpu_seconds: self.server.cpu_seconds()? - cpu_before,
        })
    }

    /// The message with the first workspace's key.
    pub fn signed<M>(&self, message: M) -> tonic::Request<M> {
        let mut request = tonic::Request::new(message);
        let bearer = format!("Bearer {}", self.keys[0]).parse().expect("a key is visible ASCII");
        request.metadata_mut().insert("authorization", bearer);
        request
    }
}

fn make_key(
    build: &Path,
    database_url: &str,
    workspace: &str,
    limit: &str,
) -> Result<String, String> {
    let mut create = quiet(build);
    create.args(["key", "create", "--name", "Benchmark", "--scope", "read-write"]);
    create.args(["--limit-per-minute", limit, "--group-limit-per-minute", limit]);
    create.args(["--workspace", workspace, "--database-url", database_url]);
    Ok(processes::output(create)?.trim().to_owned())
}

/// Makes a workspace, and the database before it if there is none.
pub fn make_workspace(build: &Path, database_url: &str, slug: &str) -> Result<(), String> {
    let mut create = quiet(build);
    create.args(["workspace", "create", slug, "--database-url", database_url]);
    processes::output(create).map(drop)
}

/// A command that does not log PostgreSQL's notices about migrations that are there already.
fn quiet(build: &Path) -> Command {
    let mut command = Command::new(build);
    command.env("ORQIT_LOG", "warn");
    command
}
