//! The history of resources: an entry for each field that a change has changed.
//! [`Tx::update`](super::Tx) does not see fields as the API shows them, so entries come with the event
//! of the change, which does, and commit with it.

use std::collections::BTreeSet;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryTrait, Set};
use serde_json::Value;

use super::counters::advance;
use super::entity::history;
use super::events::{actor_kind, actor_number};
use super::failure::failed;
use super::newest::Owned;
use super::nouns::Noun;
use super::pages::{CursorKey, NewestFirst, Page, PageRequest, Total};
use super::row::Row;
use super::rows::RowSource;
use super::sql::{INSERT_ROWS_MAX, Parameters};
use super::transaction::Transaction;
use super::{Reader, Tx, WorkspaceId};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{Actor, Event, Origin};
use crate::metrics::StoreOperation;

/// The counter that numbers the entries of a workspace.
pub(super) const COUNTER: &str = "history";

/// A field that has changed.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEntry {
    /// The id: 1, 2, 3 … within the workspace.
    pub id: i64,
    /// The field by its API name.
    pub field: String,
    /// The value before, as the API showed it.
    pub from: Value,
    /// The value after.
    pub to: Value,
    /// The actor of the change.
    pub actor: Actor,
    /// The id of the request that did; none for an operator's command.
    pub request_id: Option<String>,
    /// The time of the change.
    pub created_at: Timestamp,
    /// The id in the system that it was brought from.
    pub external_id: Option<String>,
}

/// A field that has changed in another system.
#[derive(Debug, Clone, PartialEq)]
pub struct BroughtHistory {
    /// The id there; a resource has none twice.
    pub external_id: String,
    /// The field.
    pub field: String,
    /// The value before.
    pub from: Value,
    /// The value after.
    pub to: Value,
    /// The actor of the change; none stands for the one who brings it.
    pub actor: Option<Actor>,
    /// The time of the change.
    pub created_at: Timestamp,
}

impl HistoryEntry {
    /// Returns the position of the entry in its history.
    pub fn key(&self) -> CursorKey {
        CursorKey::timed(self.created_at, self.id)
    }
}

/// An entry that waits for its change to commit.
#[derive(Debug)]
pub(super) struct PendingHistory {
    /// The number of the resource's table.
    pub(super) noun: i16,
    pub(super) resource_id: i64,
    pub(super) field: String,
    pub(super) from: String,
    pub(super) to: String,
    /// The origin of an entry from another system: its id there, its actor, and its time.
    pub(super) brought: Option<(String, Option<Actor>, Timestamp)>,
}

impl PendingHistory {
    /// The entries of a changed resource, by the event that tells of the change.
    pub(super) fn of<N: Noun>(row: &N, event: &Event) -> impl Iterator<Item = Self> {
        event.previous.iter().map(|(field, was)| Self {
            noun: N::table().noun,
            resource_id: row.id(),
            field: field.clone(),
            from: was.to_string(),
            to: event.now(field).to_string(),
            brought: None,
        })
    }

    /// The row of the entry with this id, in a change by `origin` at `now`.
    fn into_row(
        self,
        workspace: WorkspaceId,
        id: i64,
        origin: &Origin,
        now: Timestamp,
    ) -> history::ActiveModel {
        let (actor, request_id, created_at, external_id) = match self.brought {
            Some((external_id, actor, at)) => (actor, None, at, Some(external_id)),
            None => (None, origin.request_id.clone(), now, None),
        };
        let actor = actor.unwrap_or_else(|| origin.actor.clone());
        history::ActiveModel {
            workspace_id: Set(workspace.0),
            id: Set(id),
            noun: Set(self.noun),
            resource_id: Set(self.resource_id),
            field: Set(self.field),
            from_value: Set(self.from),
            to_value: Set(self.to),
            actor_type: Set(actor_number(actor.kind)),
            actor_id: Set(actor.id),
            actor_name: Set(actor.name),
            request_id: Set(request_id),
            created_at: Set(created_at.0),
            external_id: Set(external_id),
        }
    }
}

impl Tx {
    /// Adds the entry of a changed field that the event names to those that commit with this change, for
    /// each field that `is_remembered`.
    pub fn remember<N: Noun>(
        &mut self,
        row: &N,
        event: &Event,
        is_remembered: impl Fn(&str) -> bool,
    ) {
        let entries = PendingHistory::of(row, event).filter(|entry| is_remembered(&entry.field));
        self.history.extend(entries);
    }

    /// Adds an entry from another system to those that commit with this change.
    pub fn remember_brought<N: Noun>(&mut self, id: i64, entry: BroughtHistory) {
        self.history.push(PendingHistory {
            noun: N::table().noun,
            resource_id: id,
            field: entry.field,
            from: entry.from.to_string(),
            to: entry.to.to_string(),
            brought: Some((entry.external_id, entry.actor, entry.created_at)),
        });
    }

    /// Returns those of these external ids that entries of a row have already.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn known_history<N: Noun>(
        &self,
        id: i64,
        external_ids: &[String],
    ) -> Result<BTreeSet<String>, Error> {
        if external_ids.is_empty() {
            return Ok(BTreeSet::new());
        }
        let _timed = StoreOperation::begin("find_known", "history");
        let mut parameters = Parameters::new(self.transaction.backend());
        let (workspace, noun) =
            (parameters.bind(self.workspace.0), parameters.bind(N::table().noun));
        let (id, external_ids) = (parameters.bind(id), parameters.bind_in_texts(external_ids));
        let select = parameters.statement(format!(
            "SELECT external_id FROM history WHERE workspace_id = {workspace} AND noun = {noun} \
             AND resource_id = {id} AND external_id {external_ids}"
        ));
        Ok(self.transaction.read(select, |row| row.get(0)).await?.into_iter().collect())
    }
}

impl Reader<'_> {
    /// A page of what has changed of the row with this id, the latest change first.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list_history<N: Noun>(
        &self,
        id: i64,
        page: &PageRequest,
    ) -> Result<Page<HistoryEntry>, Error> {
        let _timed = StoreOperation::begin("list", "history");
        let list = self.history::<N>(id);
        let found = list
            .read(self.connection, |row| CursorKey::timed(Timestamp(row.created_at), row.id), page)
            .await;
        found.map_err(failed)?.try_map(from_row)
    }

    /// The newest entries of each of the rows with these ids, each with the id, the newest of all first:
    /// all, or as many as fit in so many bytes and one more.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn newest_history<N: Noun>(
        &self,
        ids: &[i64],
        bytes_max: usize,
    ) -> Result<Vec<(i64, HistoryEntry)>, Error> {
        let _timed = StoreOperation::begin("list_newest", "history");
        let select = self.newest_of_each(&owned::<N>(), ids);
        let bytes = |row: &history::Model| row.from_value.len() + row.to_value.len();
        let rows = RowSource::Reader(*self).read_within(select, decode, bytes, bytes_max).await?;
        rows.into_iter().map(|row| Ok((row.resource_id, from_row(row)?))).collect()
    }

    /// The query plan of the statement that [`Reader::newest_history`] would run, a line each.
    #[doc(hidden)]
    pub async fn explain_newest_history<N: Noun>(&self, ids: &[i64]) -> Result<Vec<String>, Error> {
        self.explain(self.newest_of_each(&owned::<N>(), ids)).await
    }

    /// The query plans of the statements that [`Reader::list_history`] would run, a line each.
    #[doc(hidden)]
    pub async fn explain_history<N: Noun>(
        &self,
        id: i64,
        page: &PageRequest,
    ) -> Result<Vec<String>, Error> {
        self.explain_all(self.history::<N>(id).statements(self.backend(), page)).await
    }

    fn history<N: Noun>(&self, id: i64) -> NewestFirst<history::Entity> {
        use history::Column;
        let select = history::Entity::find()
            .filter(Column::WorkspaceId.eq(self.workspace.0))
            .filter(Column::Noun.eq(N::table().noun))
            .filter(Column::ResourceId.eq(id));
        NewestFirst {
            select,
            time: Some(Column::CreatedAt),
            number: Column::Id,
            total: Total::Counted,
        }
    }
}

/// Appends the entries.
pub(super) async fn insert_history(
    transaction: &Transaction,
    workspace: WorkspaceId,
    origin: &Origin,
    entries: Vec<PendingHistory>,
    now: Timestamp,
) -> Result<(), Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let amount = i64::try_from(entries.len()).expect("a change has fewer than 2^63 entries");
    let last = advance(transaction, workspace, COUNTER, amount).await?;
    let rows: Vec<_> = (last - amount + 1..)
        .zip(entries)
        .map(|(id, entry)| entry.into_row(workspace, id, origin, now))
        .collect();
    for rows in rows.chunks(INSERT_ROWS_MAX) {
        let insert = history::Entity::insert_many(rows.to_vec()).build(transaction.backend());
        transaction.execute(insert).await.map_err(failed)?;
    }
    Ok(())
}

/// The history of a noun, as it belongs to its rows.
fn owned<N: Noun>() -> Owned {
    Owned {
        table: "history",
        owner: "resource_id",
        noun: Some(N::table().noun),
        columns: "t.workspace_id, t.id, t.noun, t.resource_id, t.field, t.from_value, t.to_value, \
                  t.actor_type, t.actor_id, t.actor_name, t.request_id, t.created_at, t.external_id",
    }
}

fn decode(row: &Row<'_>) -> Result<history::Model, Error> {
    Ok(history::Model {
        workspace_id: row.get(0)?,
        id: row.get(1)?,
        noun: row.get(2)?,
        resource_id: row.get(3)?,
        field: row.get(4)?,
        from_value: row.get(5)?,
        to_value: row.get(6)?,
        actor_type: row.get(7)?,
        actor_id: row.get(8)?,
        actor_name: row.get(9)?,
        request_id: row.get(10)?,
        created_at: row.get(11)?,
        external_id: row.get(12)?,
    })
}

fn from_row(row: history::Model) -> Result<HistoryEntry, Error> {
    let value = |text: &str| serde_json::from_str(text).map_err(Error::internal);
    Ok(HistoryEntry {
        id: row.id,
        field: row.field,
        from: value(&row.from_value)?,
        to: value(&row.to_value)?,
        actor: Actor { kind: actor_kind(row.actor_type)?, id: row.actor_id, name: row.actor_name },
        request_id: row.request_id,
        created_at: Timestamp(row.created_at),
        external_id: row.external_id,
    })
}
