//! `orqit key`: the operator's view of API keys.

use std::time::Duration;

use clap::Args;

use super::{chain, migrate, workspace};
use crate::clock::{Clock, Timestamp};
use crate::config::{self, DatabaseArgs};
use crate::event::Actor;
use crate::key::KeyText;
use crate::scope::{Scope, Scopes};
use crate::store::{KeyRecord, NewKey};

/// What a key may send a minute over all, and in one endpoint group, unless it says otherwise.
pub const LIMITS_DEFAULT: (i32, i32) = (60, 30);

/// What can be done with keys.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a key and print it, alone on stdout: it is shown this once.
    Create(CreateArgs),
    /// List the keys of a workspace; no secrets.
    List(ListArgs),
}

/// A new key.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// The short name of the workspace.
    #[arg(long, default_value = "default")]
    workspace: String,
    /// What the key is called, 1 to 255 characters.
    #[arg(long, value_parser = super::name)]
    name: String,
    /// What the key is for.
    #[arg(long, value_parser = super::name)]
    description: Option<String>,
    /// A scope such as tickets:read, or a name for several: read-only, read-write, admin,
    /// ticket-index, create-ticket, ticket-respond, send-email. May be given several times.
    #[arg(long = "scope", required = true, value_parser = scope)]
    scopes: Vec<String>,
    /// When the key stops being accepted, from now, such as 30d; never by default.
    #[arg(long, value_parser = config::duration)]
    expires_in: Option<Duration>,
    /// Requests a minute over all, or `unlimited`.
    #[arg(long, default_value = "60", value_parser = limit)]
    limit_per_minute: i32,
    /// Requests a minute in each endpoint group, or `unlimited`.
    #[arg(long, default_value = "30", value_parser = limit)]
    group_limit_per_minute: i32,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Whose keys to list.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The short name of the workspace.
    #[arg(long, default_value = "default")]
    workspace: String,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Runs a key command.
pub async fn run(command: Command) -> Result<(), String> {
    match command {
        Command::Create(args) => create(args).await,
        Command::List(args) => list(args).await,
    }
}

async fn create(args: CreateArgs) -> Result<(), String> {
    let store = migrate::open(&args.database).await?;
    let workspace = workspace::find(&store, &args.workspace).await?;
    let expires_at = match args.expires_in {
        None => None,
        Some(after) => Some(expiry(after)?),
    };
    let key = KeyText::generate();
    let new = NewKey {
        description: args.description,
        expires_at,
        per_minute: args.limit_per_minute,
        group_per_minute: args.group_limit_per_minute,
        ..new_key(&key, args.name, args.scopes)?
    };
    let failed = |error: crate::error::Error| chain("cannot make the key", &error);
    let tx = store.begin(workspace.id, Actor::operator()).await.map_err(failed)?;
    tx.insert_key(new).await.map_err(failed)?;
    tx.commit().await.map_err(failed)?;
    println!("{}", key.reveal());
    Ok(())
}

/// A key with the default limits and no expiry.
pub fn new_key(key: &KeyText, name: String, requested: Vec<String>) -> Result<NewKey, String> {
    let scopes = Scopes::of_names(&requested).map_err(unknown_scope)?;
    Ok(NewKey {
        key_id: key.id().to_owned(),
        key_hash: key.hash().0,
        last_four: key.last_four().to_owned(),
        name,
        description: None,
        scopes: scopes.names().into_iter().map(str::to_owned).collect(),
        requested_scopes: requested,
        per_minute: LIMITS_DEFAULT.0,
        group_per_minute: LIMITS_DEFAULT.1,
        expires_at: None,
        created_by: None,
    })
}

fn expiry(after: Duration) -> Result<Timestamp, String> {
    // Ten thousand years hence the year no longer has four digits, and RFC 3339 ends.
    let bounds = Duration::from_secs(1)..=Duration::from_secs(100 * 365 * 24 * 3600);
    if !bounds.contains(&after) {
        return Err("--expires-in must be 1s to 36500d".to_owned());
    }
    Ok(Clock::System.now().plus_millis(after.as_millis() as i64))
}

async fn list(args: ListArgs) -> Result<(), String> {
    let store = migrate::open(&args.database).await?;
    let workspace = workspace::find(&store, &args.workspace).await?;
    let keys = store.reader(workspace.id).list_keys().await;
    let keys = keys.map_err(|error| chain("cannot list the keys", &error))?;
    let now = Clock::System.now();
    println!("{:<10} {:<8} {:<26} {:<30} SCOPES", "ID", "STATUS", "EXPIRES", "NAME");
    for key in keys {
        let expires = key.expires_at.map_or("never".to_owned(), Timestamp::to_rfc3339);
        let scopes = key.requested_scopes.join(",");
        println!(
            "{:<10} {:<8} {:<26} {:<30} {scopes}",
            key.key_id,
            status(&key, now),
            expires,
            key.name
        );
    }
    Ok(())
}

fn status(key: &KeyRecord, now: Timestamp) -> &'static str {
    if key.revoked_at.is_some() {
        "REVOKED"
    } else if key.expires_at.is_some_and(|expiry| expiry <= now) {
        "EXPIRED"
    } else {
        "ACTIVE"
    }
}

fn scope(text: &str) -> Result<String, String> {
    Scopes::named(text).map(|_| text.to_owned()).ok_or_else(|| unknown_scope(text))
}

fn unknown_scope(name: &str) -> String {
    let native: Vec<_> = Scope::ALL.iter().map(|(_, name)| *name).collect();
    format!(
        "`{name}` is no scope; there are {} and the presets read-only, read-write, admin, \
         ticket-index, create-ticket, ticket-respond and send-email",
        native.join(", ")
    )
}

fn limit(text: &str) -> Result<i32, String> {
    if text == "unlimited" {
        return Ok(0);
    }
    let limit = text.parse().ok().filter(|limit| (1..=1_000_000).contains(limit));
    limit.ok_or_else(|| "a limit is 1 to 1000000, or `unlimited`".to_owned())
}
