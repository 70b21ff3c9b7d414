//! The source of a statement's rows: sea-orm, or [`SqliteReads`].
//!
//! [`SqliteReads`]: super::sqlite::SqliteReads

use futures_util::{Stream, StreamExt};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, QueryResult, Statement, StreamTrait};

use super::Reader;
use super::failure::failed;
use super::row::{Decode, Row};
use crate::error::Error;

/// The source of rows.
#[derive(Debug, Clone, Copy)]
pub(super) enum RowSource<'a> {
    /// A reader, with short work whatever the caller sends: on SQLite it is done in place.
    Short(Reader<'a>),
    /// A reader.
    Reader(Reader<'a>),
    /// A transaction, by which several statements are of one moment.
    Snapshot(&'a DatabaseTransaction),
}

impl RowSource<'_> {
    /// Returns the source for a statement that is short work, whatever the others are.
    pub(super) fn short(self) -> Self {
        match self {
            Self::Reader(reader) => Self::Short(reader),
            other => other,
        }
    }

    /// Reads the rows of the statement by `decode`.
    pub(super) async fn read<T>(
        self,
        statement: Statement,
        decode: Decode<T>,
    ) -> Result<Vec<T>, Error> {
        let rows = match self {
            Self::Short(reader) => {
                let in_place = reader.sqlite.map(|sqlite| sqlite.read(&statement, decode));
                if let Some(rows) = in_place.transpose()?.flatten() {
                    return Ok(rows);
                }
                reader.connection.query_all_raw(statement).await
            }
            Self::Reader(reader) => reader.connection.query_all_raw(statement).await,
            Self::Snapshot(transaction) => transaction.query_all_raw(statement).await,
        };
        rows.map_err(failed)?.iter().map(|row| decode(&Row::Orm(row))).collect()
    }

    /// Reads rows that may be large: none is read any more once `bytes` of those that were read are
    /// more than `bytes_max`. So the last row may be one too many.
    pub(super) async fn read_within<T>(
        self,
        statement: Statement,
        decode: Decode<T>,
        bytes: fn(&T) -> usize,
        bytes_max: usize,
    ) -> Result<Vec<T>, Error> {
        if let Self::Short(Reader { sqlite: Some(sqlite), .. }) = self
            && let Some(rows) = sqlite.read(&statement, decode)?
        {
            return Ok(rows);
        }
        match self {
            Self::Short(reader) | Self::Reader(reader) => {
                let rows = reader.connection.stream_raw(statement).await.map_err(failed)?;
                read_while_small(rows, decode, bytes, bytes_max).await
            }
            Self::Snapshot(transaction) => {
                let rows = transaction.stream_raw(statement).await.map_err(failed)?;
                read_while_small(rows, decode, bytes, bytes_max).await
            }
        }
    }
}

async fn read_while_small<T>(
    rows: impl Stream<Item = Result<QueryResult, DbErr>>,
    decode: Decode<T>,
    bytes: fn(&T) -> usize,
    bytes_max: usize,
) -> Result<Vec<T>, Error> {
    let mut rows = std::pin::pin!(rows);
    let (mut decoded, mut read) = (Vec::new(), 0);
    while let Some(row) = rows.next().await {
        let row = decode(&Row::Orm(&row.map_err(failed)?))?;
        read += bytes(&row);
        decoded.push(row);
        if read > bytes_max {
            break;
        }
    }
    Ok(decoded)
}
