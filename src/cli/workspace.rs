//! `orqit workspace`: the operator's view of workspaces.

use clap::Args;

use super::{chain, migrate};
use crate::config::DatabaseArgs;
use crate::store::{NewWorkspace, Store, Workspace};

/// What can be done with workspaces.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a workspace with its admin and SYSTEM users.
    Create(CreateArgs),
}

/// A new workspace.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Its short name: 1 to 63 of a-z, 0-9 and `-`, beginning with a letter.
    #[arg(value_parser = slug)]
    slug: String,
    /// Its full name; the short one by default.
    #[arg(long)]
    name: Option<String>,
    /// The e-mail address of its admin.
    #[arg(long, value_parser = super::email)]
    admin_email: Option<String>,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Runs a workspace command.
pub async fn run(command: Command) -> Result<(), String> {
    let Command::Create(args) = command;
    let store = migrate::open(&args.database).await?;
    let new = NewWorkspace {
        name: args.name.unwrap_or_else(|| args.slug.clone()),
        slug: args.slug,
        admin_email: args.admin_email,
    };
    let made = store.insert_workspace(new).await;
    let made = made.map_err(|error| chain("cannot make the workspace", &error))?;
    println!("{} {}", made.public_id, made.slug);
    Ok(())
}

/// The workspace with this short name, or a sentence that says how to make it.
pub async fn find(store: &Store, slug: &str) -> Result<Workspace, String> {
    let found = store.find_workspace_by_slug(slug).await;
    let found = found.map_err(|error| chain("cannot read the workspace", &error))?;
    found.ok_or_else(|| {
        format!("there is no workspace `{slug}`; make it with `orqit workspace create {slug}`")
    })
}

fn slug(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let right = (1..=63).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(allowed);
    let remedy = "a workspace is named by 1 to 63 of a-z, 0-9 and `-`, beginning with a letter";
    if right { Ok(text.to_owned()) } else { Err(remedy.to_owned()) }
}
