//! The commands of the `orqit` binary, one file each.

mod client;
mod database;
mod email_settings;
mod export;
mod import;
mod key;
mod listen;
mod master_key;
mod migrate;
mod serve;
pub mod settings;
mod user;
mod values;
mod webhook_settings;
mod whoami;
mod workspace;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::error::causes;
use rest::validate::is_address;
use settings::{DatabaseArgs, ServeArgs};

/// The default log filter. Migrations log each step, of which an operator wants to know the
/// failures only.
const LOG_DEFAULT: &str = "info,sea_orm_migration=warn";

/// Orqit: the public integration API of an IT service desk.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
pub struct Cli {
    /// The log filter: a level, or `target=level` pairs joined by commas.
    #[arg(long, env = "ORQIT_LOG", default_value = LOG_DEFAULT, global = true)]
    log: String,
    /// The format of log lines.
    #[arg(long, env = "ORQIT_LOG_FORMAT", default_value = "text", global = true)]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service.
    Serve(Box<ServeArgs>),
    /// Bring the database to this version's schema and stop.
    Migrate(DatabaseArgs),
    /// Manage workspaces.
    #[command(subcommand)]
    Workspace(workspace::Command),
    /// Manage the users of a workspace.
    #[command(subcommand)]
    User(user::Command),
    /// Manage the API keys of a workspace.
    #[command(subcommand)]
    Key(key::Command),
    /// Manage the key that encrypts the secrets of webhooks.
    #[command(subcommand)]
    MasterKey(master_key::Command),
    /// Tell who ORQIT_API_KEY is.
    Whoami(ClientArgs),
    /// Follow the events of a workspace, and forward them to a program of yours.
    Listen(listen::ListenArgs),
    /// Bring records from files, of this service or of another system.
    #[command(subcommand)]
    Import(import::Command),
    /// Write the records of a workspace as NDJSON, as `orqit import` reads them.
    Export(export::ExportArgs),
}

/// The arguments by which a client command reaches the service.
#[derive(Debug, Clone, clap::Args)]
struct ClientArgs {
    /// The address of the service.
    #[arg(long, env = "ORQIT_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// The API key.
    #[arg(
        long,
        env = "ORQIT_API_KEY",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true
    )]
    api_key: String,
}

/// Runs the command that the arguments name. An error is a sentence for the operator.
pub async fn run(cli: Cli) -> Result<ExitCode, String> {
    log_to_stderr(&cli.log, cli.log_format)?;
    match cli.command {
        Command::Serve(args) => serve::run(*args).await,
        Command::Migrate(args) => migrate::run(&args).await,
        Command::Workspace(command) => workspace::run(command).await,
        Command::User(command) => user::run(command).await,
        Command::Key(command) => key::run(command).await,
        Command::MasterKey(command) => master_key::run(command).await,
        Command::Whoami(args) => whoami::run(&args).await,
        Command::Listen(args) => listen::run(args).await,
        Command::Export(args) => export::run(args).await,
        Command::Import(command) => return import::run(command).await,
    }
    .map(|()| ExitCode::SUCCESS)
}

/// Sets up logging to stderr: stdout is for the output that a command was asked for.
fn log_to_stderr(filter: &str, format: LogFormat) -> Result<(), String> {
    let filter: Targets = filter
        .parse()
        .map_err(|error| format!("ORQIT_LOG is not a log filter: {error}; try `info`"))?;
    let filtered = tracing_subscriber::registry().with(filter);
    // Every request has a span with fields: written plainly they cost half of what they do in style.
    let field = format::debug_fn(|writer, field, value| match field.name() {
        "message" => write!(writer, "{value:?}"),
        name => write!(writer, "{name}={value:?}"),
    });
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => filtered.with(lines.fmt_fields(field.delimited(" "))).init(),
        LogFormat::Json => filtered.with(lines.json()).init(),
    }
    Ok(())
}

/// Returns a failure for the operator: its cause if there is one, else the message to a caller.
fn chain(what: &str, error: &crate::error::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{what}: {}", causes(source)),
        None => format!("{what}: {}", error.message),
    }
}

/// A name or description: 1 to 255 characters, none of them a control character.
fn name(text: &str) -> Result<String, String> {
    let right = (1..=255).contains(&text.chars().count()) && !text.contains(char::is_control);
    if right {
        Ok(text.to_owned())
    } else {
        Err("it must be 1 to 255 characters in one line".to_owned())
    }
}

/// An e-mail address by the rule of the API, at most 254 characters.
fn email(text: &str) -> Result<String, String> {
    let right = text.len() <= 254 && is_address(text);
    if right { Ok(text.to_owned()) } else { Err("an e-mail address is name@host".to_owned()) }
}
