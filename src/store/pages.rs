//! Pages of a list: where one begins, and those of lists that are in order of a number.
//!
//! Lists of nouns have orders of their own (`nouns`); every other list is in the order in which its
//! rows were made, the newest first, and its rows are numbered in that order.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select, Statement,
};

use crate::clock::Timestamp;

/// A place in the order of a list: just behind the row that it was taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorKey {
    /// The value in the order of the list; none for a row without a value, and for lists in order
    /// of a number.
    pub value: Option<KeyValue>,
    /// The row's id or number.
    pub id: i64,
}

impl CursorKey {
    /// The place of a row with this number, in a list in order of a number.
    pub fn numbered(number: i64) -> Self {
        Self { value: None, id: number }
    }

    /// The place of a row of this time and number.
    pub fn timed(time: Timestamp, number: i64) -> Self {
        Self { value: Some(KeyValue::Number(time.0)), id: number }
    }

    /// Returns the number that the list is in order of; 0 where there is none.
    pub(super) fn number(&self) -> i64 {
        match self.value {
            Some(KeyValue::Number(number)) => number,
            Some(KeyValue::Text(_)) | None => 0,
        }
    }
}

/// The position of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// The page has this number, from 1. The cost grows with the number: the caller bounds number ×
    /// page size.
    Page(u32),
    /// The page is the first of a list that is read on by its cursors.
    Start,
    /// The page follows this place, at the same cost at any depth.
    After(CursorKey),
}

impl Position {
    /// Returns the number of rows before the page and after [`Position::after`].
    pub fn skipped(&self, per_page: u32) -> u64 {
        match self {
            Self::Page(number) => u64::from(number.saturating_sub(1)) * u64::from(per_page),
            Self::Start | Self::After(_) => 0,
        }
    }

    /// Returns true if the rows of the whole list are counted.
    pub(super) fn is_counted(&self) -> bool {
        matches!(self, Self::Page(_))
    }

    /// The place that it follows.
    pub fn after(&self) -> Option<&CursorKey> {
        match self {
            Self::After(key) => Some(key),
            Self::Page(_) | Self::Start => None,
        }
    }
}

/// The page that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// The most rows of a page.
    pub per_page: u32,
    /// The position of the page.
    pub position: Position,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The rows, in order.
    pub rows: Vec<T>,
    /// The number of rows that pass the filter, on all pages; none where the list is read on by
    /// cursor, so that no page of a loop counts anything.
    pub total_count: Option<i64>,
    /// True if the list has more rows than are counted.
    pub total_is_bound: bool,
    /// The place after which the next page begins, if there is one.
    pub next: Option<CursorKey>,
}

impl<T> Page<T> {
    /// Converts the rows of the page.
    pub(super) fn try_map<U, E>(
        self,
        convert: impl FnMut(T) -> Result<U, E>,
    ) -> Result<Page<U>, E> {
        let Self { rows, total_count, total_is_bound, next } = self;
        let rows = rows.into_iter().map(convert).collect::<Result<_, _>>()?;
        Ok(Page { rows, total_count, total_is_bound, next })
    }
}

/// The total of a list in order of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Total {
    /// The list has all rows of a workspace, which are numbered from 1 without a gap and never
    /// deleted: the highest number is their count.
    Highest,
    /// The rows that a filter finds, counted by its index.
    Counted,
}

/// A list in descending order of the column `number`; or, for rows that may be brought in late, of the
/// column `time` and then of the number. The filters of `select` and these have to be an index.
pub(super) struct NewestFirst<E: EntityTrait> {
    pub(super) select: Select<E>,
    pub(super) time: Option<E::Column>,
    pub(super) number: E::Column,
    pub(super) total: Total,
}

impl<E: EntityTrait> NewestFirst<E> {
    /// Reads a page; `key_of` tells where a row stands.
    pub(super) async fn read(
        &self,
        connection: &impl ConnectionTrait,
        key_of: impl Fn(&E::Model) -> CursorKey,
        page: &PageRequest,
    ) -> Result<Page<E::Model>, DbErr> {
        let total_count = if page.position.is_counted() {
            let total = self.total().into_tuple::<Option<i64>>().one(connection).await?;
            Some(total.flatten().unwrap_or_default())
        } else {
            None
        };
        let mut rows = self.page(page).all(connection).await?;
        let has_more = rows.len() > page.per_page as usize;
        rows.truncate(page.per_page as usize);
        let last = rows.last().filter(|_| has_more);
        let next = last.map(key_of);
        Ok(Page { rows, total_count, total_is_bound: false, next })
    }

    /// Returns the statements that read a page.
    pub(super) fn statements(&self, backend: DbBackend, page: &PageRequest) -> [Statement; 2] {
        [self.total().build(backend), self.page(page).build(backend)]
    }

    fn total(&self) -> Select<E> {
        let total = match self.total {
            Total::Highest => self.number.max(),
            Total::Counted => self.number.count(),
        };
        self.select.clone().select_only().column_as(total, "total")
    }

    fn page(&self, page: &PageRequest) -> Select<E> {
        let rows = self.select.clone();
        let rows = match self.time {
            Some(time) => rows.order_by_desc(time),
            None => rows,
        };
        let rows = rows.order_by_desc(self.number);
        let rows = rows.limit(u64::from(page.per_page) + 1);
        let rows = rows.offset(page.position.skipped(page.per_page));
        match (page.position.after(), self.time) {
            (None, _) => rows,
            (Some(key), None) => rows.filter(self.number.lt(key.id)),
            (Some(key), Some(time)) => {
                let column = |column: E::Column| Expr::col(column.as_column_ref());
                let place = Expr::tuple([column(time), column(self.number)]);
                rows.filter(place.lt(Expr::tuple([key.number().into(), key.id.into()])))
            }
        }
    }
}

/// The value of a row in the order of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyValue {
    /// Milliseconds or a rank.
    Number(i64),
    /// A text.
    Text(String),
}

impl From<i64> for KeyValue {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<KeyValue> for sea_orm::Value {
    fn from(value: KeyValue) -> Self {
        match value {
            KeyValue::Number(number) => number.into(),
            KeyValue::Text(text) => text.into(),
        }
    }
}
