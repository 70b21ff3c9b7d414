//! The fan-out: events become deliveries, of which whoever makes them may claim some at once.
//!
//! Only one process turns the events of a workspace into deliveries at a time, so that first attempts
//! begin in order.

use std::sync::Arc;

use super::endpoint::{ENDPOINT_COLUMNS, Endpoint, endpoint};
use super::insert::{NewDelivery, insert};
use super::{Claim, EndpointKey, Parcel, Trigger, WebhookStatus};
use crate::clock::Timestamp;
use crate::config::{CLAIM_LASTS, FAN_OUT_BYTES, FAN_OUT_EVENTS};
use crate::error::Error;
use crate::event::RecordedEvent;
use crate::event_type::EventType;
use crate::metrics::StoreOperation;
use crate::store::failure::failed;
use crate::store::log::Followed;
use crate::store::row::Row;
use crate::store::sql::statement;
use crate::store::{Store, WorkspaceId};

/// The events that are to become deliveries.
#[derive(Debug)]
pub struct FanOut {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The active endpoints.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// The next events of its log.
    pub events: Vec<Arc<RecordedEvent>>,
    /// True if the log goes on behind them.
    pub has_more: bool,
    from: i64,
    up_to: i64,
    epoch: i64,
}

/// A delivery that is to be made: of an event to an endpoint, by their places in a [`FanOut`].
#[derive(Debug, Clone, Copy)]
pub struct Due {
    /// The event.
    pub event: usize,
    /// The endpoint.
    pub endpoint: usize,
    /// True if the one who makes it sends it right away.
    pub is_claimed: bool,
}

impl FanOut {
    /// The deliveries that its events make, in order.
    pub fn deliveries(&self) -> Vec<Due> {
        let mut due = Vec::new();
        for (event, it) in self.events.iter().enumerate() {
            for (endpoint, of) in self.endpoints.iter().enumerate() {
                if of.wants(it) {
                    due.push(Due { event, endpoint, is_claimed: false });
                }
            }
        }
        due
    }
}

impl Store {
    /// The next events of a workspace that are to become deliveries. None where there are none, where
    /// nobody gets them, and where another process turns them into deliveries.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn next_fan_out(
        &self,
        workspace: WorkspaceId,
        holder: i64,
    ) -> Result<Option<FanOut>, Error> {
        let _timed = StoreOperation::begin("fan_out", "deliveries");
        let text = "SELECT fanned_out, endpoints_epoch, holder, held_until FROM dispatch \
                    WHERE workspace_id = $1";
        let read = |row: &Row<'_>| {
            Ok((row.get::<i64>(0)?, row.get(1)?, row.get::<i64>(2)?, row.get::<i64>(3)?))
        };
        let select = statement(self.backend(), text, [workspace.0.into()]);
        let Some((from, epoch, held_by, held_until)) =
            self.read_short(select, read).await?.into_iter().next()
        else {
            return Ok(None);
        };
        if held_by != holder && held_until > self.now().0 {
            return Ok(None);
        }
        let endpoints = self.active_endpoints(workspace).await?;
        let Some(first) = endpoints.iter().map(|endpoint| endpoint.from_sequence).min() else {
            return Ok(None);
        };
        let reader = self.reader(workspace);
        let ends = reader.log_ends().await?;
        // What nobody gets is passed over, and so is what has expired.
        let after = from.max(first.min(ends.last)).max(ends.expired);
        if after >= ends.last {
            return Ok(None);
        }
        let asked = Followed::all(after, FAN_OUT_EVENTS, FAN_OUT_BYTES);
        let Some(page) = reader.follow(&asked).await? else { return Ok(None) };
        let events = page.events.into_iter().map(Arc::new).collect();
        let (up_to, has_more) = (page.read_up_to, !page.is_end);
        Ok(Some(FanOut { workspace, endpoints, events, has_more, from, up_to, epoch }))
    }

    async fn active_endpoints(&self, workspace: WorkspaceId) -> Result<Vec<Arc<Endpoint>>, Error> {
        let text = format!(
            "SELECT {ENDPOINT_COLUMNS} FROM webhooks WHERE workspace_id = $1 AND status = $2 ORDER BY id"
        );
        let values = [workspace.0.into(), WebhookStatus::Active.as_i16().into()];
        let select = statement(self.backend(), text, values);
        let found = self.read_short(select, endpoint).await?;
        Ok(found.into_iter().map(|found| Arc::new(found.endpoint)).collect())
    }

    /// Makes the deliveries of a [`FanOut`], holds the workspace for a while, and answers those that are
    /// claimed at once; none where another process was quicker, or an endpoint has changed meanwhile.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn fan_out(
        &self,
        of: &FanOut,
        deliveries: &[Due],
        holder: i64,
        token: i64,
    ) -> Result<Option<Vec<Claim>>, Error> {
        let _timed = StoreOperation::begin("insert", "deliveries");
        let now = self.now();
        let transaction = self.writer.begin().await.map_err(failed)?;
        let text = "UPDATE dispatch SET fanned_out = $4, holder = $5, held_until = $6 \
                    WHERE workspace_id = $1 AND fanned_out = $2 AND endpoints_epoch = $3";
        let held_until = now.plus(CLAIM_LASTS / 2);
        let values = [
            of.workspace.0.into(),
            of.from.into(),
            of.epoch.into(),
            of.up_to.into(),
            holder.into(),
            held_until.0.into(),
        ];
        let moved = transaction.execute(statement(self.backend(), text, values)).await;
        if moved.map_err(failed)? == 0 {
            return Ok(None);
        }
        let mut new = Vec::with_capacity(deliveries.len());
        for due in deliveries {
            let event = &of.events[due.event];
            new.push(NewDelivery {
                endpoint: of.endpoints[due.endpoint].key.1,
                event: (event.sequence, &event.id, &event.event_type),
                trigger: trigger(event),
                claim: due.is_claimed.then(|| (token, now.plus(CLAIM_LASTS))),
            });
        }
        let ids = insert(&transaction, of.workspace, &new, now).await?;
        transaction.commit().await.map_err(failed)?;
        let claimed = deliveries.iter().zip(ids).filter(|(due, _)| due.is_claimed);
        let claims = claimed.map(|(due, id)| Claim {
            id,
            endpoint: of.endpoints[due.endpoint].key,
            parcel: Parcel::Event {
                endpoint: Arc::clone(&of.endpoints[due.endpoint]),
                event: Arc::clone(&of.events[due.event]),
            },
            token,
            attempt_count: 0,
            failures: 0,
            resume_at: None,
            trigger: trigger(&of.events[due.event]),
            is_worn_out: false,
        });
        Ok(Some(claims.collect()))
    }

    /// Leaves the workspaces that a process has held to others.
    pub async fn release_dispatch(&self, holder: i64) -> Result<(), Error> {
        let text = "UPDATE dispatch SET held_until = 0 WHERE holder = $1";
        self.execute(statement(self.backend(), text, [holder.into()])).await?;
        Ok(())
    }

    /// The endpoints that have something due until `horizon`, each with the time from which on, of what
    /// is live and of what is replayed; those that are disabled too, whose deliveries are given up.
    pub async fn due_endpoints(
        &self,
        horizon: Timestamp,
    ) -> Result<Vec<(EndpointKey, Timestamp)>, Error> {
        let text = "SELECT workspace_id, id, due_at FROM ( \
              SELECT w.workspace_id, w.id, \
                (SELECT MIN(d.due_at) FROM deliveries d WHERE d.workspace_id = w.workspace_id \
                 AND d.endpoint_id = w.id AND d.lane = 0 AND d.due_at IS NOT NULL) AS due_at \
              FROM webhooks w \
              UNION ALL \
              SELECT w.workspace_id, w.id, \
                (SELECT MIN(d.due_at) FROM deliveries d WHERE d.workspace_id = w.workspace_id \
                 AND d.endpoint_id = w.id AND d.lane = 1 AND d.due_at IS NOT NULL) \
              FROM webhooks w) AS t \
            WHERE due_at <= $1";
        let read = |row: &Row<'_>| {
            Ok(((WorkspaceId(row.get(0)?), row.get::<i64>(1)?), Timestamp(row.get(2)?)))
        };
        let select = statement(self.backend(), text, [horizon.0.into()]);
        self.read_everywhere(select, read).await
    }

    /// The workspaces whose events are not all turned into deliveries, and that have an active endpoint.
    pub async fn workspaces_behind(&self) -> Result<Vec<WorkspaceId>, Error> {
        let text = "SELECT d.workspace_id FROM dispatch d \
            JOIN counters c ON c.workspace_id = d.workspace_id AND c.name = $1 \
            WHERE c.value > d.fanned_out AND EXISTS (SELECT 1 FROM webhooks w \
              WHERE w.workspace_id = d.workspace_id AND w.status = $2)";
        let values = [crate::store::events::SEQUENCE.into(), WebhookStatus::Active.as_i16().into()];
        let behind = statement(self.backend(), text, values);
        self.read_everywhere(behind, |row| Ok(WorkspaceId(row.get(0)?))).await
    }
}

/// Returns the reason for the first attempt of an event's delivery.
fn trigger(event: &RecordedEvent) -> Trigger {
    match event.event_type == EventType::WebhookTest.name() {
        true => Trigger::Test,
        false => Trigger::Schedule,
    }
}
