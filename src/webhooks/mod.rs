//! Webhooks on their way out: events become deliveries, deliveries become attempts, and what came of
//! those is written down.
//!
//! `dispatcher` runs all of it, beside the server; `sender` makes an attempt, `connect` its connection,
//! within what `address` and `target` allow.

pub mod address;
pub mod connect;
mod dispatcher;
mod outcome;
pub mod schedule;
pub mod sender;
pub mod signature;
mod slots;
pub mod target;
pub mod vault;

use std::sync::Arc;

use rustls::RootCertStore;

use crate::clock::Clock;
use crate::store::Store;
use address::Allowed;
use connect::{Connector, Resolve, SystemResolver};
use schedule::Schedule;
use sender::Sender;
use vault::Vault;

pub use dispatcher::{Disable, Dispatcher, context};

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

    /// What sends, and has endpoints disabled by `disable`.
    pub fn dispatcher(&self, store: &Store, clock: &Clock, disable: Disable) -> Dispatcher {
        let resolver = Arc::clone(&self.resolver);
        let connector = Connector::new(Arc::clone(&self.allowed), resolver, &self.roots);
        Dispatcher {
            store: store.clone(),
            clock: clock.clone(),
            sender: Sender::new(connector, clock.clone()),
            vault: Arc::clone(&self.vault),
            allowed: Arc::clone(&self.allowed),
            schedule: self.schedule.clone(),
            disable,
        }
    }
}
