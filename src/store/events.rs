//! The event log: appended to by [`Tx::commit`](super::Tx::commit) alone, read by sequence.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Set};

use super::entity::event;
use super::failure::failed;
use super::transaction::Transaction;
use super::{Reader, WorkspaceId};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{Actor, ActorKind, Event, RecordedEvent};
use crate::metrics::StoreOperation;

/// The counter that numbers the events of a workspace.
pub(super) const SEQUENCE: &str = "events";

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
        let rows = event::Entity::find()
            .filter(event::Column::WorkspaceId.eq(self.workspace.0))
            .filter(event::Column::Sequence.gt(after_sequence))
            .order_by_asc(event::Column::Sequence)
            .limit(limit)
            .all(self.connection)
            .await
            .map_err(failed)?;
        rows.into_iter().map(recorded).collect()
    }
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

fn recorded(row: event::Model) -> Result<RecordedEvent, Error> {
    Ok(RecordedEvent {
        sequence: row.sequence,
        id: row.id,
        event_type: row.event_type,
        topics: super::from_json(&row.topics)?,
        actor: Actor { kind: actor_kind(row.actor_type)?, id: row.actor_id, name: row.actor_name },
        created_at: Timestamp(row.created_at),
        data: row.data,
    })
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
