//! `orqit key`: the operator's view of API keys.

use std::time::Duration;

use clap::Args;

use super::settings::DatabaseArgs;
use super::values;
use super::{chain, database};
use crate::auth::key::KeyText;
use crate::auth::scope::{Scope, Scopes};
use crate::clock::{Clock, Timestamp};
use crate::config::LIMITS_DEFAULT;
use crate::error::{Error, Kind};
use crate::event::Actor;
use crate::preconditions::Precondition;
use crate::service::keys;
use crate::store::{KeyRecord, KeyStatus, MadeBy, NewKey, PageRequest, Position, Tx};

/// The commands for keys.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a key and print it, alone on stdout: it is shown this once.
    Create(CreateArgs),
    /// List the keys of a workspace; no secrets.
    List(ListArgs),
    /// Revoke a key for good; returns once no running service accepts it any more.
    Revoke(RevokeArgs),
}

/// A new key.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// The short name of the workspace.
    #[arg(long, default_value = "default")]
    workspace: String,
    /// The name of the key, 1 to 255 characters.
    #[arg(long, value_parser = super::name)]
    name: String,
    /// The purpose of the key.
    #[arg(long, value_parser = super::name)]
    description: Option<String>,
    /// A scope such as tickets:read, or a name for several: read-only, read-write, admin,
    /// ticket-index, create-ticket, ticket-respond, send-email. May be given several times.
    #[arg(long = "scope", required = true, value_parser = scope)]
    scopes: Vec<String>,
    /// The time from now until the key expires, such as 30d; it never does by default.
    #[arg(long, value_parser = values::duration)]
    expires_in: Option<Duration>,
    /// The requests a minute over all, or `unlimited`.
    #[arg(long, default_value = "60", value_parser = limit)]
    limit_per_minute: i32,
    /// The requests a minute in each endpoint group, or `unlimited`.
    #[arg(long, default_value = "30", value_parser = limit)]
    group_limit_per_minute: i32,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// The arguments of `key list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The short name of the workspace.
    #[arg(long, default_value = "default")]
    workspace: String,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// The arguments of `key revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// The key's id: the 8 characters after orq_.
    id: String,
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
        Command::Revoke(args) => revoke(args).await,
    }
}

async fn create(args: CreateArgs) -> Result<(), String> {
    let store = database::open(&args.database).await?;
    let workspace = database::find_workspace(&store, &args.workspace).await?;
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
    let failed = |error: Error| chain("cannot make the key", &error);
    let mut tx = store.begin(workspace.id, Actor::operator()).await.map_err(failed)?;
    insert(&mut tx, new).await.map_err(failed)?;
    tx.commit().await.map_err(failed)?;
    database::settle(&store).await.map_err(failed)?;
    println!("{}", key.reveal());
    Ok(())
}

/// Stores a key for the operator. The hourly limit does not bind the operator, the cap does.
pub async fn insert(tx: &mut Tx, new: NewKey) -> Result<(), Error> {
    let settings = tx.lock_keys().await?;
    if tx.count_active_keys().await? >= i64::from(settings.max_active_keys) {
        return Err(keys::cap_reached(settings.max_active_keys));
    }
    let key_id = new.key_id.clone();
    tx.insert_key(new).await?;
    let made = tx.find_key(&key_id).await?;
    let made = made.ok_or_else(|| Error::internal("a key that was just written is gone"))?;
    tx.record(keys::created(&made, tx.now()));
    tx.audit(keys::audit("api_key.create", &key_id, None, Some(&made), tx.now()));
    Ok(())
}

async fn revoke(args: RevokeArgs) -> Result<(), String> {
    let store = database::open(&args.database).await?;
    let workspace = database::find_workspace(&store, &args.workspace).await?;
    let failed = |error: Error| chain("cannot revoke the key", &error);
    let locking = store.begin_locking(workspace.id, Actor::operator()).await.map_err(failed)?;
    let found = locking.find_key_for_update(&args.id, &Precondition::default()).await;
    let (before, mut tx) = found.map_err(|error| match error.kind {
        Kind::NotFound(_) => {
            let (id, slug) = (&args.id, &args.workspace);
            format!("there is no key `{id}` in the workspace `{slug}`; `orqit key list` shows them")
        }
        _ => failed(error),
    })?;
    keys::revoke(&mut tx, before).await.map_err(failed)?;
    tx.commit().await.map_err(failed)?;
    database::settle(&store).await.map_err(failed)?;
    println!("{} is revoked", args.id);
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
        made_by: MadeBy::Operator,
    })
}

fn expiry(after: Duration) -> Result<Timestamp, String> {
    // Ten thousand years hence the year no longer has four digits, and RFC 3339 ends.
    let bounds = Duration::from_secs(1)..=Duration::from_secs(100 * 365 * 24 * 3600);
    if !bounds.contains(&after) {
        return Err("--expires-in must be 1s to 36500d".to_owned());
    }
    Ok(Clock::System.now().plus(after))
}

async fn list(args: ListArgs) -> Result<(), String> {
    let store = database::open(&args.database).await?;
    let workspace = database::find_workspace(&store, &args.workspace).await?;
    let reader = store.reader(workspace.id);
    let now = Clock::System.now();
    println!("{:<10} {:<8} {:<26} {:<30} SCOPES", "ID", "STATUS", "EXPIRES", "NAME");
    let mut position = Position::Page(1);
    loop {
        let page = reader.list_keys(&[], now, &PageRequest { per_page: 100, position }).await;
        let page = page.map_err(|error| chain("cannot list the keys", &error))?;
        page.rows.iter().for_each(|key| println!("{}", line(key, now)));
        match page.next {
            Some(next) => position = Position::After(next),
            None => return Ok(()),
        }
    }
}

fn line(key: &KeyRecord, now: Timestamp) -> String {
    let expires = key.expires_at.map_or("never".to_owned(), Timestamp::to_rfc3339);
    let status = match key.status(now) {
        KeyStatus::Active => "ACTIVE",
        KeyStatus::Expired => "EXPIRED",
        KeyStatus::Revoked => "REVOKED",
    };
    let (id, name, scopes) = (&key.key_id, &key.name, key.requested_scopes.join(","));
    format!("{id:<10} {status:<8} {expires:<26} {name:<30} {scopes}")
}

fn scope(text: &str) -> Result<String, String> {
    Scopes::named(text).map(|_| text.to_owned()).ok_or_else(|| unknown_scope(text))
}

fn unknown_scope(name: &str) -> String {
    let native: Vec<_> = Scope::ALL.iter().map(|(_, name)| *name).collect();
    format!(
        "`{name}` is not a scope; there are {} and the presets read-only, read-write, admin, \
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
