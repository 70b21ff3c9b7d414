//! The insertion of deliveries, by whoever makes them.

use std::ops::Range;

use sea_orm::DbBackend;
use sea_orm::sea_query::ArrayType;

use super::{DeliveryStatus, Trigger};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::store::WorkspaceId;
use crate::store::counters::advance;
use crate::store::failure::failed;
use crate::store::sql::{array, statement};
use crate::store::transaction::Transaction;

/// The counter that numbers deliveries.
pub(super) const COUNTER: &str = "deliveries";

/// A delivery that is to be made.
pub(super) struct NewDelivery<'a> {
    /// The endpoint that it goes to.
    pub(super) endpoint: i64,
    /// The sequence, the id and the type of its event.
    pub(super) event: (i64, &'a str, &'a str),
    /// The reason for its first attempt.
    pub(super) trigger: Trigger,
    /// The token and the time of the claim with which it begins.
    pub(super) claim: Option<(i64, Timestamp)>,
}

impl NewDelivery<'_> {
    /// Returns the lane of the delivery: replayed ones stand behind live ones.
    fn lane(&self) -> i16 {
        (self.trigger == Trigger::Replay).into()
    }

    fn token(&self) -> i64 {
        self.claim.map_or(0, |(token, _)| token)
    }

    fn due_at(&self, now: Timestamp) -> i64 {
        self.claim.map_or(now, |(_, until)| until).0
    }
}

/// Makes the deliveries, and answers their ids in the same order.
pub(super) async fn insert(
    transaction: &Transaction,
    workspace: WorkspaceId,
    new: &[NewDelivery<'_>],
    now: Timestamp,
) -> Result<Range<i64>, Error> {
    if new.is_empty() {
        return Ok(0..0);
    }
    let amount = i64::try_from(new.len()).unwrap_or(i64::MAX);
    let last = advance(transaction, workspace, COUNTER, amount).await?;
    let ids = last - amount + 1..last + 1;
    insert_at(transaction, workspace, ids.clone(), new, now).await?;
    Ok(ids)
}

/// Makes deliveries with these ids.
pub(super) async fn insert_at(
    transaction: &Transaction,
    workspace: WorkspaceId,
    ids: Range<i64>,
    new: &[NewDelivery<'_>],
    now: Timestamp,
) -> Result<(), Error> {
    const COLUMNS: &str = "workspace_id, id, endpoint_id, event_id, event_type, sequence, status, \
        lane, trigger_next, attempt_count, failures, claims, token, due_at, resume_at, created_at";
    let pending = DeliveryStatus::Pending.as_i16();
    if transaction.backend() == DbBackend::Postgres {
        let text = format!(
            "INSERT INTO deliveries ({COLUMNS}) \
             SELECT $1, n.id, n.endpoint_id, n.event_id, n.event_type, n.sequence, {pending}, n.lane, \
               n.trigger_next, 0, 0, CASE WHEN n.token = 0 THEN 0 ELSE 1 END, n.token, n.due_at, NULL, $2 \
             FROM unnest($3, $4, $5, $6, $7, $8, $9, $10, $11) \
               AS n (id, endpoint_id, event_id, event_type, sequence, lane, trigger_next, token, due_at)"
        );
        let numbers = |of: &dyn Fn(&NewDelivery<'_>) -> i64| {
            array(ArrayType::BigInt, new.iter().map(of).collect::<Vec<_>>())
        };
        let small = |of: &dyn Fn(&NewDelivery<'_>) -> i16| {
            array(ArrayType::SmallInt, new.iter().map(of).collect::<Vec<_>>())
        };
        let texts = |of: fn(&NewDelivery<'_>) -> String| {
            array(ArrayType::String, new.iter().map(of).collect::<Vec<_>>())
        };
        let values = [
            workspace.0.into(),
            now.0.into(),
            array(ArrayType::BigInt, ids.collect::<Vec<_>>()),
            numbers(&|it| it.endpoint),
            texts(|it| it.event.1.to_owned()),
            texts(|it| it.event.2.to_owned()),
            numbers(&|it| it.event.0),
            small(&|it| it.lane()),
            small(&|it| it.trigger.as_i16()),
            numbers(&|it| it.token()),
            numbers(&|it| it.due_at(now)),
        ];
        let insert = statement(DbBackend::Postgres, text, values);
        transaction.execute(insert).await.map_err(failed)?;
        return Ok(());
    }
    let text = format!(
        "INSERT INTO deliveries ({COLUMNS}) VALUES \
         ($1, $2, $3, $4, $5, $6, {pending}, $7, $8, 0, 0, $9, $10, $11, NULL, $12)"
    );
    for (it, id) in new.iter().zip(ids) {
        let (sequence, event_id, event_type) = it.event;
        let values = [
            workspace.0.into(),
            id.into(),
            it.endpoint.into(),
            event_id.into(),
            event_type.into(),
            sequence.into(),
            it.lane().into(),
            it.trigger.as_i16().into(),
            i16::from(it.claim.is_some()).into(),
            it.token().into(),
            it.due_at(now).into(),
            now.0.into(),
        ];
        let insert = statement(DbBackend::Sqlite, text.as_str(), values);
        transaction.execute(insert).await.map_err(failed)?;
    }
    Ok(())
}
