//! The `orqit` binary: parses the command line and runs one command.

use std::process::ExitCode;

use clap::Parser;
use orqit::cli;

#[tokio::main]
async fn main() -> ExitCode {
    let command_line = cli::Cli::parse();
    match cli::run(command_line).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("orqit: {sentence}");
            ExitCode::FAILURE
        }
    }
}
