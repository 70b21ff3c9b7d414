//! The `orqit` binary: parses the command line and runs one command.

use std::process::ExitCode;

use clap::Parser;
use orqit::cli;

/// The allocator, which costs half of the C library's for the many small pieces that a request is
/// made of.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let command_line = cli::Cli::parse();
    match cli::run(command_line).await {
        Ok(code) => code,
        Err(sentence) => {
            eprintln!("orqit: {sentence}");
            ExitCode::FAILURE
        }
    }
}
