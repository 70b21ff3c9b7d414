//! Deliveries that are due are claimed.
//!
//! A claim is a token and a time. Whoever has claimed a delivery sends it; what came of it counts only
//! while the token does, and once the time has passed somebody else may claim it.

use std::collections::BTreeMap;
use std::sync::Arc;

use sea_orm::DbBackend;

use super::dispatch::{ENDPOINT_COLUMNS, Endpoint, endpoint};
use super::{AttemptError, DeliveryStatus, EndpointKey, Trigger};
use crate::clock::Timestamp;
use crate::config::{CLAIM_LASTS, CLAIMS_MAX};
use crate::error::Error;
use crate::event::RecordedEvent;
use crate::store::WorkspaceId;
use crate::store::failure::failed;
use crate::store::log::{self, recorded};
use crate::store::nouns::Stored;
use crate::store::row::Row;
use crate::store::sql::{Parameters, statement};
use crate::store::transaction::Transaction;

/// A delivery that was claimed, to be sent.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Its id.
    pub id: i64,
    /// The endpoint that it goes to.
    pub endpoint: Arc<Endpoint>,
    /// The event that it brings.
    pub event: Arc<RecordedEvent>,
    /// By which what comes of it counts.
    pub token: i64,
    /// How many attempts were made before.
    pub attempt_count: i32,
    /// How many of them failed, of those that the schedule counts.
    pub failures: i16,
    /// When the next one by schedule is due, if this one is by hand.
    pub resume_at: Option<Timestamp>,
    /// Why it is sent.
    pub trigger: Trigger,
}

/// Claims what is due of an endpoint, at most so many, the live ones first; and gives up what is not to
/// be sent any more.
pub(super) async fn claim(
    transaction: &Transaction,
    (workspace, endpoint_id): EndpointKey,
    most: usize,
    token: i64,
    now: Timestamp,
) -> Result<Vec<Claim>, Error> {
    let backend = transaction.backend();
    let skip = if backend == DbBackend::Postgres { " FOR UPDATE SKIP LOCKED" } else { "" };
    let mut due: Vec<DueRow> = Vec::new();
    for lane in 0..=1_i16 {
        let left = i64::try_from(most - due.len()).unwrap_or(0);
        if left == 0 {
            break;
        }
        let text = format!(
            "SELECT id, sequence, attempt_count, failures, claims, token, trigger_next, resume_at, due_at \
             FROM deliveries WHERE workspace_id = $1 AND endpoint_id = $2 AND lane = $3 \
             AND due_at <= $4 AND due_at IS NOT NULL ORDER BY due_at, id LIMIT $5{skip}"
        );
        let values =
            [workspace.0.into(), endpoint_id.into(), lane.into(), now.0.into(), left.into()];
        due.extend(transaction.read(statement(backend, text, values), due_row).await?);
    }
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let text =
        format!("SELECT {ENDPOINT_COLUMNS} FROM webhooks WHERE workspace_id = $1 AND id = $2");
    let values = [workspace.0.into(), endpoint_id.into()];
    let found = transaction.read_one(statement(backend, text, values), endpoint).await?;
    let void_up_to = found.as_ref().filter(|found| found.is_active).map(|found| found.void_up_to);
    let is_void = |row: &DueRow| {
        void_up_to.is_none_or(|up_to| row.id <= up_to && row.trigger != Trigger::Manual)
    };
    for row in due.iter().filter(|row| row.token != 0) {
        note_lost(transaction, workspace, row).await?;
    }
    let (void, rest): (Vec<_>, Vec<_>) = due.into_iter().partition(is_void);
    let (parked, claimed): (Vec<_>, Vec<_>) =
        rest.into_iter().partition(|row| row.claims >= CLAIMS_MAX);
    end(transaction, workspace, &void, DeliveryStatus::Failed).await?;
    end(transaction, workspace, &parked, DeliveryStatus::Parked).await?;
    for row in &parked {
        tracing::warn!(
            workspace = workspace.0,
            delivery = row.id,
            "a delivery is parked: five times it was not finished by whoever sent it; look at it and redeliver it"
        );
    }
    let Some(found) = found.filter(|_| !claimed.is_empty()) else { return Ok(Vec::new()) };
    let mut parameters = Parameters::new(backend);
    let (token_at, lease) = (parameters.bind(token), parameters.bind(now.plus(CLAIM_LASTS).0));
    let workspace_at = parameters.bind(workspace.0);
    let ids: Vec<_> = claimed.iter().map(|row| row.id).collect();
    let text = format!(
        "UPDATE deliveries SET token = {token_at}, due_at = {lease}, claims = claims + 1, \
           attempt_count = attempt_count + CASE WHEN token <> 0 THEN 1 ELSE 0 END, \
           trigger_next = {} \
         WHERE workspace_id = {workspace_at} AND id {}",
        Trigger::Schedule.as_i16(),
        parameters.bind_in(&ids),
    );
    transaction.execute(parameters.statement(text)).await.map_err(failed)?;
    let events = events_at(transaction, workspace, &claimed).await?;
    let endpoint = Arc::new(found.endpoint);
    let mut claims = Vec::with_capacity(claimed.len());
    let mut without = Vec::new();
    for row in claimed {
        let Some(event) = events.get(&row.sequence) else {
            without.push(row);
            continue;
        };
        claims.push(Claim {
            id: row.id,
            endpoint: Arc::clone(&endpoint),
            event: Arc::clone(event),
            token,
            attempt_count: row.attempt_count + i32::from(row.token != 0),
            failures: row.failures,
            resume_at: row.resume_at,
            trigger: row.trigger,
        });
    }
    end(transaction, workspace, &without, DeliveryStatus::Failed).await?;
    Ok(claims)
}

/// Notes an attempt of which nobody knows what came.
async fn note_lost(
    transaction: &Transaction,
    workspace: WorkspaceId,
    row: &DueRow,
) -> Result<(), Error> {
    let began = row.due_at.minus(CLAIM_LASTS);
    let text = "INSERT INTO attempts (workspace_id, delivery_id, number, started_at, duration_ms, \
                status_code, error, response_headers, response_body, reason) \
                VALUES ($1, $2, $3, $4, $5, NULL, $6, '{}', '', $7)";
    let values = [
        workspace.0.into(),
        row.id.into(),
        (row.attempt_count + 1).into(),
        began.0.into(),
        (row.due_at.0 - began.0).into(),
        AttemptError::WorkerLost.as_i16().into(),
        Trigger::Schedule.as_i16().into(),
    ];
    transaction.execute(statement(transaction.backend(), text, values)).await.map_err(failed)?;
    Ok(())
}

/// Has no attempt of these come any more.
async fn end(
    transaction: &Transaction,
    workspace: WorkspaceId,
    rows: &[DueRow],
    status: DeliveryStatus,
) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut parameters = Parameters::new(transaction.backend());
    let (workspace, status) = (parameters.bind(workspace.0), parameters.bind(status.as_i16()));
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let text = format!(
        "UPDATE deliveries SET status = {status}, due_at = NULL, resume_at = NULL, token = 0, \
           attempt_count = attempt_count + CASE WHEN token <> 0 THEN 1 ELSE 0 END \
         WHERE workspace_id = {workspace} AND id {}",
        parameters.bind_in(&ids)
    );
    transaction.execute(parameters.statement(text)).await.map_err(failed)?;
    Ok(())
}

async fn events_at(
    transaction: &Transaction,
    workspace: WorkspaceId,
    rows: &[DueRow],
) -> Result<BTreeMap<i64, Arc<RecordedEvent>>, Error> {
    let mut parameters = Parameters::new(transaction.backend());
    let workspace = parameters.bind(workspace.0);
    let sequences: Vec<_> = rows.iter().map(|row| row.sequence).collect();
    let text = format!(
        "SELECT {} FROM events WHERE workspace_id = {workspace} AND sequence {}",
        log::COLUMNS,
        parameters.bind_in(&sequences)
    );
    let events = transaction.read(parameters.statement(text), recorded).await?;
    Ok(events.into_iter().map(|event| (event.sequence, Arc::new(event))).collect())
}

/// A delivery that is due.
#[derive(Debug)]
struct DueRow {
    id: i64,
    sequence: i64,
    attempt_count: i32,
    failures: i16,
    claims: i16,
    /// Of whoever did not finish it; 0 where nobody had claimed it.
    token: i64,
    trigger: Trigger,
    resume_at: Option<Timestamp>,
    due_at: Timestamp,
}

fn due_row(row: &Row<'_>) -> Result<DueRow, Error> {
    Ok(DueRow {
        id: row.get(0)?,
        sequence: row.get(1)?,
        attempt_count: row.get(2)?,
        failures: row.get(3)?,
        claims: row.get(4)?,
        token: row.get(5)?,
        trigger: Trigger::from_column(row.get(6)?, "trigger_next")?,
        resume_at: row.get::<Option<i64>>(7)?.map(Timestamp),
        due_at: Timestamp(row.get(8)?),
    })
}
