//! The entries of the event log, to which [`Tx::commit`](super::Tx::commit) alone appends. `log`
//! reads it.

use sea_orm::{EntityTrait, QueryTrait, Set};

use super::WorkspaceId;
use super::entity::event;
use super::failure::failed;
use super::sql::INSERT_ROWS_MAX;
use super::transaction::Transaction;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{Actor, ActorKind, Event};

/// The counter that numbers the events of a workspace.
pub(super) const SEQUENCE: &str = "events";

/// An event that waits for its change to commit.
#[derive(Debug)]
pub(super) struct PendingEvent {
    pub(super) id: String,
    pub(super) event: Event,
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
        ActorKind::User => 4,
    }
}

pub(super) fn actor_kind(number: i16) -> Result<ActorKind, Error> {
    match number {
        1 => Ok(ActorKind::Key),
        2 => Ok(ActorKind::Operator),
        3 => Ok(ActorKind::System),
        4 => Ok(ActorKind::User),
        _ => Err(super::unknown_number("events.actor_type", number)),
    }
}
