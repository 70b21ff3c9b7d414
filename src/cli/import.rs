//! `orqit import tickets`: loads tickets and their history from another system, as a gRPC client.
//!
//! Both files are NDJSON, gzipped or not. A line of the first is a ticket, a line of the second a
//! change of its status. Tickets are found again by their external id, so that a second run, or
//! one after a run that broke off, makes no duplicates and repeats no change.

mod events;
mod records;
mod tickets;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::Semaphore;

use super::ClientArgs;
use super::client::{self, Client};

/// How many requests are under way at a time, unless the caller says otherwise.
const PARALLEL_DEFAULT: usize = 16;

/// What can be imported.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Load tickets, and the changes of their status, from NDJSON files.
    Tickets(TicketsArgs),
}

/// The files and how to load them.
#[derive(Debug, Args)]
pub struct TicketsArgs {
    /// Tickets, one JSON object a line: externalId, title, type, impact, urgency.
    file: PathBuf,
    /// Changes of status in the order they happened, one JSON object a line: incident, state.
    #[arg(long)]
    events: Option<PathBuf>,
    /// The system that the tickets come from; with externalId it names a ticket for good.
    #[arg(long, default_value = "servicenow")]
    source: String,
    /// What stands before `incident` in the externalId of its ticket.
    #[arg(long, default_value = "INC")]
    prefix: String,
    /// How many requests are under way at a time.
    #[arg(long, default_value_t = PARALLEL_DEFAULT as u32, value_parser = clap::value_parser!(u32).range(1..=64))]
    parallel: u32,
    #[command(flatten)]
    client: ClientArgs,
}

/// Runs an import.
pub async fn run(command: Command) -> Result<(), String> {
    let Command::Tickets(args) = command;
    let client = client::connect(&args.client).await?;
    let slots = Arc::new(Semaphore::new(args.parallel as usize));
    let import = Import { client, slots, source: args.source.clone() };
    let loaded = tickets::load(&import, &args.file).await?;
    println!("{}", loaded.report());
    if let Some(file) = &args.events {
        let report = events::apply(&import, file, &args.prefix, loaded.tickets).await?;
        println!("{report}");
    }
    Ok(())
}

/// What both steps of an import share.
#[derive(Clone)]
struct Import {
    client: Client,
    slots: Arc<Semaphore>,
    source: String,
}

/// A bar on stderr when that is a terminal; nothing otherwise.
fn progress(title: &'static str, len: usize) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{msg:8} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}")
            .expect("the template is right");
    ProgressBar::new(len as u64).with_style(style).with_message(title)
}
