//! Pages of a list: which rows, how many there are in all, and where the next page begins.

use sea_orm::{AccessMode, DbBackend, DbErr, IsolationLevel, Statement, TransactionOptions};

use super::noun::Noun;
use super::plan::Path;
use super::query::Query;
use super::row::{decode_listed, selected};
use super::sql::{List, SEARCH_COUNT_MAX, Slice, Stretch};
use super::table::NarrowFilter;
use crate::config::{PAGE_BYTES_MAX, PER_PAGE_ALWAYS};
use crate::error::Error;
use crate::metrics::StoreOperation;
use crate::store::begin::begin;
use crate::store::cursor::CursorError;
use crate::store::failure::failed;
use crate::store::pages::{CursorKey, KeyValue, Page, PageRequest, Position};
use crate::store::rows::RowSource;
use crate::store::{Reader, WorkspaceId};

/// The most rows that a page may count off to be short work.
const SHORT_ROWS_MAX: u64 = 200;

impl Reader<'_> {
    /// A page of a list.
    ///
    /// A list that is read on from each page's [`Page::next`] has every row that passed throughout
    /// exactly once, whatever is inserted meanwhile.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list<N: Noun>(&self, query: &Query, page: &PageRequest) -> Result<Page<N>, Error> {
        let _timed = StoreOperation::begin("list", N::table().name);
        if query.finds_nothing() {
            let total_count = page.position.is_counted().then_some(0);
            return Ok(Found { rows: Vec::new(), total_count }.into_page(query, page));
        }
        let list = self.listed::<N>(query, page);
        let found = if query.order.has_nulls() {
            // Two statements, which have to be of one moment.
            let snapshot = self.begin_snapshot().await.map_err(failed)?;
            let found = read_stretches(RowSource::Snapshot(&snapshot), list, page).await?;
            snapshot.commit().await.map_err(failed)?;
            found
        } else {
            let source = if is_short(list, page) { RowSource::Short } else { RowSource::Reader };
            read_whole(source(*self), list, page).await?
        };
        Ok(found.into_page(query, page))
    }

    /// The query plans of the statements that [`Reader::list`] may run, a line each; but for those of
    /// [`Reader::explain_walks`].
    #[doc(hidden)]
    pub async fn explain_list<N: Noun>(
        &self,
        query: &Query,
        page: &PageRequest,
    ) -> Result<Vec<String>, Error> {
        let list = self.listed::<N>(query, page);
        let mut statements = vec![list.total()];
        for stretch in list.stretches() {
            let slice = first_slice(*stretch, page);
            if list.is_sorted() {
                statements.push(list.few());
            }
            statements.push(list.page(&slice));
        }
        if query.order.has_nulls() {
            statements.push(list.valued_total());
        }
        self.explain_all(statements).await
    }

    /// The query plans of the statements that walk along the order of a list: over a bounded number of
    /// rows, or until a page is full that is common.
    #[doc(hidden)]
    pub async fn explain_walks<N: Noun>(
        &self,
        query: &Query,
        page: &PageRequest,
    ) -> Result<Vec<String>, Error> {
        let list = self.listed::<N>(query, page);
        let mut statements = Vec::new();
        for stretch in list.stretches() {
            let slice = first_slice(*stretch, page);
            if list.is_sorted() || matches!(list.path(), Path::Merge) {
                statements.push(list.probe(&slice));
            }
            if matches!(list.path(), Path::GatherFacets) {
                statements.push(list.walked(&slice));
            }
        }
        self.explain_all(statements).await
    }

    pub(super) fn listed<'a, N: Noun>(&self, query: &'a Query, page: &PageRequest) -> List<'a> {
        let (backend, workspace) = (self.backend(), self.workspace);
        let (table, columns) = (N::table(), selected::<N>());
        List { backend, workspace, table, columns, query, is_counted: page.position.is_counted() }
    }

    async fn begin_snapshot(&self) -> Result<sea_orm::DatabaseTransaction, DbErr> {
        let options = match self.backend() {
            DbBackend::Postgres => TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(AccessMode::ReadOnly),
                ..Default::default()
            },
            // A transaction of SQLite is a snapshot from its first statement on.
            _ => TransactionOptions::default(),
        };
        begin(self.connection, options).await
    }
}

/// Returns true if a page is short work whatever the values in its conditions: a few rows along one
/// index, and a total that is kept.
fn is_short(list: List<'_>, page: &PageRequest) -> bool {
    let rows = page.position.skipped(page.per_page) + u64::from(page.per_page);
    let is_kept = match list.path() {
        Path::Walk => list.query.conditions.is_empty(),
        Path::Gather(NarrowFilter { is_unique, .. }) => *is_unique,
        Path::Merge | Path::GatherRange(_) | Path::GatherFacets | Path::Search => false,
    };
    is_kept && rows <= SHORT_ROWS_MAX
}

/// The rows of a page, one more if there is one, and the total of the list. There are fewer where
/// they are larger than a page may be: the last of them is the one that made them so.
pub(super) struct Found<N> {
    pub(super) rows: Vec<N>,
    pub(super) total_count: Option<i64>,
}

impl<N: Noun> Found<N> {
    pub(super) fn into_page(mut self, query: &Query, page: &PageRequest) -> Page<N> {
        let per_page = page.per_page as usize;
        let has_more = self.rows.len() > per_page || is_over(&self.rows, page);
        self.rows.truncate(per_page);
        let last = self.rows.last().filter(|_| has_more);
        let next = last.map(|row| query.key_of(row));
        let total_is_bound = query.search().is_some()
            && self.total_count.is_some_and(|total| total > SEARCH_COUNT_MAX);
        let total_count = if total_is_bound { Some(SEARCH_COUNT_MAX) } else { self.total_count };
        Page { rows: self.rows, total_count, total_is_bound, next }
    }
}

/// A list in order of a column that has no NULL: one statement for page and total.
async fn read_whole<N: Noun>(
    source: RowSource<'_>,
    list: List<'_>,
    page: &PageRequest,
) -> Result<Found<N>, Error> {
    let (rows, total) = read_slice(source, list, &first_slice(Stretch::All, page), page).await?;
    let total_count = read_total(source, list, page, total).await?;
    Ok(Found { rows, total_count })
}

/// A list in order of a column that may be NULL: those that have a value, then those that have none.
async fn read_stretches<N: Noun>(
    source: RowSource<'_>,
    list: List<'_>,
    page: &PageRequest,
) -> Result<Found<N>, Error> {
    let valued = first_slice(Stretch::Valued, page);
    let mut nulls = first_slice(Stretch::Null, page);
    let past_valued = valued.after.as_ref().is_some_and(|key| key.value.is_none());
    let (mut rows, mut total) = (Vec::new(), None);
    if !past_valued {
        (rows, total) = read_slice(source, list, &valued, page).await?;
        nulls = Slice { after: None, ..nulls };
    }

    let found = rows.len() as u64;
    if found < nulls.limit && !is_over(&rows, page) {
        nulls.limit -= found;
        nulls.offset = match nulls.offset {
            // The page begins behind all that have a value: how many are they?
            offset @ 1.. if found == 0 => {
                offset.saturating_sub(read_number(source, list.valued_total()).await? as u64)
            }
            _ => 0,
        };
        let (more, nulls_total) = read_slice(source, list, &nulls, page).await?;
        rows.extend(more);
        total = total.or(nulls_total);
    }
    let total_count = read_total(source, list, page, total).await?;
    Ok(Found { rows, total_count })
}

fn first_slice(stretch: Stretch, page: &PageRequest) -> Slice {
    let limit = u64::from(page.per_page) + 1;
    let (after, offset) = (page.position.after(), page.position.skipped(page.per_page));
    Slice { stretch, after: after.cloned(), offset, limit }
}

/// The rows of a slice, and the total of the list if there are any.
async fn read_slice<N: Noun>(
    source: RowSource<'_>,
    mut list: List<'_>,
    slice: &Slice,
    page: &PageRequest,
) -> Result<(Vec<N>, Option<i64>), Error> {
    let read = async |source: RowSource<'_>, statement| {
        let bytes = |(row, _): &(N, Option<i64>)| row.bytes();
        source.read_within(statement, decode_listed::<N>, bytes, bytes_max(page)).await
    };
    let (mut rows, mut is_common, mut counted) = (Vec::new(), false, None);
    if slice.offset == 0 {
        let is_probed = match list.path() {
            Path::Merge => true,
            _ if list.is_sorted() => {
                // A search may look through more than is done in place.
                let source =
                    if matches!(list.path(), Path::Search) { source } else { source.short() };
                let few = read_number(source, list.few()).await?;
                is_common = few > i64::from(list.sorted_rows());
                if list.is_counted && list.few_are_all() {
                    (counted, list.is_counted) = (Some(few), false);
                }
                is_common && !matches!(list.path(), Path::GatherFacets)
            }
            _ => false,
        };
        if is_probed {
            // Before a merge it is a bounded stretch of one index, as most lists by status are.
            let source = if is_common { source } else { source.short() };
            rows = read(source, list.probe(slice)).await?;
        }
    }
    let is_over = rows.iter().map(|(row, _)| row.bytes()).sum::<usize>() > bytes_max(page);
    if (rows.len() as u64) < slice.limit && !is_over {
        // What has many rows in its facets is walked, which needs no row but those of the page.
        let is_walked = is_common && matches!(list.path(), Path::GatherFacets);
        let page = if is_walked { list.walked(slice) } else { list.page(slice) };
        rows = read(source, page).await?;
    }
    let total = counted.or(rows.first().and_then(|(_, total)| *total));
    Ok((rows.into_iter().map(|(row, _)| row).collect(), total))
}

/// Returns true if the rows are larger than a page may be.
fn is_over<N: Noun>(rows: &[N], page: &PageRequest) -> bool {
    rows.iter().map(Noun::bytes).sum::<usize>() > bytes_max(page)
}

/// The bytes after which no row of a page is read any more.
pub(super) fn bytes_max(page: &PageRequest) -> usize {
    match page.position {
        Position::Page(_) if page.per_page <= PER_PAGE_ALWAYS => usize::MAX,
        _ => PAGE_BYTES_MAX,
    }
}

/// The total, if no row has brought it: an empty first page has none, an empty page further on
/// has to ask.
async fn read_total(
    source: RowSource<'_>,
    list: List<'_>,
    page: &PageRequest,
    total: Option<i64>,
) -> Result<Option<i64>, Error> {
    match (total, &page.position) {
        (Some(total), _) => Ok(Some(total)),
        (None, Position::Start | Position::After(_)) => Ok(None),
        (None, Position::Page(1)) => Ok(Some(0)),
        (None, Position::Page(_)) => Ok(Some(read_number(source, list.total()).await?)),
    }
}

async fn read_number(source: RowSource<'_>, statement: Statement) -> Result<i64, Error> {
    let found = source.read(statement, |row| row.get(0)).await?;
    Ok(found.into_iter().next().unwrap_or(0))
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
