//! What the service answers on one core, beside a bare axum handler that answers the same bytes.
//!
//! `scripts/benchmark` runs it. This process makes the tickets, is the load, and keeps the figures;
//! what it measures are processes of their own on another core: the service as an operator starts
//! it, older builds of it, and the bare server, which is this program in its other role. They take
//! turns within each round, so that whatever else the machine does meets all of them alike. On
//! PostgreSQL, which needs a core too, nothing is pinned.
//!
//! Under `cargo test` every scenario answers a few dozen requests, and no time is looked at.

mod answers;
mod bare;
mod incidents;
mod latencies;
mod linux;
mod load;
mod measure;
mod plan;
mod postgres;
mod postmaster;
mod processes;
mod report;
mod scenarios;
mod service;
mod sqlite;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::load::Extent;
use crate::measure::Effort;
use crate::plan::{Plan, Tickets};
use crate::processes::Placement;
use crate::service::THIS_BUILD;

/// The tickets and the requests of a scenario under `cargo test`.
const SMOKE: (u32, u64) = (100, 50);
/// The workspaces on PostgreSQL, each of which writes on its own; and under `cargo test`.
const WORKSPACES: (usize, usize) = (16, 2);

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
    /// Only the scenarios whose name has this text in it, such as `create`, `SQLite` or
    /// `PostgreSQL`; `import` loads the tickets and tells what that took, and no more.
    #[arg(long, default_value = "")]
    only: String,
    /// Another build of the `orqit` binary to measure beside this one, on databases of its own; may
    /// be given several times, the oldest first.
    #[arg(long)]
    against: Vec<PathBuf>,
    /// Where to keep the SQLite databases as they are once the tickets are loaded, for a later run
    /// to copy. Of other builds they are told apart by their order.
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

impl RunArgs {
    fn plan(self) -> Plan {
        let extent = Extent::Time(Duration::from_secs(self.seconds));
        Plan {
            builds: scenarios::builds(&self.against),
            tickets: self.data.map_or(Tickets::MadeUp(self.tickets), Tickets::In),
            keep: self.keep,
            only: self.only,
            workspaces: WORKSPACES.0,
            effort: Effort { rounds: self.rounds, extent },
            placement: Placement::ServerCore,
        }
    }
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
            Cli { run, .. } => benchmark(&run.plan()).await,
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

/// Measures what the plan asks for and prints the tables.
async fn benchmark(plan: &Plan) -> Result<(), String> {
    let postgres_url = std::env::var(postgres::SERVER_URL).ok();
    let (on_postgres, on_sqlite) = (postgres::is_wanted(plan), sqlite::is_wanted(plan));
    if !on_postgres && !on_sqlite {
        return Err(format!("no scenario has `{}` in its name", plan.only));
    }
    let mut tables = Vec::new();
    // First, while this process and those that it starts may use every core.
    if let Some(url) = postgres_url.filter(|_| on_postgres) {
        tables.extend(postgres::measure(plan, &url).await?);
    }
    if !on_sqlite {
        report::print(&tables);
        return Ok(());
    }
    processes::pin_this_process()?;
    let measured = sqlite::measure(plan).await?;
    report::print_imports(&measured.imports);
    tables.extend(measured.tables);
    report::print(&tables);
    report::print_memory(&measured.memory);
    Ok(())
}

/// A few requests of each scenario, with this build in the role of another one too.
async fn smoke() -> Result<(), String> {
    let (tickets, requests) = SMOKE;
    let plan = Plan {
        builds: scenarios::builds(&[PathBuf::from(THIS_BUILD)]),
        tickets: Tickets::MadeUp(tickets),
        keep: None,
        only: String::new(),
        workspaces: WORKSPACES.1,
        effort: Effort { rounds: 1, extent: Extent::Requests(requests) },
        placement: Placement::Inherited,
    };
    if let Ok(url) = std::env::var(postgres::SERVER_URL) {
        postgres::measure(&plan, &url).await?;
    }
    sqlite::measure(&plan).await?;
    println!("benchmark: every scenario answered {requests} requests");
    Ok(())
}
