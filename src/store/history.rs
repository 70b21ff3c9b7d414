//! The history of resources: an entry for each field that a change has changed.
//! [`Tx::update`](super::Tx) does not see fields as the API shows them, so entries come with the event
//! of the change, which does, and commit with it.

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
use super::transaction::Transaction;
use super::{Reader, WorkspaceId};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{Actor, Event, Origin};
use crate::metrics::StoreOperation;

/// The counter that numbers the entries of a workspace.
pub(super) const COUNTER: &str = "history";

/// Rows of one INSERT: well below the databases' bounds on parameters.
const INSERT_ROWS_MAX: usize = 200;

/// A field that has changed.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEntry {
    /// 1, 2, 3 … within the workspace.
    pub id: i64,
    /// The field by its API name.
    pub field: String,
    /// What it was, as the API showed it.
    pub from: Value,
    /// What it became.
    pub to: Value,
    /// Who changed it.
    pub actor: Actor,
    /// The id of the request that did; none for an operator's command.
    pub request_id: Option<String>,
    /// When it changed.
    pub created_at: Timestamp,
}

impl HistoryEntry {
    /// Where it stands in its history.
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
        })
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
        .map(|(id, entry)| history::ActiveModel {
            workspace_id: Set(workspace.0),
            id: Set(id),
            noun: Set(entry.noun),
            resource_id: Set(entry.resource_id),
            field: Set(entry.field),
            from_value: Set(entry.from),
            to_value: Set(entry.to),
            actor_type: Set(actor_number(origin.actor.kind)),
            actor_id: Set(origin.actor.id.clone()),
            actor_name: Set(origin.actor.name.clone()),
            request_id: Set(origin.request_id.clone()),
            created_at: Set(now.0),
        })
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
                  t.actor_type, t.actor_id, t.actor_name, t.request_id, t.created_at",
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
    })
}
