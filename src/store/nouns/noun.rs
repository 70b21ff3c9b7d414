//! What a resource says of its rows, so that the machinery lists, finds, makes and changes them.

use std::borrow::Cow;

use sea_orm::{ActiveModelTrait, DbErr, EntityTrait, IdenStatic, Iterable, Value};

use super::columns::Columns;
use super::table::{Order, Side, Table};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::store::WorkspaceId;
use crate::store::pages::KeyValue;

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
        key(self, order)
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

pub(super) type Column<N> = <<N as Noun>::Entity as EntityTrait>::Column;

/// The column with this name.
pub(super) fn column<N: Noun>(name: &str) -> Column<N> {
    let mut columns = Column::<N>::iter();
    let found = columns.find(|column| column.as_str() == name);
    found.unwrap_or_else(|| {
        panic!("{} has no column {name}", <N::Entity as Default>::default().as_str())
    })
}

/// The value of a row in an order.
fn key<N: Noun>(row: &N, order: &Order) -> Option<KeyValue> {
    // Which workspace it is of makes no difference to what it is in order of.
    let mut encoded = row.encode(WorkspaceId(0));
    match encoded.take(column::<N>(order.column)).into_value()? {
        Value::BigInt(number) => number.map(KeyValue::Number),
        Value::SmallInt(number) => number.map(|number| KeyValue::Number(number.into())),
        Value::String(text) => text.map(KeyValue::Text),
        other => unreachable!("{} holds {other:?}, which no list is in order of", order.column),
    }
}

/// A figure beside a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Figure {
    /// The number of the row's noun.
    pub noun: i16,
    /// The row's id.
    pub id: i64,
    /// The number of the figure among those of its row.
    pub number: i16,
}

/// The number of a kind of figure.
#[derive(Debug, Clone, Copy)]
pub struct FigureNumber(pub i16);

impl FigureNumber {
    /// The figure beside the row of the noun with this id.
    pub fn beside<N: Noun>(self, id: i64) -> Figure {
        Figure { noun: N::table().noun, id, number: self.0 }
    }
}
