//! Nouns: the resources that are listed, found, made and changed, by machinery that is written once.
//!
//! A noun is a [`Table`] of facts (its dimensions, orders and narrow filters) and an implementation
//! of [`Noun`] (its row, there and back). What it gets is [`Reader::list`], [`Reader::find`],
//! [`Tx::insert`], [`Locking::find_for_update`](super::Locking::find_for_update) and [`Tx::update`], with counts, cursors and row locks.
//! No module here knows which nouns there are.

mod conditions;
pub(in crate::store) mod counts;
pub(in crate::store) mod figures;
mod lookup;
mod merge;
mod page;
mod plan;
mod query;
mod row;
pub mod samples;
mod search;
mod sql;
mod stored;
mod table;
mod totals;
mod words;
mod write;

use std::borrow::Cow;

use sea_orm::{DbErr, EntityTrait, Value};

use super::cursor::CursorError;
use super::pages::CursorKey;
use super::rows::RowSource;
use super::{Reader, Tx, WorkspaceId};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::metrics::StoreOperation;

pub use figures::{Figure, FigureNumber, Figures};
pub use query::{Condition, Direction, KeyValue, Query, SideValues};
pub use row::Columns;
pub(super) use row::{decode, rows_where, selected};
pub use search::{SEARCH_WORDS_MAX, Search, searched_words};
pub use stored::Stored;
pub(super) use stored::{noun_head, noun_row};
pub use table::{
    AlternateKey, CREATED_AT, Dimension, NarrowFilter, Order, Side, Table, Texts, UPDATED_AT,
    Values,
};

/// A resource with a table of its own.
pub trait Noun: Clone + Send + Sync + Sized + 'static {
    /// The row as sea-orm knows it.
    type Entity: EntityTrait;

    /// The facts of its table.
    fn table() -> &'static Table;

    /// The noun in a row, whose columns are taken in the order of the entity.
    fn decode(columns: &mut Columns<'_>) -> Result<Self, Error>;

    /// The whole row; every column is set.
    fn encode(&self, workspace: WorkspaceId) -> ActiveModel<Self>;

    /// Returns the id; 0 before it has one.
    fn id(&self) -> i64;

    /// The number of its changes.
    fn version(&self) -> i64;

    /// Returns the time of its creation.
    fn created_at(&self) -> Timestamp;

    /// Gives it an id.
    fn set_id(&mut self, id: i64);

    /// Notes a change.
    fn set_version(&mut self, version: i64, updated_at: Timestamp);

    /// Returns the dimensions, packed.
    fn facet(&self) -> i16;

    /// Returns the value in an order, as the order's column has it; none where that is NULL. A noun
    /// whose row is dear to encode answers it by itself.
    fn key(&self, order: &Order) -> Option<KeyValue> {
        row::key(self, order)
    }

    /// The bytes of those of its texts that may be long, which are no more than its message has.
    fn bytes(&self) -> usize {
        0
    }

    /// Returns the values in a table beside its own.
    fn side(&self, _side: &Side) -> Vec<Value> {
        Vec::new()
    }

    /// The texts whose words it is found by: the one that counts most, and the other.
    fn searched(&self) -> [Cow<'_, str>; 2] {
        ["".into(), "".into()]
    }

    /// The figures of rows of other nouns in which it counts.
    fn counted_in(&self) -> Vec<Figure> {
        Vec::new()
    }

    /// The refusal of a value that another row has already; none if the error is another one.
    fn taken(&self, _error: &DbErr) -> Option<Error> {
        None
    }
}

/// A row as sea-orm writes it.
pub type ActiveModel<N> = <<N as Noun>::Entity as EntityTrait>::ActiveModel;

type Column<N> = <<N as Noun>::Entity as EntityTrait>::Column;

impl Reader<'_> {
    /// The row with this id.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find<N: Noun>(&self, id: i64) -> Result<Option<N>, Error> {
        let _timed = StoreOperation::begin("find", N::table().name);
        let query = row::find_row::<N>(self.backend(), self.workspace, id);
        let found = RowSource::Short(*self).read(query, row::decode::<N>).await?;
        Ok(found.into_iter().next())
    }
}

impl Query {
    /// Returns the position of a row in this list.
    pub fn key_of<N: Noun>(&self, row: &N) -> CursorKey {
        CursorKey { value: row.key(self.order), id: row.id() }
    }

    /// The cursor of a place in this list.
    pub fn encode<N: Noun>(&self, workspace: WorkspaceId, key: &CursorKey) -> String {
        key.encode_in(&self.text::<N>(workspace))
    }

    /// The place that a cursor of this list names.
    pub fn decode<N: Noun>(
        &self,
        workspace: WorkspaceId,
        cursor: &str,
    ) -> Result<CursorKey, CursorError> {
        let key = CursorKey::decode_in(cursor, &self.text::<N>(workspace))?;
        let fits = match &key.value {
            None => self.order.has_nulls(),
            Some(KeyValue::Number(_)) => !self.order.is_text(),
            Some(KeyValue::Text(_)) => self.order.is_text(),
        };
        if fits { Ok(key) } else { Err(CursorError::Malformed) }
    }

    fn text<N: Noun>(&self, workspace: WorkspaceId) -> String {
        format!("{workspace:?} {} {}", N::table().name, self.canonical())
    }
}
