//! Readiness: whether the database answers and takes changes, for `/readyz` and `grpc.health.v1`.
//!
//! It is looked at once a second, however many ask.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::error::Error;
use crate::store::Store;

/// The time for which an answer of the database counts.
const INTERVAL: Duration = Duration::from_secs(1);

/// The readiness of the service, which asks the database. Clones share its answers.
#[derive(Clone)]
pub struct Readiness {
    store: Store,
    last: Arc<Mutex<Option<Answer>>>,
}

/// The database's last answer, and its time.
type Answer = (Instant, Result<(), Error>);

impl Readiness {
    /// Makes the readiness of a service over this store.
    pub fn new(store: Store) -> Self {
        Self { store, last: Arc::default() }
    }

    /// Refuses while the database does not answer or takes no changes, as it was within the last
    /// second. Whoever asks meanwhile waits for the one answer.
    pub async fn check(&self) -> Result<(), Error> {
        let mut last = self.last.lock().await;
        // A failure since then is known without asking.
        let is_failing = self.store.is_failing();
        match last.as_ref().filter(|(at, _)| at.elapsed() < INTERVAL) {
            Some((_, Err(refusal))) => return Err(refusal.clone()),
            Some((_, Ok(()))) if !is_failing => return Ok(()),
            _ => {}
        }
        let answer = self.store.ping().await;
        // Why it does not answer is logged for the first who asks.
        let told = answer.clone().map_err(|refusal| Error { source: None, ..refusal });
        *last = Some((Instant::now(), told));
        answer
    }

    /// Tells health checks until it is dropped; watchers are told of changes alone.
    pub async fn tell(&self, health: &Health) {
        let mut told = ServingStatus::Serving;
        loop {
            // Why it does not is logged where it fails.
            let status = match self.check().await {
                Ok(()) => ServingStatus::Serving,
                Err(_) => ServingStatus::NotServing,
            };
            if status != told {
                health.tell(status).await;
                told = status;
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

/// The health of the services, for health checks.
#[derive(Clone)]
pub struct Health {
    pub reporter: HealthReporter,
    /// The names of the services, and the empty one that stands for all of them.
    pub services: Vec<&'static str>,
}

impl Health {
    async fn tell(&self, status: ServingStatus) {
        for service in &self.services {
            self.reporter.set_service_status(service, status).await;
        }
    }
}
