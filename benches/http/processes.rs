//! The servers under measurement as processes of this machine, and the cores they run on.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::linux;

/// The core of the servers.
const SERVER_CORE: &str = "0";
/// The core of the load.
const LOAD_CORE: &str = "1";

/// Which cores a server may use.
#[derive(Debug, Clone, Copy)]
pub enum Placement {
    /// The core of the servers alone.
    ServerCore,
    /// The cores of this process.
    Inherited,
}

/// Moves this process, which is the load, to its core.
pub fn pin_this_process() -> Result<(), String> {
    let pid = std::process::id().to_string();
    let mut command = Command::new("taskset");
    command.args(["--pid", "--cpu-list", LOAD_CORE, &pid]).stdout(Stdio::null());
    output(command).map(|_| ()).map_err(|error| {
        format!("{error}; the benchmark needs Linux, taskset (util-linux) and two cores")
    })
}

/// A command that runs `program` on the cores of its placement.
pub fn command(program: &Path, placement: Placement) -> Command {
    match placement {
        Placement::Inherited => Command::new(program),
        Placement::ServerCore => {
            let mut command = Command::new("taskset");
            command.args(["--cpu-list", SERVER_CORE]).arg(program);
            command
        }
    }
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
    pub fn start(mut command: Command, ready: &str) -> Result<Self, String> {
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
        linux::cpu_seconds(&self.child.id().to_string())
    }

    /// The memory that it holds now, in KiB.
    pub fn rss_kib(&self) -> Result<u64, String> {
        linux::rss_kib(&self.child.id().to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, which whoever asked it last has noticed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the command writes to stdout until it ends well.
pub fn output(command: Command) -> Result<String, String> {
    output_with(command, 0)
}

/// The same of a command that may also end with another code than 0.
pub fn output_with(mut command: Command, code: i32) -> Result<String, String> {
    let program = format!("{:?}", command.get_program());
    let failed = |why: String| format!("cannot run {program}: {why}");
    let done = command.stderr(Stdio::inherit()).output();
    let done = done.map_err(|error| failed(error.to_string()))?;
    if !done.status.success() && done.status.code() != Some(code) {
        return Err(failed(done.status.to_string()));
    }
    String::from_utf8(done.stdout).map_err(|error| error.to_string())
}
