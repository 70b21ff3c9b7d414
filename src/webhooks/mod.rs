//! How an event is sent to an endpoint: `sender` makes an attempt, `connect` its connection, within what
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

/// How webhooks are sent.
#[derive(Clone)]
pub struct Settings {
    /// Keeps the secrets of endpoints.
    pub vault: Arc<Vault>,
    /// Networks that may be sent to beside public addresses.
    pub allowed: Arc<Allowed>,
    /// When a delivery that failed is tried again.
    pub schedule: Schedule,
    /// Certificates that are trusted beside the roots of the web.
    pub roots: RootCertStore,
    /// Looks up the names of endpoints.
    pub resolver: Arc<dyn Resolve>,
}

impl Settings {
    /// With these keys, and nothing else that an operator has to say.
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
