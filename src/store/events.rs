//! The event log: appended to by [`Tx::commit`](super::Tx::commit) alone, read by sequence.

use sea_orm::{EntityTrait, QueryTrait, Set};

use super::entity::event;
use super::failure::failed;
use super::row::Row;
use super::rows::RowSource;
use super::sql::{Parameters, statement};
use super::transaction::Transaction;
use super::{Reader, WorkspaceId};
use crate::clock::Timestamp;
use crate::config::PAGE_BYTES_MAX;
use crate::error::Error;
use crate::event::{Actor, ActorKind, Event, RecordedEvent};
use crate::event_type::EventType;
use crate::metrics::StoreOperation;

/// The counter that numbers the events of a workspace.
pub(super) const SEQUENCE: &str = "events";

/// The columns that [`recorded`] takes.
const COLUMNS: &str = "sequence, id, event_type, topics, actor_type, actor_id, actor_name, created_at, \
                       data";

/// The most rows of the log that are looked at for a page of those that follow it.
const FOLLOWED_ROWS_MAX: i64 = 10_000;

/// Rows of one INSERT: well below the databases' bounds on parameters.
const INSERT_ROWS_MAX: usize = 200;

/// An event that waits for its change to commit.
#[derive(Debug)]
pub(super) struct PendingEvent {
    pub(super) id: String,
    pub(super) event: Event,
}

impl Reader<'_> {
    /// The events after `sequence`, in order, at most `limit` of them.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list_events(
        &self,
        after_sequence: i64,
        limit: u64,
    ) -> Result<Vec<RecordedEvent>, Error> {
        let _timed = StoreOperation::begin("list", "events");
        let text = format!(
            "SELECT {COLUMNS} FROM events WHERE workspace_id = $1 AND sequence > $2 \
             ORDER BY sequence LIMIT $3"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = [self.workspace.0.into(), after_sequence.into(), limit.into()];
        let select = statement(self.backend(), text, values);
        RowSource::Reader(*self).read(select, recorded).await
    }
}

/// What a follower of the log reads at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct LogPage {
    /// The events of the types that are followed, in order.
    pub events: Vec<RecordedEvent>,
    /// The sequence up to which the log was read.
    pub read_up_to: i64,
    /// Whether the log ended there.
    pub is_end: bool,
}

impl Reader<'_> {
    /// The next events of some types behind `after`, at most `most`; none where the log is not that
    /// long. Events of other types are passed over, a bounded number of them at a time.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn follow(
        &self,
        types: &[EventType],
        after: i64,
        most: u32,
    ) -> Result<Option<LogPage>, Error> {
        let _timed = StoreOperation::begin("follow", "events");
        let source = RowSource::Reader(*self);
        // Changes commit in the order of their sequence: up to the last one that is seen here, the
        // statement behind this one sees all of them.
        let text = "SELECT value FROM counters WHERE workspace_id = $1 AND name = $2";
        let last = statement(self.backend(), text, [self.workspace.0.into(), SEQUENCE.into()]);
        let last = source.short().read(last, |row| row.get(0)).await?;
        let last = last.into_iter().next().unwrap_or(0);
        if after > last {
            return Ok(None);
        }
        let end = last.min(after.saturating_add(FOLLOWED_ROWS_MAX));
        let mut parameters = Parameters::new(self.backend());
        let workspace = parameters.bind(self.workspace.0);
        let (first, up_to) = (parameters.bind(after), parameters.bind(end));
        let types: Vec<_> = types.iter().map(|one| parameters.bind(one.name())).collect();
        let text = format!(
            "SELECT {COLUMNS} FROM events WHERE workspace_id = {workspace} AND sequence > {first} \
             AND sequence <= {up_to} AND event_type IN ({}) ORDER BY sequence LIMIT {} + 0",
            types.join(", "),
            parameters.bind(i64::from(most)),
        );
        let bytes = |event: &RecordedEvent| event.data.len();
        let events =
            source.read_within(parameters.statement(text), recorded, bytes, PAGE_BYTES_MAX).await?;
        let is_cut = events.len() == most as usize
            || events.iter().map(bytes).sum::<usize>() > PAGE_BYTES_MAX;
        let read_up_to = match events.last() {
            Some(event) if is_cut => event.sequence,
            _ => end,
        };
        Ok(Some(LogPage { events, read_up_to, is_end: read_up_to == last }))
    }
}

fn recorded(row: &Row<'_>) -> Result<RecordedEvent, Error> {
    let kind = actor_kind(row.get(4)?)?;
    Ok(RecordedEvent {
        sequence: row.get(0)?,
        id: row.get(1)?,
        event_type: row.get(2)?,
        topics: super::from_json(&row.get::<String>(3)?)?,
        actor: Actor { kind, id: row.get(5)?, name: row.get(6)? },
        created_at: Timestamp(row.get(7)?),
        data: row.get(8)?,
    })
}

/// Appends the events, numbered from `first`.
pub(super) async fn insert_events(
    transaction: &Transaction,
    workspace: WorkspaceId,
    actor: &Actor,
    events: Vec<PendingEvent>,
    first: i64,
    now: Timestamp,
) -> Result<(), Error> {
    let rows: Vec<_> = (first..)
        .zip(events)
        .map(|(sequence, PendingEvent { id, event })| event::ActiveModel {
            workspace_id: Set(workspace.0),
            sequence: Set(sequence),
            id: Set(id),
            data: Set(event.data_json()),
            event_type: Set(event.event_type.name().to_owned()),
            topics: Set(super::to_json(&event.topics)),
            actor_type: Set(actor_number(actor.kind)),
            actor_id: Set(actor.id.clone()),
            actor_name: Set(actor.name.clone()),
            created_at: Set(now.0),
        })
        .collect();
    for rows in rows.chunks(INSERT_ROWS_MAX) {
        let insert = event::Entity::insert_many(rows.to_vec()).build(transaction.backend());
        transaction.execute(insert).await.map_err(failed)?;
    }
    Ok(())
}

pub(super) fn actor_number(kind: ActorKind) -> i16 {
    match kind {
        ActorKind::Key => 1,
        ActorKind::Operator => 2,
        ActorKind::System => 3,
    }
}

pub(super) fn actor_kind(number: i16) -> Result<ActorKind, Error> {
    match number {
        1 => Ok(ActorKind::Key),
        2 => Ok(ActorKind::Operator),
        3 => Ok(ActorKind::System),
        _ => Err(super::unknown_number("events.actor_type", number)),
    }
}
