//! Leaked keys: whoever presents one whole ends it. Every way in which that is reported ends here;
//! it answers nobody, so what the reporter learns is not decided here.

use std::net::IpAddr;
use std::pin::Pin;

use subtle::ConstantTimeEq;

use crate::auth::attempts::{Budget, FailedAttempts};
use crate::auth::key::KeyText;
use crate::error::Error;
use crate::event::Actor;
use crate::store::{Store, WorkspaceId};

/// The party that found the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reporter {
    /// Anybody, by `ReportLeak`.
    LeakReport,
    /// GitHub's secret scanning.
    GithubSecretScanning,
}

impl Reporter {
    /// Returns the actor that events and the audit log name.
    fn actor(self) -> Actor {
        match self {
            Self::LeakReport => Actor::system("leak-report", "Leak report"),
            Self::GithubSecretScanning => {
                Actor::system("github-secret-scanning", "GitHub secret scanning")
            }
        }
    }
}

/// The function that revokes the key with this id in this workspace, and names the actor in event
/// and audit log.
type Revoke = dyn Fn(String, WorkspaceId, Actor) -> Revoking + Send + Sync;
type Revoking = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// Ends keys that leaked.
pub struct Leaks {
    store: Store,
    reports: FailedAttempts,
    revoke: Box<Revoke>,
}

impl Leaks {
    /// Makes the desk for leaked keys of `store`, which `revoke` ends; an address has `budget` for
    /// its reports.
    pub fn new(
        store: Store,
        budget: Budget,
        revoke: impl Fn(String, WorkspaceId, Actor) -> Revoking + Send + Sync + 'static,
    ) -> Self {
        let reports = FailedAttempts::at_leak_reports(budget);
        Self { store, reports, revoke: Box::new(revoke) }
    }

    /// Spends a report of the client, or refuses when it has none left. To be asked before anything of
    /// the report is read.
    pub fn admit(&self, client: IpAddr) -> Result<(), Error> {
        self.reports.admit(client)
    }

    /// Refuses a client that has no report left, and spends none: for a report that does not count
    /// once it is known who sent it.
    pub fn check(&self, client: IpAddr) -> Result<(), Error> {
        self.reports.check(client)
    }

    /// Revokes the key that `text` is, and returns whether it is a key of ours: one that was
    /// revoked before or has expired is too, for it leaked all the same.
    pub async fn report(&self, text: &str, by: Reporter) -> Result<bool, Error> {
        let Some(key) = KeyText::parse(text) else { return Ok(false) };
        let Some(record) = self.store.find_key(key.id()).await? else { return Ok(false) };
        if !bool::from(record.key_hash.ct_eq(&key.hash().0)) {
            return Ok(false);
        }
        if record.revoked_at.is_none() {
            (self.revoke)(record.key_id.clone(), record.workspace.id, by.actor()).await?;
            tracing::warn!(key_id = record.key_id, ?by, "a key leaked and was revoked");
        }
        Ok(true)
    }
}
