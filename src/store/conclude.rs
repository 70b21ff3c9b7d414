//! The end of a change: its events get their numbers in the workspace's sequence, and are written
//! together with the history and the counts that the change moves.
//!
//! The sequence's row stays locked until the transaction ends, so every other change of the
//! workspace waits from here on. PostgreSQL therefore gets all of it as one statement: between the
//! lock and the end of the transaction is one round trip, not three.

use sea_orm::sea_query::ArrayType;
use sea_orm::{DbBackend, Statement};

use super::WorkspaceId;
use super::counters::advance;
use super::events::{PendingEvent, SEQUENCE, actor_number, insert_events};
use super::failure::failed;
use super::history::{self, PendingHistory, insert_history};
use super::nouns::counts::{CountChanges, add_to_counts};
use super::sql::{array, statement};
use super::transaction::Transaction;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::Origin;

/// The rows that a change writes at its end.
pub(super) struct Conclusion<'a> {
    pub(super) workspace: WorkspaceId,
    pub(super) origin: &'a Origin,
    pub(super) events: Vec<PendingEvent>,
    pub(super) history: Vec<PendingHistory>,
    /// The changes of the number of rows of each facet.
    pub(super) counts: CountChanges,
    pub(super) now: Timestamp,
}

impl Conclusion<'_> {
    /// Writes it. From here on the change has the workspace's log to itself, so two changes that
    /// touch the same counts cannot wait for each other crosswise.
    pub(super) async fn write(self, transaction: &Transaction) -> Result<(), Error> {
        if self.events.is_empty() && self.counts.is_empty() && self.history.is_empty() {
            return Ok(());
        }
        if transaction.backend() == DbBackend::Postgres {
            transaction.execute(self.into_statement()).await.map_err(failed)?;
            return Ok(());
        }
        let Self { workspace, origin, events, history, counts, now } = self;
        let amount = count(&events);
        let last = advance(transaction, workspace, SEQUENCE, amount).await?;
        let first = last - amount + 1;
        insert_events(transaction, workspace, &origin.actor, events, first, now).await?;
        insert_history(transaction, workspace, origin, history, now).await?;
        add_to_counts(transaction, workspace, &counts).await
    }

    /// Returns all of it as one statement of PostgreSQL, with a text that is always the same. The
    /// counts are selected from the row of the sequence, so that it is locked before theirs.
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
            ), numbered AS ( \
              INSERT INTO counters (workspace_id, name, value) \
              SELECT $1, $15, $16 FROM sequence WHERE $16 > 0 \
              ON CONFLICT (workspace_id, name) DO UPDATE \
              SET value = counters.value + excluded.value RETURNING value \
            ), remembered AS ( \
              INSERT INTO history (workspace_id, id, noun, resource_id, field, from_value, to_value, \
                actor_type, actor_id, actor_name, request_id, created_at, external_id) \
              SELECT $1, numbered.value - $16 + h.place, h.noun, h.resource_id, h.field, \
                h.from_value, h.to_value, h.actor_type, h.actor_id, h.actor_name, \
                CASE WHEN h.external_id = '' THEN $17 END, h.created_at, NULLIF(h.external_id, '') \
              FROM numbered, unnest($18, $19, $20, $21, $22, $27, $28, $29, $30, $31) WITH ORDINALITY \
                AS h (noun, resource_id, field, from_value, to_value, actor_type, actor_id, actor_name, \
                  created_at, external_id, place) \
            ), figured AS ( \
              INSERT INTO figures (workspace_id, noun, resource_id, number, row_count) \
              SELECT $1, f.noun, f.resource_id, f.number, f.change \
              FROM sequence, unnest($23, $24, $25, $26) AS f (noun, resource_id, number, change) \
              ON CONFLICT (workspace_id, noun, resource_id, number) DO UPDATE \
              SET row_count = figures.row_count + excluded.row_count \
            ) \
            INSERT INTO facet_counts (workspace_id, noun, facet, row_count) \
            SELECT $1, c.noun, c.facet, c.change \
            FROM sequence, unnest($12, $13, $14) AS c (noun, facet, change) \
            ON CONFLICT (workspace_id, noun, facet) DO UPDATE \
            SET row_count = facet_counts.row_count + excluded.row_count";
        let amount = count(&self.events);
        let (mut ids, mut types) = (Vec::new(), Vec::new());
        let (mut topics, mut data) = (Vec::new(), Vec::new());
        for PendingEvent { id, event } in self.events {
            topics.push(super::to_json(&event.topics));
            types.push(event.event_type.name());
            data.push(event.data_json());
            ids.push(id);
        }
        let actor = &self.origin.actor;
        let remembered = i64::try_from(self.history.len()).expect("fewer than 2^63 entries");
        let mut of = (Vec::new(), Vec::new(), Vec::new());
        let (mut from, mut to) = (Vec::new(), Vec::new());
        let mut by = (Vec::new(), Vec::new(), Vec::new());
        let (mut at, mut external_ids) = (Vec::new(), Vec::new());
        for entry in self.history {
            let (external_id, who, when) = entry.brought.unwrap_or((String::new(), None, self.now));
            let who = who.as_ref().unwrap_or(actor);
            of.0.push(entry.noun);
            of.1.push(entry.resource_id);
            of.2.push(entry.field);
            from.push(entry.from);
            to.push(entry.to);
            by.0.push(actor_number(who.kind));
            by.1.push(who.id.clone());
            by.2.push(who.name.clone());
            at.push(when.0);
            external_ids.push(external_id);
        }
        let (facets, changes): (Vec<_>, Vec<_>) = self.counts.facets.into_iter().unzip();
        let figures = self.counts.figures;
        let (nouns, facets): (Vec<_>, Vec<_>) = facets.into_iter().unzip();
        let values = [
            self.workspace.0.into(),
            SEQUENCE.into(),
            amount.into(),
            actor_number(actor.kind).into(),
            actor.id.as_str().into(),
            actor.name.as_str().into(),
            self.now.0.into(),
            array(ArrayType::String, ids),
            array(ArrayType::String, types),
            array(ArrayType::String, topics),
            array(ArrayType::String, data),
            array(ArrayType::SmallInt, nouns),
            array(ArrayType::SmallInt, facets),
            array(ArrayType::BigInt, changes),
            history::COUNTER.into(),
            remembered.into(),
            self.origin.request_id.clone().into(),
            array(ArrayType::SmallInt, of.0),
            array(ArrayType::BigInt, of.1),
            array(ArrayType::String, of.2),
            array(ArrayType::String, from),
            array(ArrayType::String, to),
            array(ArrayType::SmallInt, figures.keys().map(|figure| figure.noun).collect()),
            array(ArrayType::BigInt, figures.keys().map(|figure| figure.id).collect()),
            array(ArrayType::SmallInt, figures.keys().map(|figure| figure.number).collect()),
            array(ArrayType::BigInt, figures.values().copied().collect()),
            array(ArrayType::SmallInt, by.0),
            array(ArrayType::String, by.1),
            array(ArrayType::String, by.2),
            array(ArrayType::BigInt, at),
            array(ArrayType::String, external_ids),
        ];
        statement(DbBackend::Postgres, TEXT, values)
    }
}

fn count(events: &[PendingEvent]) -> i64 {
    i64::try_from(events.len()).expect("a change has fewer than 2^63 events")
}
