//! Webhook endpoints and what is sent to them: `deliveries` is what callers see of it; `dispatch`,
//! `claim` and `record` are what the process that sends does.

mod claim;
mod deliveries;
mod dispatch;
mod endpoint;
mod insert;
mod record;
mod retention;

use sea_orm::DbBackend;
use serde::{Deserialize, Serialize};

use super::entity::webhook;
use super::failure::failed;
use super::nouns::{CREATED_AT, Dimension, Noun, Table, Texts, UPDATED_AT, noun_head, noun_row};
use super::sql::statement;
use super::stored_enum::stored_enum;
use super::{Locking, Store, Tx};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::resource::Resource;

pub use super::wakes::EndpointKey;
pub use claim::{Claim, Parcel};
pub use deliveries::{Attempt, Delivery, DeliveryFilter};
pub use dispatch::{Due, FanOut};
pub use endpoint::Endpoint;
pub use record::{Outcome, Recorded, SentAttempt};

stored_enum! {
    /// The status of an endpoint; numbered as the contract numbers it.
    WebhookStatus {
        /// The endpoint gets the events that it subscribes to.
        Active = 1,
        /// The endpoint is sent nothing.
        Disabled = 2,
    }
}

stored_enum! {
    /// The reason why an endpoint is disabled; numbered as the contract numbers it.
    DisabledReason {
        /// Somebody disabled it.
        Manual = 1,
        /// It answered 410.
        Gone = 2,
        /// It failed for days.
        Failing = 3,
    }
}

stored_enum! {
    /// The status of a delivery; numbered as the contract numbers it.
    DeliveryStatus {
        /// An attempt is to come.
        Pending = 1,
        /// The endpoint answered with 2xx.
        Succeeded = 2,
        /// No attempt is left.
        Failed = 3,
        /// The delivery was claimed too often by processes that did not finish it.
        Parked = 4,
    }
}

stored_enum! {
    /// The reason why an attempt got no answer that counts; numbered as the contract numbers it.
    AttemptError {
        /// The name could not be looked up.
        Dns = 1,
        /// There is no connection, or it broke.
        Connect = 2,
        /// TLS failed.
        Tls = 3,
        /// The answer was not complete in time.
        Timeout = 4,
        /// An address that nothing may be sent to.
        ForbiddenAddress = 5,
        /// The answer was a redirect.
        Redirect = 6,
        /// The process that made it was lost.
        WorkerLost = 7,
    }
}

stored_enum! {
    /// The reason why an attempt is made; numbered as the contract numbers it.
    Trigger {
        /// The schedule.
        Schedule = 1,
        /// A redelivery by hand.
        Manual = 2,
        /// A replay.
        Replay = 3,
        /// A test.
        Test = 4,
    }
}

/// The status of endpoints, as a dimension of their list.
pub static STATUS: Dimension = Dimension { name: "status", shift: 0, bits: 3 };

static WEBHOOKS: Table = Table {
    name: "webhooks",
    resource: Resource::Webhook,
    noun: 9,
    has_history: false,
    dimensions: &[&STATUS],
    orders: &[&CREATED_AT, &UPDATED_AT],
    alternate_key: None,
    narrows: &[],
    sides: &[],
    search: None,
    texts: Texts::unmade(),
};

/// A secret of an endpoint, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSecret {
    /// The secret, encrypted.
    pub sealed: String,
    /// The time until which it signs; none for the one that counts now.
    pub until: Option<i64>,
}

/// A webhook endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The id: 1, 2, 3 … within the workspace.
    pub id: i64,
    /// The URL that gets the events.
    pub url: String,
    /// The purpose of the endpoint.
    pub description: String,
    /// The events that it subscribes to.
    pub events: Vec<String>,
    /// The status.
    pub status: WebhookStatus,
    /// The reason why it is disabled.
    pub disabled_reason: Option<DisabledReason>,
    /// The time since which every attempt has failed.
    pub failing_since: Option<Timestamp>,
    /// The time of the last delivery that succeeded.
    pub last_delivery_at: Option<Timestamp>,
    /// The secrets that sign, the one that counts first.
    pub secrets: Vec<SealedSecret>,
    /// The last event that it does not get.
    pub from_sequence: i64,
    /// The last delivery that was given up.
    pub void_up_to: i64,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The version: 1 when made, one more with every change.
    pub version: i64,
}

impl Noun for Webhook {
    type Entity = webhook::Entity;

    fn table() -> &'static Table {
        &WEBHOOKS
    }

    noun_row! {
        webhook {
            id, url, description, events, status, disabled_reason, failing_since, last_delivery_at,
            secrets, from_sequence, void_up_to, created_at, updated_at, version,
        }
        |row| {
            facet: row.facet(),
        }
    }

    noun_head!();

    fn facet(&self) -> i16 {
        STATUS.pack(self.status.as_i16())
    }
}

/// The most deliveries that are given up within the change that disables their endpoint; the others
/// are given up when they are due.
const VOIDED_MAX: i64 = 10_000;

impl<S> Locking<S> {
    /// Locks and raises the epoch of the workspace's endpoints, which tells whoever sends that they are not
    /// what they were: what it was about to send by the old ones is thought over.
    pub async fn endpoints_changed(self) -> Result<Tx, Error> {
        let text = "INSERT INTO dispatch (workspace_id, fanned_out, endpoints_epoch, holder, held_until) \
                    VALUES ($1, 0, 1, 0, 0) ON CONFLICT (workspace_id) DO UPDATE \
                    SET endpoints_epoch = dispatch.endpoints_epoch + 1";
        let values = [self.workspace.0.into()];
        let change = statement(self.transaction.backend(), text, values);
        self.transaction.execute(change).await.map_err(failed)?;
        Ok(self.done())
    }
}

impl Tx {
    /// Counts the endpoints of the workspace.
    pub async fn count_webhooks(&self) -> Result<i64, Error> {
        let text = "SELECT COUNT(*) FROM webhooks WHERE workspace_id = $1";
        let count = statement(self.transaction.backend(), text, [self.workspace.0.into()]);
        Ok(self.transaction.read_one(count, |row| row.get(0)).await?.unwrap_or(0))
    }

    /// Returns the sequence of the log when the change has committed, which records so many events.
    /// Nobody else's change can commit in between.
    pub async fn last_sequence(&mut self, recording: i64) -> Result<i64, Error> {
        self.take_turn().await?;
        let last =
            super::counters::advance(&self.transaction, self.workspace, super::events::SEQUENCE, 0);
        Ok(last.await? + recording)
    }

    /// The last delivery that was made.
    pub async fn last_delivery(&self) -> Result<i64, Error> {
        let text = "SELECT value FROM counters WHERE workspace_id = $1 AND name = $2";
        let values = [self.workspace.0.into(), insert::COUNTER.into()];
        let last = statement(self.transaction.backend(), text, values);
        Ok(self.transaction.read_one(last, |row| row.get(0)).await?.unwrap_or(0))
    }

    /// Gives up what waits to be sent to an endpoint; what is being sent is not touched.
    pub async fn void_deliveries(&mut self, endpoint: i64) -> Result<(), Error> {
        // Many are too many for one change: the rest is given up when it is due.
        let text = format!(
            "UPDATE deliveries SET status = {}, due_at = NULL, resume_at = NULL \
             WHERE workspace_id = $1 AND id IN (SELECT id FROM deliveries WHERE workspace_id = $1 \
               AND endpoint_id = $2 AND due_at IS NOT NULL AND token = 0 \
               ORDER BY lane, due_at, id LIMIT {VOIDED_MAX})",
            DeliveryStatus::Failed.as_i16()
        );
        let values = [self.workspace.0.into(), endpoint.into()];
        let void = statement(self.transaction.backend(), text, values);
        self.transaction.execute(void).await.map_err(failed)?;
        Ok(())
    }

    /// Deletes an endpoint. Its deliveries are nobody's from here on, and are deleted bit by bit.
    pub async fn delete_webhook(&mut self, webhook: &Webhook) -> Result<(), Error> {
        self.delete(webhook).await?;
        let text = "INSERT INTO deleted_webhooks (workspace_id, endpoint_id) VALUES ($1, $2)";
        let values = [self.workspace.0.into(), webhook.id.into()];
        let note = statement(self.transaction.backend(), text, values);
        self.transaction.execute(note).await.map_err(failed)?;
        Ok(())
    }

    /// The endpoint that follows an id, if one does.
    pub async fn next_webhook(&self, id: i64) -> Result<Option<i64>, Error> {
        let text =
            "SELECT id FROM webhooks WHERE workspace_id = $1 AND id > $2 ORDER BY id LIMIT 1";
        let values = [self.workspace.0.into(), id.into()];
        let next = statement(self.transaction.backend(), text, values);
        self.transaction.read_one(next, |row| row.get(0)).await
    }

    /// Puts other secrets in the place of an endpoint's, which are the same to everybody outside.
    pub async fn reseal(&self, webhook: i64, secrets: &[SealedSecret]) -> Result<(), Error> {
        let text = "UPDATE webhooks SET secrets = $3 WHERE workspace_id = $1 AND id = $2";
        let values = [self.workspace.0.into(), webhook.into(), super::to_json(secrets).into()];
        let reseal = statement(self.transaction.backend(), text, values);
        self.transaction.execute(reseal).await.map_err(failed)?;
        Ok(())
    }
}

impl Store {
    /// Returns the sealed text that tells whether a master key is the right one; none before there
    /// was one.
    pub async fn master_key_check(&self) -> Result<Option<String>, Error> {
        let text = "SELECT sealed FROM master_key_check WHERE id = 1";
        let select = statement(self.backend(), text, []);
        Ok(self.read_short(select, |row| row.get(0)).await?.into_iter().next())
    }

    /// Notes it, unless somebody else has; `replaced` is the one that it takes the place of. Whether it
    /// is the one that counts now.
    pub async fn set_master_key_check(
        &self,
        sealed: &str,
        replaced: Option<&str>,
    ) -> Result<bool, Error> {
        let set = match replaced {
            None => statement(
                self.backend(),
                "INSERT INTO master_key_check (id, sealed) VALUES (1, $1) ON CONFLICT (id) DO NOTHING",
                [sealed.into()],
            ),
            Some(replaced) => statement(
                self.backend(),
                "UPDATE master_key_check SET sealed = $1 WHERE id = 1 AND sealed = $2",
                [sealed.into(), replaced.into()],
            ),
        };
        Ok(self.execute(set).await? > 0)
    }

    /// Returns true if any workspace has an endpoint.
    pub async fn has_webhooks(&self) -> Result<bool, Error> {
        let text = "SELECT id FROM webhooks LIMIT 1";
        let select = statement(self.backend(), text, []);
        Ok(!self.read_short(select, |row| row.get::<i64>(0)).await?.is_empty())
    }

    /// Returns true if several processes can share the database.
    pub fn is_shared(&self) -> bool {
        self.backend() == DbBackend::Postgres
    }
}

/// The endpoint of e-mails: the SMTP server. No webhook has this id. The delivery of an e-mail has the
/// e-mail's id, below zero.
pub const MAIL: i64 = 0;
