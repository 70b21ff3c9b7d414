//! A row, whoever read it: sea-orm, or a connection of ours.

use std::cell::Cell;
use std::fmt::Display;

use rusqlite::types::{FromSql, ValueRef};
use sea_orm::{DbErr, QueryResult, TryGetable};

use super::failure::failed;
use crate::error::Error;

/// A row.
pub(super) enum Row<'a> {
    Orm(&'a QueryResult),
    /// A row of a connection of ours, with the bytes of text that have been taken from its result.
    Sqlite {
        row: &'a rusqlite::Row<'a>,
        bytes: &'a Cell<usize>,
    },
}

/// A function that decodes a row.
pub(super) type Decode<T> = fn(&Row<'_>) -> Result<T, Error>;

impl Row<'_> {
    /// The value at a place of the SELECT.
    pub(super) fn get<T: TryGetable + FromSql>(&self, index: usize) -> Result<T, Error> {
        match self {
            Self::Orm(row) => {
                let value: Result<T, DbErr> = row.try_get_by_index(index);
                value.map_err(failed)
            }
            Self::Sqlite { row, bytes } => {
                let value = row.get_ref(index).map_err(|error| unread(index, error))?;
                if let ValueRef::Text(text) | ValueRef::Blob(text) = value {
                    bytes.set(bytes.get() + text.len());
                }
                T::column_result(value).map_err(|error| unread(index, error))
            }
        }
    }
}

/// A column that is not there, or of another type: the code and the schema disagree.
fn unread(index: usize, error: impl Display) -> Error {
    Error::internal(format!("column {index} of a row: {error}"))
}
