//! The end of a change: its events get their numbers in the workspace's sequence, and are written
//! together with the counts that the change moves.
//!
//! The sequence's row stays locked until the transaction ends, so every other change of the
//! workspace waits from here on. PostgreSQL therefore gets all of it as one statement: between the
//! lock and the end of the transaction is one round trip, not three.

use std::collections::BTreeMap;

use sea_orm::sea_query::ArrayType;
use sea_orm::{DbBackend, Statement};

use super::WorkspaceId;
use super::counters::{Counter, advance};
use super::events::{PendingEvent, actor_number, insert_events};
use super::failure::failed;
use super::sql::{array, statement};
use super::tickets::counts::add_to_counts;
use super::transaction::Transaction;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::Actor;

/// What a change leaves behind for its end.
pub(super) struct Conclusion<'a> {
    pub(super) workspace: WorkspaceId,
    pub(super) actor: &'a Actor,
    pub(super) events: Vec<PendingEvent>,
    /// By how much the number of tickets of each facet has changed.
    pub(super) counts: BTreeMap<i16, i64>,
    pub(super) now: Timestamp,
}

impl Conclusion<'_> {
    /// Writes it. From here on the change has the workspace's log to itself, so two changes that
    /// touch the same counts cannot wait for each other crosswise.
    pub(super) async fn write(self, transaction: &Transaction) -> Result<(), Error> {
        if self.events.is_empty() && self.counts.is_empty() {
            return Ok(());
        }
        if transaction.backend() == DbBackend::Postgres {
            transaction.execute(self.into_statement()).await.map_err(failed)?;
            return Ok(());
        }
        let Self { workspace, actor, events, counts, now } = self;
        let amount = count(&events);
        let last = advance(transaction, workspace, Counter::Events, amount).await?;
        insert_events(transaction, workspace, actor, events, last - amount + 1, now).await?;
        add_to_counts(transaction, workspace, &counts).await
    }

    /// All of it as one statement of PostgreSQL, with a text that is always the same. The counts are
    /// selected from the row of the sequence, so that it is locked before theirs.
    fn into_statement(self) -> Statement {
        const TEXT: &str = "\
            WITH sequence AS ( \
              INSERT INTO counters (workspace_id, name, value) VALUES ($1, $2, $3) \
              ON CONFLICT (workspace_id, name) DO UPDATE \
              SET value = counters.value + excluded.value RETURNING value \
            ), logged AS ( \
              INSERT INTO events (workspace_id, sequence, id, event_type, topics, actor_type, \
                actor_id, actor_name, created_at, data) \
              SELECT $1, sequence.value - $3 + e.place, e.id, e.event_type, e.topics, $4, $5, $6, \
                $7, e.data \
              FROM sequence, unnest($8, $9, $10, $11) WITH ORDINALITY \
                AS e (id, event_type, topics, data, place) \
            ) \
            INSERT INTO ticket_counts (workspace_id, facet, ticket_count) \
            SELECT $1, c.facet, c.change FROM sequence, unnest($12, $13) AS c (facet, change) \
            ON CONFLICT (workspace_id, facet) DO UPDATE \
            SET ticket_count = ticket_counts.ticket_count + excluded.ticket_count";
        let amount = count(&self.events);
        let (mut ids, mut types) = (Vec::new(), Vec::new());
        let (mut topics, mut data) = (Vec::new(), Vec::new());
        for PendingEvent { id, event } in self.events {
            topics.push(super::to_json(&event.topics));
            types.push(event.event_type.to_owned());
            data.push(event.data_json());
            ids.push(id);
        }
        let (facets, changes): (Vec<_>, Vec<_>) = self.counts.into_iter().unzip();
        let values = [
            self.workspace.0.into(),
            Counter::Events.name().into(),
            amount.into(),
            actor_number(self.actor.kind).into(),
            self.actor.id.as_str().into(),
            self.actor.name.as_str().into(),
            self.now.0.into(),
            array(ArrayType::String, ids),
            array(ArrayType::String, types),
            array(ArrayType::String, topics),
            array(ArrayType::String, data),
            array(ArrayType::SmallInt, facets),
            array(ArrayType::BigInt, changes),
        ];
        statement(DbBackend::Postgres, TEXT, values)
    }
}

fn count(events: &[PendingEvent]) -> i64 {
    i64::try_from(events.len()).expect("a change has fewer than 2^63 events")
}
