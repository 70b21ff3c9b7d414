//! Deliveries as callers see them: listed, shown with their attempts, sent again.

use std::collections::BTreeMap;

use super::insert::{NewDelivery, insert, insert_at};
use super::{AttemptError, DeliveryStatus, MAIL, Trigger};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::metrics::StoreOperation;
use crate::store::nouns::Stored;
use crate::store::pages::{CursorKey, Page, PageRequest, Position};
use crate::store::row::Row;
use crate::store::rows::RowSource;
use crate::store::sql::{Parameters, statement};
use crate::store::{Reader, Tx};

/// Lists are counted so far.
const COUNTED_MAX: i64 = 10_000;

const COLUMNS: &str = "id, endpoint_id, event_id, event_type, sequence, status, attempt_count, due_at, token, created_at";

/// A delivery: one event on its way to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The id: 1, 2, 3 … within the workspace.
    pub id: i64,
    /// The endpoint that it is for.
    pub endpoint_id: i64,
    /// The event that it brings.
    pub event_id: String,
    /// The type of that.
    pub event_type: String,
    /// The sequence of that.
    pub sequence: i64,
    /// The status.
    pub status: DeliveryStatus,
    /// The number of attempts.
    pub attempt_count: i32,
    /// The time of the next attempt; none while one is being made.
    pub next_attempt_at: Option<Timestamp>,
    /// The time of creation.
    pub created_at: Timestamp,
}

/// A try to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The number of the attempt: 1, 2, 3 … within the delivery.
    pub number: i32,
    /// The time at which it began.
    pub started_at: Timestamp,
    /// The duration of the attempt.
    pub duration_ms: i64,
    /// The status of the answer.
    pub status_code: Option<i32>,
    /// The reason why there was no answer that counts.
    pub error: Option<AttemptError>,
    /// The headers of the answer.
    pub response_headers: BTreeMap<String, String>,
    /// The beginning of its body.
    pub response_body: String,
    /// The reason why it was made.
    pub trigger: Trigger,
}

/// The filters of a list of deliveries to an endpoint, all of which a delivery passes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Only deliveries of this status.
    pub status: Option<DeliveryStatus>,
    /// Only deliveries of events of this type.
    pub event_type: Option<String>,
    /// Only deliveries made then or later.
    pub since: Option<Timestamp>,
    /// Only deliveries made before.
    pub until: Option<Timestamp>,
}

impl Delivery {
    /// Returns the position of the delivery in the list.
    pub fn key(&self) -> CursorKey {
        CursorKey::numbered(self.id)
    }
}

impl Reader<'_> {
    /// A page of the deliveries to an endpoint, the newest first. They are counted up to 10,000.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list_deliveries(
        &self,
        endpoint: i64,
        filter: &DeliveryFilter,
        page: &PageRequest,
    ) -> Result<Page<Delivery>, Error> {
        let _timed = StoreOperation::begin("list", "deliveries");
        let source = RowSource::Reader(*self);
        let (mut total_count, mut total_is_bound) = (None, false);
        if page.position.is_counted() {
            let mut parameters = Parameters::new(self.backend());
            let which = self.which(&mut parameters, endpoint, filter);
            let text = format!(
                "SELECT COUNT(*) FROM (SELECT 1 FROM deliveries WHERE {which} LIMIT {}) AS counted",
                COUNTED_MAX + 1
            );
            let counted = source.read(parameters.statement(text), |row| row.get::<i64>(0)).await?;
            let counted = counted.first().copied().unwrap_or(0);
            total_is_bound = counted > COUNTED_MAX;
            total_count = Some(counted.min(COUNTED_MAX));
        }
        let mut parameters = Parameters::new(self.backend());
        let mut which = self.which(&mut parameters, endpoint, filter);
        let mut offset = 0;
        match &page.position {
            Position::Page(number) => {
                offset = (i64::from(*number) - 1) * i64::from(page.per_page);
            }
            Position::Start => {}
            Position::After(key) => which += &format!(" AND id < {}", parameters.bind(key.id)),
        }
        let text = format!(
            "SELECT {COLUMNS} FROM deliveries WHERE {which} ORDER BY id DESC LIMIT {} + 0 OFFSET {}",
            parameters.bind(i64::from(page.per_page) + 1),
            parameters.bind(offset),
        );
        let mut rows = source.read(parameters.statement(text), decode).await?;
        let has_more = rows.len() > page.per_page as usize;
        rows.truncate(page.per_page as usize);
        let next = rows.last().filter(|_| has_more).map(Delivery::key);
        Ok(Page { rows, total_count, total_is_bound, next })
    }

    fn which(&self, parameters: &mut Parameters, endpoint: i64, filter: &DeliveryFilter) -> String {
        let mut which = format!(
            "workspace_id = {} AND endpoint_id = {}",
            parameters.bind(self.workspace.0),
            parameters.bind(endpoint)
        );
        if let Some(status) = filter.status {
            // As a literal: only then is the index of those that have not succeeded looked at.
            which += &format!(" AND status = {}", status.as_i16());
            if status != DeliveryStatus::Succeeded {
                which += &format!(" AND status <> {}", DeliveryStatus::Succeeded.as_i16());
            }
        }
        if let Some(event_type) = &filter.event_type {
            which += &format!(" AND event_type = {}", parameters.bind(event_type.as_str()));
        }
        if let Some(since) = filter.since {
            which += &format!(" AND created_at >= {}", parameters.bind(since.0));
        }
        if let Some(until) = filter.until {
            which += &format!(" AND created_at < {}", parameters.bind(until.0));
        }
        which
    }

    /// A delivery to an endpoint.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_delivery(&self, endpoint: i64, id: i64) -> Result<Option<Delivery>, Error> {
        let _timed = StoreOperation::begin("find", "deliveries");
        let text = format!(
            "SELECT {COLUMNS} FROM deliveries WHERE workspace_id = $1 AND id = $2 AND endpoint_id = $3"
        );
        let values = [self.workspace.0.into(), id.into(), endpoint.into()];
        let find = statement(self.backend(), text, values);
        Ok(RowSource::Short(*self).read(find, decode).await?.into_iter().next())
    }

    /// The attempts of a delivery, the first one first.
    pub async fn list_attempts(&self, delivery: i64) -> Result<Vec<Attempt>, Error> {
        let text = "SELECT number, started_at, duration_ms, status_code, error, response_headers, \
                    response_body, reason FROM attempts WHERE workspace_id = $1 AND delivery_id = $2 \
                    ORDER BY number DESC LIMIT 100";
        let list = statement(self.backend(), text, [self.workspace.0.into(), delivery.into()]);
        let mut attempts = RowSource::Reader(*self).read(list, attempt).await?;
        attempts.reverse();
        Ok(attempts)
    }
}

impl Tx {
    /// Schedules a delivery once more, now. What the schedule has before it stays so. None where
    /// there is no such delivery.
    pub async fn redeliver(&mut self, endpoint: i64, id: i64) -> Result<Option<Delivery>, Error> {
        // An attempt that is being made is followed by this one.
        let text = format!(
            "UPDATE deliveries SET trigger_next = {manual}, \
               resume_at = CASE WHEN trigger_next = {manual} OR token <> 0 THEN resume_at ELSE due_at END, \
               status = {pending}, claims = 0, \
               due_at = CASE WHEN token <> 0 THEN due_at ELSE $4 END \
             WHERE workspace_id = $1 AND id = $2 AND endpoint_id = $3 RETURNING {COLUMNS}",
            manual = Trigger::Manual.as_i16(),
            pending = DeliveryStatus::Pending.as_i16(),
        );
        let values = [self.workspace.0.into(), id.into(), endpoint.into(), self.now.0.into()];
        let redeliver = statement(self.transaction.backend(), text, values);
        self.due.push((self.workspace, endpoint));
        self.transaction.read_one(redeliver, decode).await
    }

    /// Makes a delivery to an endpoint for each of these events, behind what happens meanwhile.
    pub async fn replay(
        &mut self,
        endpoint: i64,
        events: &[(i64, String, String)],
    ) -> Result<(), Error> {
        self.due.push((self.workspace, endpoint));
        let new: Vec<_> = events
            .iter()
            .map(|(sequence, id, event_type)| NewDelivery {
                endpoint,
                event: (*sequence, id, event_type),
                trigger: Trigger::Replay,
                claim: None,
            })
            .collect();
        insert(&self.transaction, self.workspace, &new, self.now).await.map(|_| ())
    }

    /// Makes the delivery that sends an e-mail.
    pub(in crate::store) async fn deliver_email(&mut self, email: i64) -> Result<(), Error> {
        self.due.push((self.workspace, MAIL));
        let new = NewDelivery {
            endpoint: MAIL,
            event: (0, "", ""),
            trigger: Trigger::Schedule,
            claim: None,
        };
        let ids = -email..1 - email;
        insert_at(&self.transaction, self.workspace, ids, &[new], self.now).await
    }
}

fn decode(row: &Row<'_>) -> Result<Delivery, Error> {
    let status = DeliveryStatus::from_column(row.get(5)?, "status")?;
    let is_sent: bool = row.get::<i64>(8)? != 0;
    let due_at: Option<i64> = row.get(7)?;
    Ok(Delivery {
        id: row.get(0)?,
        endpoint_id: row.get(1)?,
        event_id: row.get(2)?,
        event_type: row.get(3)?,
        sequence: row.get(4)?,
        status,
        attempt_count: row.get(6)?,
        next_attempt_at: due_at.filter(|_| !is_sent).map(Timestamp),
        created_at: Timestamp(row.get(9)?),
    })
}

fn attempt(row: &Row<'_>) -> Result<Attempt, Error> {
    let error: Option<i16> = row.get(4)?;
    Ok(Attempt {
        number: row.get(0)?,
        started_at: Timestamp(row.get(1)?),
        duration_ms: row.get(2)?,
        status_code: row.get(3)?,
        error: error.map(|error| AttemptError::from_column(error, "error")).transpose()?,
        response_headers: serde_json::from_str(&row.get::<String>(5)?).map_err(Error::internal)?,
        response_body: row.get(6)?,
        trigger: Trigger::from_column(row.get(7)?, "reason")?,
    })
}
