//! The record of attempts: their outcomes are written together with the claims of the next
//! deliveries.

use std::collections::BTreeMap;

use sea_orm::DbBackend;
use sea_orm::sea_query::ArrayType;

use super::claim::claim;
use super::{AttemptError, Claim, DeliveryStatus, EndpointKey, Trigger, WebhookStatus};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::metrics::StoreOperation;
use crate::store::failure::failed;
use crate::store::row::Row;
use crate::store::sql::{array, statement};
use crate::store::transaction::Transaction;
use crate::store::{Store, Tx, WorkspaceId};

/// An attempt that was made.
#[derive(Debug, Clone)]
pub struct SentAttempt {
    /// The time at which it began.
    pub started_at: Timestamp,
    /// The duration of the attempt.
    pub duration_ms: i64,
    /// The status of the answer.
    pub status_code: Option<i32>,
    /// The reason why there was no answer that counts.
    pub error: Option<AttemptError>,
    /// The headers of the answer, as JSON.
    pub response_headers: String,
    /// The beginning of its body.
    pub response_body: String,
}

impl SentAttempt {
    /// Makes an attempt that got no answer.
    pub fn unanswered(started_at: Timestamp, duration_ms: i64, error: AttemptError) -> Self {
        Self {
            started_at,
            duration_ms,
            status_code: None,
            error: Some(error),
            response_headers: "{}".to_owned(),
            response_body: String::new(),
        }
    }
}

/// The outcome of a claim.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The workspace and the endpoint.
    pub endpoint: EndpointKey,
    /// The delivery.
    pub delivery: i64,
    /// The token of the claim.
    pub token: i64,
    /// The attempt; none where it was not made after all, and is given back.
    pub attempt: Option<SentAttempt>,
    /// The number of the attempt.
    pub number: i32,
    /// The reason why it was made.
    pub trigger: Trigger,
    /// True if it succeeded.
    pub is_success: bool,
    /// The number of attempts that have failed by now, of those that the schedule counts.
    pub failures: i16,
    /// The time of the next attempt.
    pub next_at: Option<Timestamp>,
}

/// The result of recording outcomes.
#[derive(Debug, Default)]
pub struct Recorded {
    /// The deliveries that were claimed to be sent next.
    pub claims: Vec<Claim>,
    /// The endpoints that have just failed, with the time since when they do.
    pub failing: BTreeMap<EndpointKey, Timestamp>,
    /// The deliveries whose claim did not count any more.
    pub late: Vec<(WorkspaceId, i64)>,
}

/// The health of an endpoint by its outcomes.
#[derive(Debug, Default, Clone, Copy)]
struct Health {
    last_success: Option<Timestamp>,
    /// The first failure behind the last success.
    first_failure: Option<Timestamp>,
}

impl Store {
    /// Writes down what came of attempts, and claims what is due of these endpoints, at most so many of
    /// each, in one transaction.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn record_attempts(
        &self,
        outcomes: &[Outcome],
        wanted: &[(EndpointKey, usize)],
        token: i64,
    ) -> Result<Recorded, Error> {
        let _timed = StoreOperation::begin("record", "attempts");
        let now = self.now();
        let transaction = self.writer.begin().await.map_err(failed)?;
        let mut recorded = Recorded::default();
        let active = note_health(&transaction, outcomes, &mut recorded.failing).await?;
        // By id, as everybody locks them.
        let mut outcomes: Vec<_> = outcomes.iter().collect();
        outcomes.sort_by_key(|outcome| (outcome.endpoint.0, outcome.delivery));
        let written = write(&transaction, &outcomes, &active, now).await?;
        for outcome in outcomes {
            let key = (outcome.endpoint.0, outcome.delivery);
            if outcome.attempt.is_some() && !written.contains(&key) {
                recorded.late.push(key);
            }
        }
        for (key, most) in wanted {
            recorded.claims.extend(claim(&transaction, *key, *most, token, now).await?);
        }
        transaction.commit().await.map_err(failed)?;
        Ok(recorded)
    }
}

/// Notes which endpoints answer and which do not; those that are active. Their rows are locked before
/// those of deliveries, as by whoever disables one.
async fn note_health(
    transaction: &Transaction,
    outcomes: &[Outcome],
    failing: &mut BTreeMap<EndpointKey, Timestamp>,
) -> Result<Vec<EndpointKey>, Error> {
    let mut health: BTreeMap<EndpointKey, Health> = BTreeMap::new();
    for outcome in outcomes {
        let Some(attempt) = &outcome.attempt else { continue };
        let ended = attempt.started_at.plus_millis(attempt.duration_ms);
        let of = health.entry(outcome.endpoint).or_default();
        match outcome.is_success {
            true => *of = Health { last_success: Some(ended), first_failure: None },
            false => of.first_failure = of.first_failure.or(Some(ended)),
        }
    }
    let mut active = Vec::new();
    for ((workspace, endpoint), health) in health {
        // `failing_since` stays what it was while nothing has succeeded.
        let text = "UPDATE webhooks SET last_delivery_at = COALESCE($3, last_delivery_at), \
            failing_since = CASE WHEN $3 IS NULL THEN COALESCE(failing_since, $4) ELSE $4 END \
            WHERE workspace_id = $1 AND id = $2 RETURNING status, failing_since";
        let values = [
            workspace.0.into(),
            endpoint.into(),
            health.last_success.map(|at| at.0).into(),
            health.first_failure.map(|at| at.0).into(),
        ];
        let text = match transaction.backend() {
            DbBackend::Postgres => text.replace("$3", "$3::bigint").replace("$4", "$4::bigint"),
            _ => text.to_owned(),
        };
        let update = statement(transaction.backend(), text, values);
        let read = |row: &Row<'_>| Ok((row.get::<i16>(0)?, row.get::<Option<i64>>(1)?));
        let Some((status, since)) = transaction.read_one(update, read).await? else { continue };
        if status == WebhookStatus::Active.as_i16() {
            active.push((workspace, endpoint));
            if let Some(since) = since {
                failing.insert((workspace, endpoint), Timestamp(since));
            }
        }
    }
    Ok(active)
}

/// Writes the outcomes whose claims still count, and answers which they are.
pub(in crate::store) async fn write(
    transaction: &Transaction,
    outcomes: &[&Outcome],
    active: &[EndpointKey],
    now: Timestamp,
) -> Result<Vec<(WorkspaceId, i64)>, Error> {
    let (mut made, mut given_back) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match &outcome.attempt {
            Some(attempt) => made.push((*outcome, attempt)),
            None => given_back.push(*outcome),
        }
    }
    for outcome in given_back {
        let text = "UPDATE deliveries SET token = 0, claims = claims - 1, due_at = $4, trigger_next = $5 \
                    WHERE workspace_id = $1 AND id = $2 AND token = $3";
        let values = [
            outcome.endpoint.0.0.into(),
            outcome.delivery.into(),
            outcome.token.into(),
            now.0.into(),
            outcome.trigger.as_i16().into(),
        ];
        let update = statement(transaction.backend(), text, values);
        transaction.execute(update).await.map_err(failed)?;
    }
    let next = |outcome: &Outcome| outcome.next_at.filter(|_| active.contains(&outcome.endpoint));
    let status = |outcome: &Outcome| match (outcome.is_success, next(outcome)) {
        (true, _) => DeliveryStatus::Succeeded.as_i16(),
        (false, Some(_)) => DeliveryStatus::Pending.as_i16(),
        (false, None) => DeliveryStatus::Failed.as_i16(),
    };
    // Who asked for one more attempt meanwhile gets it now.
    let manual = Trigger::Manual.as_i16();
    let pending = DeliveryStatus::Pending.as_i16();
    let set = |status: &str, next: &str, now: &str| {
        format!(
            "claims = 0, token = 0, \
             status = CASE WHEN trigger_next = {manual} THEN {pending} ELSE {status} END, \
             due_at = CASE WHEN trigger_next = {manual} THEN {now} ELSE {next} END, \
             resume_at = CASE WHEN trigger_next = {manual} THEN {next} ELSE NULL END"
        )
    };
    if transaction.backend() == DbBackend::Postgres {
        let text = format!(
            "WITH r AS (SELECT workspace_id, id, token, status, NULLIF(next, -1) AS next, number, \
               failures, started_at, duration_ms, NULLIF(status_code, -1) AS status_code, \
               NULLIF(error, -1::smallint) AS error, headers, body, reason \
               FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
               AS r (workspace_id, id, token, status, next, number, failures, started_at, \
                     duration_ms, status_code, error, headers, body, reason)), \
             done AS (UPDATE deliveries d SET attempt_count = r.number, failures = r.failures, {} \
               FROM r WHERE d.workspace_id = r.workspace_id AND d.id = r.id AND d.token = r.token \
               RETURNING d.workspace_id, d.id) \
             INSERT INTO attempts (workspace_id, delivery_id, number, started_at, duration_ms, \
               status_code, error, response_headers, response_body, reason) \
             SELECT r.workspace_id, r.id, r.number, r.started_at, r.duration_ms, r.status_code, \
               r.error, r.headers, r.body, r.reason FROM r JOIN done USING (workspace_id, id) \
             RETURNING workspace_id, delivery_id",
            set("r.status", "r.next", "$15::bigint")
        );
        if made.is_empty() {
            return Ok(Vec::new());
        }
        let big = |of: &dyn Fn(&Outcome, &SentAttempt) -> i64| {
            array(ArrayType::BigInt, made.iter().map(|(it, sent)| of(it, sent)).collect::<Vec<_>>())
        };
        let int = |of: &dyn Fn(&Outcome, &SentAttempt) -> i32| {
            array(ArrayType::Int, made.iter().map(|(it, sent)| of(it, sent)).collect::<Vec<_>>())
        };
        let small = |of: &dyn Fn(&Outcome, &SentAttempt) -> i16| {
            let all = made.iter().map(|(it, sent)| of(it, sent)).collect::<Vec<_>>();
            array(ArrayType::SmallInt, all)
        };
        let text_of = |of: &dyn Fn(&SentAttempt) -> String| {
            array(ArrayType::String, made.iter().map(|(_, sent)| of(sent)).collect::<Vec<_>>())
        };
        let values = [
            big(&|it, _| it.endpoint.0.0),
            big(&|it, _| it.delivery),
            big(&|it, _| it.token),
            small(&|it, _| status(it)),
            big(&|it, _| next(it).map_or(-1, |at| at.0)),
            int(&|it, _| it.number),
            small(&|it, _| it.failures),
            big(&|_, sent| sent.started_at.0),
            big(&|_, sent| sent.duration_ms),
            int(&|_, sent| sent.status_code.unwrap_or(-1)),
            small(&|_, sent| sent.error.map_or(-1, AttemptError::as_i16)),
            text_of(&|sent| sent.response_headers.clone()),
            text_of(&|sent| sent.response_body.clone()),
            small(&|it, _| it.trigger.as_i16()),
            now.0.into(),
        ];
        let write = statement(DbBackend::Postgres, text, values);
        return transaction.read(write, |row| Ok((WorkspaceId(row.get(0)?), row.get(1)?))).await;
    }
    let mut written = Vec::new();
    for (outcome, sent) in made {
        let text = format!(
            "UPDATE deliveries SET attempt_count = $4, failures = $5, {} \
             WHERE workspace_id = $1 AND id = $2 AND token = $3",
            set("$6", "$7", "$8")
        );
        let values = [
            outcome.endpoint.0.0.into(),
            outcome.delivery.into(),
            outcome.token.into(),
            outcome.number.into(),
            outcome.failures.into(),
            status(outcome).into(),
            next(outcome).map(|at| at.0).into(),
            now.0.into(),
        ];
        let update = statement(DbBackend::Sqlite, text, values);
        if transaction.execute(update).await.map_err(failed)? == 0 {
            continue;
        }
        let text = "INSERT INTO attempts (workspace_id, delivery_id, number, started_at, duration_ms, \
                    status_code, error, response_headers, response_body, reason) \
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let values = [
            outcome.endpoint.0.0.into(),
            outcome.delivery.into(),
            outcome.number.into(),
            sent.started_at.0.into(),
            sent.duration_ms.into(),
            sent.status_code.into(),
            sent.error.map(AttemptError::as_i16).into(),
            sent.response_headers.as_str().into(),
            sent.response_body.as_str().into(),
            outcome.trigger.as_i16().into(),
        ];
        let insert = statement(DbBackend::Sqlite, text, values);
        transaction.execute(insert).await.map_err(failed)?;
        written.push((outcome.endpoint.0, outcome.delivery));
    }
    Ok(written)
}

impl Tx {
    /// Records the outcome of a delivery, and returns whether the claim still counted.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn settle_delivery(&mut self, outcome: &Outcome) -> Result<bool, Error> {
        let _timed = StoreOperation::begin("record", "attempts");
        write(&self.transaction, &[outcome], &[outcome.endpoint], self.now)
            .await
            .map(|written| !written.is_empty())
    }
}
