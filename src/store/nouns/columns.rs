//! The columns of a row as they are read, one after the other.

use rusqlite::types::FromSql;
use sea_orm::TryGetable;

use crate::error::Error;
use crate::store::row::Row;

/// The columns of a row, which are taken one after the other.
pub struct Columns<'a> {
    row: &'a Row<'a>,
    next: usize,
}

impl<'a> Columns<'a> {
    /// Begins with the first column of a row.
    pub(super) fn of(row: &'a Row<'a>) -> Self {
        Self { row, next: 0 }
    }

    /// The next column.
    pub(in crate::store) fn take<T: TryGetable + FromSql>(&mut self) -> Result<T, Error> {
        let value = self.row.get(self.next);
        self.next += 1;
        value
    }
}
