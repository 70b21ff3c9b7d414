//! What the service answers on one core, beside a bare axum handler that answers the same bytes.
//!
//! `scripts/benchmark` runs it. This process makes the tickets, is the load, and keeps the figures;
//! what it measures are processes of their own on another core: the service as an operator starts
//! it, and the bare server, which is this program in its other role. They take turns within each
//! round, so that whatever else the machine does meets all of them alike.
//!
//! Under `cargo test` every scenario answers a few hundred requests, and no time is looked at.

mod answers;
mod bare;
mod incidents;
mod latencies;
mod load;
mod measure;
mod processes;
mod report;
mod scenarios;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::load::Extent;
use crate::processes::{BARE_READY, Orqit, Server};
use crate::scenarios::{Scenario, Side};

/// How long a server is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(5);
/// The tickets and the requests of a scenario under `cargo test`.
const SMOKE: (u32, u64) = (200, 300);

/// Measures the service beside a bare handler.
#[derive(Debug, Parser)]
#[command(name = "scripts/benchmark", args_conflicts_with_subcommands = true)]
struct Cli {
    /// Cargo says so under `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(flatten)]
    run: RunArgs,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// A folder with tickets.ndjson.gz and events.ndjson.gz to load instead of made-up tickets.
    #[arg(long)]
    data: Option<PathBuf>,
    /// How many tickets to make up.
    #[arg(long, default_value_t = 25_000)]
    tickets: u32,
    /// How many seconds each server is measured in each round.
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// How many rounds; the figures are the medians over them.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only the scenarios whose name has this text in it.
    #[arg(long, default_value = "")]
    only: String,
    /// Another build of the `orqit` binary to measure beside this one; may be given several times.
    #[arg(long)]
    against: Vec<PathBuf>,
    /// Where to keep the database, for a later run to measure the same tickets.
    #[arg(long)]
    keep: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Be the bare server.
    #[command(hide = true)]
    Bare {
        /// Holds the answers.
        folder: PathBuf,
        /// The SQLite file of the service.
        database: PathBuf,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_test = !arguments.iter().any(|argument| argument == "--bench" || argument == "bare");
    let done = match is_test {
        // The arguments are those of the test runner: a name filter means other tests.
        true if arguments.iter().any(|argument| !argument.starts_with('-')) => Ok(()),
        true => smoke().await,
        false => match Cli::parse() {
            Cli { role: Some(Role::Bare { folder, database }), .. } => {
                bare::serve(&folder, &database).await
            }
            Cli { run, .. } => benchmark(&run).await,
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("benchmark: {sentence}");
            ExitCode::FAILURE
        }
    }
}

/// Measures everything and prints the table.
async fn benchmark(run: &RunArgs) -> Result<(), String> {
    processes::pin_this_process()?;
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let folder = run.keep.as_deref().unwrap_or(scratch.path());
    std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let is_new = !folder.join("orqit.db").exists();
    let orqit = Orqit::start(folder, true).await?;
    if is_new {
        load_tickets(&orqit, run, folder)?;
    }
    // Started anew, so that its memory is that of a service that has loaded nothing.
    drop(orqit);
    let orqit = Orqit::start(folder, true).await?;
    let mut subjects = Subjects::new(orqit, folder, true).await?;
    for build in &run.against {
        subjects.others.push(processes::serve(build, folder, true).await?);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let fresh_kib = subjects.orqit.server.rss_kib()?;

    let mut scenarios = subjects.scenarios();
    scenarios.iter_mut().for_each(|scenario| scenario.ask_too(&run.against));
    let scenarios = scenarios.into_iter().filter(|scenario| scenario.name.contains(&run.only));
    let extent = Extent::Time(Duration::from_secs(run.seconds));
    let mut tables = Vec::new();
    for scenario in scenarios {
        tables.push(subjects.measure(&scenario, run.rounds, extent).await?);
    }
    tokio::time::sleep(IDLE).await;
    let idle_kib = subjects.orqit.server.rss_kib()?;
    report::print(&tables, subjects.tickets, fresh_kib, idle_kib);
    Ok(())
}

/// A few hundred requests of each scenario.
async fn smoke() -> Result<(), String> {
    let (tickets, requests) = SMOKE;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let orqit = Orqit::start(folder.path(), false).await?;
    let file = incidents::write(folder.path(), tickets)?;
    orqit.import(&file, None)?;
    let subjects = Subjects::new(orqit, folder.path(), false).await?;
    for scenario in subjects.scenarios() {
        subjects.measure(&scenario, 1, Extent::Requests(requests)).await?;
    }
    println!("benchmark: every scenario answered {requests} requests");
    Ok(())
}

fn load_tickets(orqit: &Orqit, run: &RunArgs, folder: &Path) -> Result<(), String> {
    match &run.data {
        None => orqit.import(&incidents::write(folder, run.tickets)?, None),
        Some(data) => {
            orqit.import(&data.join("tickets.ndjson.gz"), Some(&data.join("events.ndjson.gz")))
        }
    }
}

/// What is measured.
struct Subjects {
    orqit: Orqit,
    bare: Server,
    /// The service beside Redis, where `ORQIT_TEST_REDIS_URL` names one.
    redis: Option<Server>,
    /// Other builds of the service, on the same database.
    others: Vec<Server>,
    tickets: u32,
}

impl Subjects {
    /// Asks the service for the answers, and starts the bare server with them.
    async fn new(orqit: Orqit, folder: &Path, pinned: bool) -> Result<Self, String> {
        let tickets = answers::capture(&orqit, folder).await?;
        let me = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = processes::command(&me, pinned);
        command.arg("bare").arg(folder).arg(folder.join("orqit.db"));
        let bare = Server::start(command, BARE_READY).await?;
        let redis = match std::env::var("ORQIT_TEST_REDIS_URL") {
            Ok(url) => Some(processes::serve_with_redis(folder, pinned, &url).await?),
            Err(_) => None,
        };
        Ok(Self { orqit, bare, redis, others: Vec::new(), tickets })
    }

    fn scenarios(&self) -> Vec<scenarios::Scenario> {
        let Orqit { key, limited_key, .. } = &self.orqit;
        scenarios::all(self.tickets, key, limited_key, self.redis.is_some())
    }

    async fn measure(
        &self,
        scenario: &Scenario,
        rounds: usize,
        extent: Extent,
    ) -> Result<report::Table, String> {
        let server = |side| match side {
            Side::Orqit => &self.orqit.server,
            Side::Bare => &self.bare,
            Side::Redis => self.redis.as_ref().expect("asked only where it runs"),
            Side::Other(number) => &self.others[number],
        };
        measure::measure(scenario, server, rounds, extent).await
    }
}
