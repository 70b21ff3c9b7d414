//! `orqit workspace`: the operator's view of workspaces.

use clap::Args;

use super::settings::DatabaseArgs;
use super::{chain, database};
use crate::auth::caller::CAN_MANAGE_API_KEYS;
use crate::error::Error;
use crate::event::Actor;
use crate::preconditions::Precondition;
use crate::service::workspace::{record_change, record_new};
use crate::store::{NewWorkspace, WorkspaceChanges};

/// The commands for workspaces.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a workspace with its admin and SYSTEM users.
    Create(CreateArgs),
    /// Change the settings of a workspace; they hold from the next request on.
    Update(UpdateArgs),
}

/// A new workspace.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// The short name: 1 to 63 of a-z, 0-9 and `-`, beginning with a letter.
    #[arg(value_parser = slug)]
    slug: String,
    /// The full name; the short one by default.
    #[arg(long)]
    name: Option<String>,
    /// The e-mail address of its admin.
    #[arg(long, value_parser = super::email)]
    admin_email: Option<String>,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// The arguments of `workspace update`.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// The short name of the workspace.
    slug: String,
    /// The full name, 1 to 255 characters.
    #[arg(long, value_parser = super::name)]
    name: Option<String>,
    /// The most keys that may be active at a time, 1 to 100000.
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..=100_000))]
    max_active_keys: Option<i32>,
    /// The most keys that callers of the API may make within an hour, 0 to 100000.
    #[arg(long, value_parser = clap::value_parser!(i32).range(0..=100_000))]
    key_creations_per_hour: Option<i32>,
    /// Send an e-mail of each public comment to the requester and the watchers of a ticket.
    #[arg(long, value_parser = on_or_off)]
    notify_by_email: Option<bool>,
    /// A capability to switch, such as can_manage_api_keys=off. May be given several times.
    #[arg(long = "capability", value_parser = capability)]
    capabilities: Vec<(String, bool)>,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Runs a workspace command.
pub async fn run(command: Command) -> Result<(), String> {
    match command {
        Command::Create(args) => create(args).await,
        Command::Update(args) => update(args).await,
    }
}

async fn update(args: UpdateArgs) -> Result<(), String> {
    let store = database::open(&args.database).await?;
    let workspace = database::find_workspace(&store, &args.slug).await?;
    let changes = WorkspaceChanges {
        name: args.name,
        max_active_keys: args.max_active_keys,
        key_creations_per_hour: args.key_creations_per_hour,
        notify_by_email: args.notify_by_email,
        // There is one capability; the last word counts.
        can_manage_api_keys: args.capabilities.last().map(|(_, on)| *on),
    };
    let failed = |error: Error| chain("cannot change the workspace", &error);
    let locking = store.begin_locking(workspace.id, Actor::operator()).await.map_err(failed)?;
    let found = locking.find_workspace_for_update(&Precondition::default()).await;
    let (before, mut tx) = found.map_err(failed)?;
    let after = tx.update_workspace(&before, &changes).await.map_err(failed)?;
    if after != before {
        record_change(&mut tx, &before, &after);
    }
    tx.commit().await.map_err(failed)?;
    database::settle(&store).await.map_err(failed)?;
    let shown = |is_on: bool| if is_on { "on" } else { "off" };
    println!(
        "{} {} max-active-keys={} key-creations-per-hour={} notify-by-email={} can_manage_api_keys={}",
        after.public_id,
        after.slug,
        after.max_active_keys,
        after.key_creations_per_hour,
        shown(after.notify_by_email),
        shown(after.can_manage_api_keys),
    );
    Ok(())
}

fn on_or_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("write on or off".to_owned()),
    }
}

fn capability(text: &str) -> Result<(String, bool), String> {
    let remedy = format!(
        "write {CAN_MANAGE_API_KEYS}=on or {CAN_MANAGE_API_KEYS}=off; there is no other capability"
    );
    match text.split_once('=') {
        Some((name, "on")) if name == CAN_MANAGE_API_KEYS => Ok((name.to_owned(), true)),
        Some((name, "off")) if name == CAN_MANAGE_API_KEYS => Ok((name.to_owned(), false)),
        _ => Err(remedy),
    }
}

async fn create(args: CreateArgs) -> Result<(), String> {
    let store = database::open(&args.database).await?;
    let new = NewWorkspace {
        name: args.name.unwrap_or_else(|| args.slug.clone()),
        slug: args.slug,
        admin_email: args.admin_email,
    };
    let made = store.insert_workspace(new, record_new).await;
    let made = made.map_err(|error| chain("cannot make the workspace", &error))?;
    println!("{} {}", made.public_id, made.slug);
    Ok(())
}

fn slug(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let right = (1..=63).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(allowed);
    let remedy = "a workspace is named by 1 to 63 of a-z, 0-9 and `-`, beginning with a letter";
    if right { Ok(text.to_owned()) } else { Err(remedy.to_owned()) }
}
