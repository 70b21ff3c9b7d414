//! The parts that operators' commands share: the database, a workspace in it, and the wait for
//! running services to learn of a change.

use super::chain;
use super::settings::DatabaseArgs;
use crate::auth::keyring;
use crate::clock::Clock;
use crate::error::Error;
use crate::store::{Store, Workspace};

/// Opens the database for an operator's command; it is migrated first.
pub async fn open(args: &DatabaseArgs) -> Result<Store, String> {
    Store::open(&args.database_url, &args.settings(), Clock::System)
        .await
        .map_err(|error| chain("cannot open the database", &error))
}

/// The workspace with this short name, or a sentence that says how to make it.
pub async fn find_workspace(store: &Store, slug: &str) -> Result<Workspace, String> {
    let found = store.find_workspace_by_slug(slug).await;
    let found = found.map_err(|error| chain("cannot read the workspace", &error))?;
    found.ok_or_else(|| {
        format!("there is no workspace `{slug}`; make it with `orqit workspace create {slug}`")
    })
}

/// Returns when every running service knows of the changes of keys that are committed by now.
pub async fn settle(store: &Store) -> Result<(), Error> {
    let (epoch, _) = store.read_key_epoch("").await?;
    keyring::settle(store, epoch, "").await;
    Ok(())
}
