//! Retention: deletes old requests and figures, events, deliveries and e-mails, a little at a time.

use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::config::{
    RETENTION_INTERVAL, RETENTION_PAUSE, RETENTION_ROWS_MAX, USAGE_DAYS_KEPT, USAGE_HOURS_KEPT_MIN,
};
use crate::error::{Error, causes};
use crate::store::{Span, Store};

/// The retention of each kind of row.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// The retention of requests. The figures of hours are kept as long, but at least as long as
    /// they can be asked for at once.
    pub request_logs: Duration,
    /// The retention of events and their deliveries.
    pub events: Duration,
    /// The retention of e-mails that were sent, or could not be.
    pub emails: Duration,
}

impl Retention {
    /// Deletes a little of what is too old at `now` in each workspace, and returns how many rows that
    /// were: none when nothing too old is left.
    pub async fn delete_batch(self, store: &Store, now: Timestamp) -> Result<u64, Error> {
        let before = |kept: Duration| now.minus(kept);
        let hours = before(self.request_logs.max(USAGE_HOURS_KEPT_MIN));
        let days = before(USAGE_DAYS_KEPT);
        let mut deleted = 0;
        for workspace in store.list_workspaces().await? {
            let id = workspace.id;
            let requests = before(self.request_logs);
            deleted += store.delete_request_logs(id, requests, RETENTION_ROWS_MAX).await?;
            deleted += store.delete_old_events(id, before(self.events), RETENTION_ROWS_MAX).await?;
            deleted += store.delete_old_emails(id, before(self.emails)).await?;
            deleted += store.delete_oldest_usage(id, Span::Hour, hours).await?;
            deleted += store.delete_oldest_usage(id, Span::Day, days).await?;
        }
        Ok(deleted)
    }

    /// Deletes what becomes too old, for ever. Replicas may all do so.
    pub async fn run(self, store: Store, clock: Clock) {
        loop {
            let pause = match self.delete_batch(&store, clock.now()).await {
                Ok(0) => RETENTION_INTERVAL,
                // Others want to write too.
                Ok(_) => RETENTION_PAUSE,
                Err(error) => {
                    let cause = causes(&error);
                    tracing::warn!(cause, "what is too old cannot be deleted; trying again later");
                    RETENTION_INTERVAL
                }
            };
            tokio::time::sleep(pause).await;
        }
    }
}
