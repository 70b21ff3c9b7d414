//! The notifications by which processes that share a PostgreSQL database wake each other when a
//! workspace's log has grown.
//!
//! Told is by NOTIFY, outside of the changes themselves: within them it would have all changes of the
//! database commit one after the other. What is lost of it is found by whoever looks now and then.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use sea_orm::sqlx::postgres::{PgListener, PgPoolOptions};

use super::sql::statement;
use super::{Noted, Store, WorkspaceId};

const CHANNEL: &str = "orqit_grown";
/// The most workspaces of one message, which PostgreSQL bounds to 8,000 bytes.
const WORKSPACES_MAX: usize = 300;
/// The time for which growth is collected before others are told.
const COLLECTED_FOR: Duration = Duration::from_millis(1);
/// The pause before a failed notification is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Store {
    /// Tells the other processes of the logs that this one lets grow, and hears of theirs, until it is
    /// dropped. A database that is not shared has nobody to tell.
    pub async fn share_wakes(&self) {
        let Some(grown) = self.wakes.elsewhere() else { return std::future::pending().await };
        let process = format!("{:016x}", rand::random::<u64>());
        tokio::join!(self.tell(grown, &process), self.hear(&process));
    }

    async fn tell(&self, grown: &Noted<WorkspaceId>, process: &str) {
        loop {
            let mut workspaces = grown.next().await;
            tokio::time::sleep(COLLECTED_FOR).await;
            workspaces.extend(grown.take());
            let ids: Vec<_> = workspaces.iter().map(|workspace| workspace.0.to_string()).collect();
            for ids in ids.chunks(WORKSPACES_MAX) {
                let message = format!("{process} {}", ids.join(","));
                let notify = "SELECT pg_notify($1, $2)";
                let notify = statement(self.backend(), notify, [CHANNEL.into(), message.into()]);
                if let Err(error) = self.reads.query_one_raw(notify).await {
                    let cause = error.to_string();
                    tracing::debug!(cause, "other processes find the new events when they look");
                }
            }
        }
    }

    async fn hear(&self, process: &str) {
        let options = self.reads.get_postgres_connection_pool().connect_options();
        // One of its own: it waits for ever.
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with((*options).clone());
        loop {
            let listening = async {
                let mut listener = PgListener::connect_with(&pool).await?;
                listener.listen(CHANNEL).await?;
                loop {
                    let message = listener.recv().await?;
                    if let Some((from, ids)) = message.payload().split_once(' ')
                        && from != process
                    {
                        let ids = ids.split(',').filter_map(|id| id.parse().ok());
                        ids.for_each(|id| self.wakes.heard(WorkspaceId(id)));
                    }
                }
            };
            let failed: Result<(), sea_orm::sqlx::Error> = listening.await;
            if let Err(error) = failed {
                let cause = error.to_string();
                tracing::debug!(cause, "new events of other processes are found by looking");
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }
}
