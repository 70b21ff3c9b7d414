//! The sending of webhooks: `sender` makes an attempt, `connect` its connection, within what
//! `address` and `target` allow; `signature` signs it, by a secret that `vault` keeps.

pub mod address;
pub mod connect;
pub mod sender;
pub mod signature;
pub mod target;
pub mod vault;

use std::sync::Arc;

use rustls::RootCertStore;

use crate::attempt::Schedule;
use address::Allowed;
use connect::{Resolve, SystemResolver};
use vault::Vault;

/// The settings of webhooks.
#[derive(Clone)]
pub struct Settings {
    /// Keeps the secrets of endpoints.
    pub vault: Arc<Vault>,
    /// The networks that may be sent to beside public addresses.
    pub allowed: Arc<Allowed>,
    /// The schedule of retries.
    pub schedule: Schedule,
    /// The certificates that are trusted beside the roots of the web.
    pub roots: RootCertStore,
    /// The resolver of endpoints' names.
    pub resolver: Arc<dyn Resolve>,
}

impl Settings {
    /// Makes settings with these keys, and defaults for the rest.
    pub fn new(vault: Vault) -> Self {
        Self {
            vault: Arc::new(vault),
            allowed: Arc::default(),
            schedule: Schedule::default(),
            roots: RootCertStore::empty(),
            resolver: Arc::new(SystemResolver),
        }
    }
}
