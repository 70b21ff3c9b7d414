//! The SQL of a page of a list and of its total, for the path that `plan` has chosen.
//!
//! Page and total are one statement, so they are of one moment. Only values vary between equal
//! questions, never the text. A condition that is not to choose the index stands on an expression
//! (`+t.column`): both databases then leave the index that was chosen alone.

use sea_orm::{DbBackend, Statement, Value};

use super::counts::facet_conditions;
use super::plan::Path;
use super::query::{Condition, Direction, Query};
use super::table::{NarrowFilter, Table};
use crate::store::WorkspaceId;
use crate::store::pages::{CursorKey, KeyValue};
use crate::store::sql::Parameters;

/// The facet of a row of [`Sql::facets`]. Not the bare column: SQLite would look up the rows by what
/// is known of all facets instead of by this one.
pub(super) const OF_FACETS: &str = "+s.v";
/// The number up to which the rows of a search are counted.
pub(super) const SEARCH_COUNT_MAX: i64 = 10_000;
/// The number of rows that the probe before a merge looks at: one contiguous index range, which
/// costs about as much as 20 of the ranges of a merge.
const PROBE_ROWS: u32 = 512;
/// The number of rows that the probe before a sort looks at: about as much work as to sort
/// [`SORTED_ROWS`].
const LONG_PROBE_ROWS: u32 = 8 * 1024;
/// The number of rows that are sorted without a probe, but for those of a search.
pub(super) const SORTED_ROWS: u32 = 1_000;
/// The number of rows of a search that are sorted without a probe: to look for its words in the
/// next rows of the order takes as long.
const FOUND_ROWS: u32 = 2_000;

/// A list, as far as its SQL depends on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct List<'a> {
    pub(super) backend: DbBackend,
    pub(super) workspace: WorkspaceId,
    pub(super) table: &'static Table,
    /// The columns of a row `t`, as they are selected.
    pub(super) columns: &'static str,
    pub(super) query: &'a Query,
    /// True if a page tells the total of the list.
    pub(super) is_counted: bool,
}

/// A stretch of a list: the rows with a value of its order, or those without. Those without one
/// follow those with one, in a stretch of their own: one index then serves both directions on both
/// databases, which disagree about where NULL comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stretch {
    /// All rows: each has a value.
    All,
    /// The rows with a value.
    Valued,
    /// The rows without one.
    Null,
}

/// A slice of a stretch: some of its rows.
#[derive(Debug, Clone)]
pub(super) struct Slice {
    pub(super) stretch: Stretch,
    pub(super) after: Option<CursorKey>,
    pub(super) offset: u64,
    pub(super) limit: u64,
}

/// A statement as it is put together.
pub(super) struct Sql<'a> {
    pub(super) backend: DbBackend,
    pub(super) table: &'static Table,
    pub(super) columns: &'static str,
    pub(super) query: &'a Query,
    pub(super) path: Path,
    pub(super) is_counted: bool,
    pub(super) parameters: Parameters,
    /// The placeholder of the workspace.
    pub(super) workspace: String,
    pub(super) workspace_number: i64,
}

impl<'a> List<'a> {
    /// The stretches of the list, one after the other.
    pub(super) fn stretches(self) -> &'static [Stretch] {
        match self.query.order.has_nulls() {
            true => &[Stretch::Valued, Stretch::Null],
            false => &[Stretch::All],
        }
    }

    /// The path on which it is read.
    pub(super) fn path(self) -> Path {
        Path::choose(self.table, self.query)
    }

    /// Selects the rows of a slice, the columns first, then the total of the list.
    pub(super) fn page(self, slice: &Slice) -> Statement {
        let mut sql = self.sql();
        let text = match sql.path {
            Path::Walk => sql.walk(slice),
            Path::Merge => sql.merge(slice),
            _ => sql.gather(slice),
        };
        sql.parameters.statement(text)
    }

    /// Selects what [`List::page`] would, but looks only at the next rows of the whole order: most
    /// conditions find a page among them sooner than in hundreds of ranges, or than in a sort of
    /// thousands of rows. Fewer rows than asked for mean nothing.
    pub(super) fn probe(self, slice: &Slice) -> Statement {
        let mut sql = self.sql();
        let rows = if self.is_sorted() { LONG_PROBE_ROWS } else { PROBE_ROWS };
        let text = sql.probe(slice, rows);
        sql.parameters.statement(text)
    }

    /// Returns true if the rows that the path finds have to be sorted.
    pub(super) fn is_sorted(self) -> bool {
        match self.path() {
            Path::Walk | Path::Merge => false,
            Path::Gather(narrow) => !narrow.is_unique && !self.sql().is_gathered_in_order(narrow),
            Path::GatherRange(_) | Path::GatherFacets | Path::Search => true,
        }
    }

    /// Counts what the path's index finds, up to one more than [`List::sorted_rows`], or than a search
    /// is counted to.
    pub(super) fn few(self) -> Statement {
        let mut sql = self.sql();
        let text = sql.few(match self.path() {
            Path::Search => SEARCH_COUNT_MAX,
            _ => self.sorted_rows().into(),
        });
        sql.parameters.statement(text)
    }

    /// Returns true if the count of [`List::few`] is the total of the list.
    pub(super) fn few_are_all(self) -> bool {
        matches!(self.path(), Path::Search) && self.query.conditions.len() == 1
    }

    /// Returns the number of rows that are sorted without a probe.
    pub(super) fn sorted_rows(self) -> u32 {
        match self.path() {
            Path::Search => FOUND_ROWS,
            _ => SORTED_ROWS,
        }
    }

    /// Selects what [`List::page`] would, by walking along the order.
    pub(super) fn walked(self, slice: &Slice) -> Statement {
        let mut sql = self.sql();
        sql.path = Path::Walk;
        let text = sql.walk(slice);
        sql.parameters.statement(text)
    }

    /// Selects the total of the list.
    pub(super) fn total(self) -> Statement {
        let mut sql = self.sql();
        let text = sql.total();
        sql.parameters.statement(format!("SELECT {text}"))
    }

    /// Selects how many of the list's rows have a value of its order.
    pub(super) fn valued_total(self) -> Statement {
        let mut sql = self.sql();
        let valued = valued(&format!("t.{}", self.query.order.column));
        let text = match sql.path {
            Path::Merge => {
                let facets = sql.facets(None);
                format!(
                    "SELECT COUNT(*) FROM ({facets}) s CROSS JOIN {} t \
                     WHERE t.workspace_id = {} AND t.facet = {OF_FACETS} AND {valued}",
                    sql.table.name, sql.workspace,
                )
            }
            _ => {
                let (from, mut conditions) = sql.selection();
                conditions.push(valued);
                format!("SELECT COUNT(*) FROM {from} WHERE {}", all(&conditions))
            }
        };
        sql.parameters.statement(text)
    }

    pub(super) fn sql(self) -> Sql<'a> {
        let Self { backend, workspace, table, columns, query, is_counted } = self;
        let mut parameters = Parameters::new(backend);
        let workspace_number = workspace.0;
        let workspace = parameters.bind(workspace_number);
        let path = self.path();
        Sql {
            backend,
            table,
            columns,
            query,
            path,
            is_counted,
            parameters,
            workspace,
            workspace_number,
        }
    }
}

impl Sql<'_> {
    /// Returns the statement that walks along an index that has the order.
    fn walk(&mut self, slice: &Slice) -> String {
        let total = self.total_beside();
        let (from, mut conditions) = self.selection();
        let (key, id) = (self.key("t"), "t.id".to_owned());
        conditions.extend(self.beyond(slice, &key, &id));
        let (order, limit) = (self.order(&key, &id), self.limit(slice));
        format!(
            "SELECT {}, {total} FROM {from} WHERE {} {order} {limit}",
            self.columns,
            conditions.join(" AND ")
        )
    }

    /// Returns the statement that gathers all that the path's own index finds: first the ids in
    /// order, then only the rows of the page, so that no more of them are carried through the sort.
    fn gather(&mut self, slice: &Slice) -> String {
        let total = self.total_beside();
        let (from, mut conditions) = self.selection();
        let (key, id) = self.gathered_key();
        conditions.extend(self.beyond(slice, &key, &id));
        let (order, limit) = (self.order(&key, &id), self.limit(slice));
        let ids = format!("SELECT t.id FROM {from} WHERE {} {order} {limit}", all(&conditions));
        let order = self.order(&self.key("t"), "t.id");
        format!(
            "SELECT {}, {total} FROM ({ids}) p CROSS JOIN {} t \
             WHERE t.workspace_id = {} AND t.id = p.id {order}",
            self.columns, self.table.name, self.workspace
        )
    }

    /// Returns the key and the id by which gathered rows are sorted: the bare columns only where
    /// the path's index has them in that order. It would be walked to its end for a few rows
    /// otherwise.
    fn gathered_key(&self) -> (String, String) {
        let column = self.query.order.column;
        if let Path::Gather(narrow) = self.path
            && self.is_gathered_in_order(narrow)
        {
            return match narrow.side.and_then(|side| Some((side, side.created_at?))) {
                Some((side, created_at)) => {
                    (format!("g.{created_at}"), format!("g.{}", side.owner))
                }
                None => (format!("t.{column}"), "t.id".to_owned()),
            };
        }
        let key = match self.query.order.is_text() {
            true => format!("t.{column} || ''"),
            false => format!("+t.{column}"),
        };
        (key, "+t.id".to_owned())
    }

    /// Returns true if the rows that the filter finds come out of its index in the order of the
    /// list.
    fn is_gathered_in_order(&self, narrow: &NarrowFilter) -> bool {
        let [only] = narrow.columns else { return false };
        let is_asked = |one: &Condition| one.column() == Some(*only) && one.is_one_value();
        let is_by_creation = std::ptr::eq(self.query.order, self.table.by_creation());
        let is_one_value = match narrow.side {
            Some(side) => self.query.driving(side).is_some_and(is_asked),
            None => self.query.conditions.iter().any(is_asked),
        };
        is_by_creation && !narrow.is_unique && is_one_value
    }

    /// The next rows of the order, and of those what meets the other conditions.
    fn probe(&mut self, slice: &Slice, rows: u32) -> String {
        let total = self.total_beside();
        let (query, table) = (self.query, self.table.name);
        let key = self.key("t");
        let mut within = vec![format!("t.workspace_id = {}", self.workspace)];
        within.extend(self.beyond(slice, &key, "t.id"));
        let mut columns = vec!["t.id".to_owned(), "t.facet".to_owned(), format!("{key} AS key")];
        let mut wanted = Vec::new();
        for condition in &query.conditions {
            let is_range =
                !condition.is_equality() && condition.column() == Some(query.order.column);
            let of = if is_range { "t" } else { "n" };
            match self.condition(of, condition, is_range) {
                Some(text) if is_range => within.push(text),
                Some(text) => wanted.push(text),
                None => {}
            }
            if let (Some(column), false) = (condition.column(), is_range)
                && !matches!(condition, Condition::Side(..))
            {
                columns.push(format!("t.{column}"));
            }
        }
        wanted.extend(facet_conditions(&mut self.parameters, "n.facet", &query.conditions));
        columns.sort_unstable();
        columns.dedup();
        let (order, limit) = (self.order("n.key", "n.id"), self.limit(slice));
        format!(
            "SELECT {}, {total} FROM (SELECT n.id FROM ( \
               SELECT {} FROM {table} t WHERE {} {} LIMIT {rows} \
             ) n WHERE {} {order} {limit}) p CROSS JOIN {table} t \
             WHERE t.workspace_id = {} AND t.id = p.id {}",
            self.columns,
            columns.join(", "),
            within.join(" AND "),
            self.order(&key, "t.id"),
            wanted.join(" AND "),
            self.workspace,
            self.order(&key, "t.id")
        )
    }

    /// The conditions that a slice puts on its rows: its stretch, and what is behind its cursor.
    pub(super) fn beyond(&mut self, slice: &Slice, key: &str, id: &str) -> Vec<String> {
        let (_, beyond) = self.direction();
        match (slice.stretch, &slice.after) {
            (Stretch::Null, after) => {
                let mut conditions = vec![format!("{key} IS NULL")];
                if let Some(after) = after {
                    conditions.push(format!("{id} {beyond} {}", self.parameters.bind(after.id)));
                }
                conditions
            }
            (Stretch::Valued, None) => vec![valued(key)],
            (Stretch::All, None) => Vec::new(),
            (_, Some(after)) => {
                let value = self.bind_key(after);
                let after_id = self.parameters.bind(after.id);
                vec![format!("({key}, {id}) {beyond} ({value}, {after_id})")]
            }
        }
    }

    pub(super) fn bind_key(&mut self, after: &CursorKey) -> String {
        let value = after.value.clone().unwrap_or(KeyValue::Number(0));
        self.parameters.bind(Value::from(value))
    }

    /// The column of the order, of the rows with this alias.
    pub(super) fn key(&self, alias: &str) -> String {
        format!("{alias}.{}", self.query.order.column)
    }

    /// Returns ORDER BY the key, if it is not empty, then the id.
    pub(super) fn order(&self, key: &str, id: &str) -> String {
        let (direction, _) = self.direction();
        if key.is_empty() {
            format!("ORDER BY {id} {direction}")
        } else {
            format!("ORDER BY {key} {direction}, {id} {direction}")
        }
    }

    /// Returns LIMIT with `+ 0`, because SQLite plans a statement anew whenever a bare parameter of
    /// its LIMIT is bound: half of the time that it spends on a page.
    pub(super) fn limit(&mut self, slice: &Slice) -> String {
        let limit = self.parameters.bind(as_i64(slice.limit));
        let offset = self.parameters.bind(as_i64(slice.offset));
        format!("LIMIT {limit} + 0 OFFSET {offset} + 0")
    }

    /// The direction's keyword, and the comparison that finds what follows.
    pub(super) fn direction(&self) -> (&'static str, &'static str) {
        match self.query.direction {
            Direction::Ascending => ("ASC", ">"),
            Direction::Descending => ("DESC", "<"),
        }
    }
}

/// Joins the conditions, of which there may be none.
pub(super) fn all(conditions: &[String]) -> String {
    if conditions.is_empty() { "1 = 1".to_owned() } else { conditions.join(" AND ") }
}

/// Returns the condition that a column is not NULL, in a form that SQLite looks up in an index,
/// unlike `IS NOT NULL`.
fn valued(column: &str) -> String {
    format!("{column} >= -{}", i64::MAX)
}

pub(super) fn as_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
