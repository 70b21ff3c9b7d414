//! A noun's row, there and back.
//!
//! Reading goes by position in the columns of the entity: it is the hottest path of the store, and a
//! look-up of 30 columns by name costs more than the query itself.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, DbBackend, EntityTrait, IdenStatic, Iterable,
    QueryFilter, QuerySelect, Select, Statement, Value,
};

use super::columns::Columns;
use super::noun::{ActiveModel, Column, Noun, column};
use super::table::Table;
use crate::error::Error;
use crate::store::WorkspaceId;
use crate::store::row::Row;
use crate::store::sql::statement;

impl Table {
    /// The names of the columns, in the order of the entity.
    pub(super) fn columns<N: Noun>(&'static self) -> &'static [&'static str] {
        self.texts
            .columns
            .get_or_init(|| Column::<N>::iter().map(|column| column.as_str()).collect())
    }
}

/// The columns that [`Noun::decode`] takes, in the order of the entity: all but those that only the
/// store looks at.
pub(super) fn decoded<N: Noun>() -> impl Iterator<Item = Column<N>> {
    Column::<N>::iter().filter(|column| !is_internal(column.as_str()))
}

/// Returns true if only the store looks at a column: keys are texts as they are compared, folded
/// from the texts that are shown.
fn is_internal(column: &str) -> bool {
    matches!(column, "workspace_id" | "facet") || column.ends_with("_key")
}

/// Returns those columns of a row `t`, as they are selected.
pub(in crate::store) fn selected<N: Noun>() -> &'static str {
    N::table().texts.selected.get_or_init(|| {
        let columns = decoded::<N>().map(|column| format!("t.{}", column.as_str()));
        columns.collect::<Vec<_>>().join(", ")
    })
}

/// Selects the rows that meet a condition, as [`decode`] takes them.
pub(in crate::store) fn rows_where<N: Noun>(
    workspace: WorkspaceId,
    condition: Expr,
) -> Select<N::Entity> {
    let of_workspace = column::<N>("workspace_id").eq(workspace.0);
    N::Entity::find().select_only().columns(decoded::<N>()).filter(of_workspace).filter(condition)
}

/// Selects the row with this id.
pub(super) fn find_row<N: Noun>(backend: DbBackend, workspace: WorkspaceId, id: i64) -> Statement {
    let table = N::table();
    let text = table.texts.find.get_or_init(|| {
        let (columns, name) = (selected::<N>(), table.name);
        format!("SELECT {columns} FROM {name} t WHERE t.workspace_id = $1 AND t.id = $2")
    });
    statement(backend, text, [workspace.0.into(), id.into()])
}

/// The noun in a row that begins with its columns.
pub(in crate::store) fn decode<N: Noun>(row: &Row<'_>) -> Result<N, Error> {
    N::decode(&mut Columns::of(row))
}

/// The noun in a row of a page, and the total beside it, if it is counted.
pub(super) fn decode_listed<N: Noun>(row: &Row<'_>) -> Result<(N, Option<i64>), Error> {
    let mut columns = Columns::of(row);
    let noun = N::decode(&mut columns)?;
    Ok((noun, columns.take()?))
}

/// Returns the value of each column of a row, in the order of the entity.
pub(super) fn values<N: Noun>(
    workspace: WorkspaceId,
    row: &N,
) -> impl Iterator<Item = (&'static str, Value)> {
    let mut encoded = row.encode(workspace);
    Column::<N>::iter().map(move |column| {
        let value = encoded.take(column).into_value();
        (column.as_str(), value.expect("encode sets every column"))
    })
}

/// The columns of `after` that differ from `before`: an index is only touched when one of its
/// columns is set.
pub(super) fn changes<N: Noun>(workspace: WorkspaceId, before: &N, after: &N) -> ActiveModel<N> {
    let (old, mut new) = (before.encode(workspace), after.encode(workspace));
    for column in Column::<N>::iter() {
        if let (ActiveValue::Set(was), ActiveValue::Set(is)) = (old.get(column), new.get(column))
            && was == is
        {
            new.not_set(column);
        }
    }
    new
}
