//! The master key: where it comes from, and `orqit master-key rotate`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use clap::Subcommand;

use super::settings::DatabaseArgs;
use super::webhook_settings::MasterKeyArgs;
use super::{chain, database};
use crate::dispatch::context;
use crate::error::Error;
use crate::event::Actor;
use crate::store::webhooks::{SealedSecret, Webhook};
use crate::store::{Store, WorkspaceId, sqlite_file};
use crate::webhooks::vault::Vault;

/// The commands for the master key.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Encrypt every secret by the first key of ORQIT_MASTER_KEY. Before it, give every running service
    /// the new key behind the old one, then before it; after it, the new key alone.
    Rotate {
        #[command(flatten)]
        database: DatabaseArgs,
        #[command(flatten)]
        master_key: MasterKeyArgs,
    },
}

/// Runs it.
pub async fn run(command: Command) -> Result<(), String> {
    let Command::Rotate { database: args, master_key } = command;
    let store = database::open(&args).await?;
    let vault = vault(&args, &master_key)?;
    if !vault.is_open() {
        return Err(
            "set ORQIT_MASTER_KEY to the new key and the old one, with a comma between them"
                .to_owned(),
        );
    }
    vault.check(&store).await?;
    let failed = |error: Error| chain("cannot encrypt the secrets again", &error);
    let mut count = 0;
    for workspace in store.list_workspaces().await.map_err(failed)? {
        count += rotate(&store, &vault, workspace.id).await.map_err(failed)?;
    }
    vault.note_current(&store).await.map_err(failed)?;
    println!("{count} webhooks have secrets by the first key of ORQIT_MASTER_KEY now");
    store.close().await.map_err(|error| chain("cannot close the database", &error))
}

/// Seals the secrets of a workspace's endpoints by the first key, and returns the number of
/// endpoints that were changed.
async fn rotate(store: &Store, vault: &Vault, workspace: WorkspaceId) -> Result<usize, Error> {
    let (mut count, mut behind) = (0, 0);
    loop {
        let locking = store.begin_locking(workspace, Actor::operator()).await?;
        // One after the other, so that nobody waits for long.
        let Some(id) = locking.next_webhook(behind).await? else { return Ok(count) };
        behind = id;
        let (found, locking) = locking.find_all_for_update::<Webhook>(&[id]).await?;
        let Some(webhook) = found.into_iter().next() else { continue };
        let tx = locking.done();
        if webhook.secrets.iter().all(|secret| vault.is_current(&secret.sealed)) {
            continue;
        }
        let context = context(workspace, id);
        let again = webhook.secrets.into_iter().map(|secret| {
            let plain = vault.open(&context, &secret.sealed)?;
            Ok(SealedSecret { sealed: vault.seal(&context, &plain)?, ..secret })
        });
        tx.reseal(id, &again.collect::<Result<Vec<_>, Error>>()?).await?;
        tx.commit().await?;
        count += 1;
    }
}

/// The keys of the setting. On SQLite, without one, that of a file beside the database, which is made
/// when it is not there; on PostgreSQL there is none then.
pub fn vault(args: &DatabaseArgs, setting: &MasterKeyArgs) -> Result<Vault, String> {
    if let Some(text) = &setting.master_key {
        return Vault::parse(text);
    }
    let file = sqlite_file(&args.database_url);
    let file = file.map_err(|error| chain("cannot read ORQIT_DATABASE_URL", &error))?;
    let Some(database) = file else { return Ok(Vault::default()) };
    let mut path = database.into_os_string();
    path.push(".master-key");
    Vault::parse(&key_of(path.into())?)
}

/// The key in a file, which only its owner can read.
fn key_of(path: PathBuf) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("cannot use {}: {error}", path.display());
    match std::fs::read_to_string(&path) {
        Ok(text) => return Ok(text.trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let key = Vault::generate();
    let mut file =
        OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path).map_err(failed)?;
    file.write_all(key.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(key)
}
