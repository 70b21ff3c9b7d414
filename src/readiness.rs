//! Readiness by gRPC: `grpc.health.v1` says what `/readyz` says.

use std::time::Duration;

use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::store::Store;

/// How often the database is asked whether it answers and takes changes.
const INTERVAL: Duration = Duration::from_secs(1);

/// What tells health checks of the services how they are.
#[derive(Clone)]
pub struct Readiness {
    pub reporter: HealthReporter,
    /// The names of the services, and the empty one that stands for all of them.
    pub services: Vec<&'static str>,
}

impl Readiness {
    /// Keeps telling it until it is dropped; whoever watches is told of changes alone.
    pub async fn follow(&self, store: &Store) {
        let mut told = ServingStatus::Serving;
        loop {
            // Why it does not is logged where it fails.
            let status = match store.ping().await {
                Ok(()) => ServingStatus::Serving,
                Err(_) => ServingStatus::NotServing,
            };
            if status != told {
                self.tell(status).await;
                told = status;
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn tell(&self, status: ServingStatus) {
        for service in &self.services {
            self.reporter.set_service_status(service, status).await;
        }
    }
}
