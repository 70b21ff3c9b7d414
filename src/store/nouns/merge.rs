//! The SQL of a page that is merged from the index ranges of the facets that are asked for: each range
//! is in order, so a page costs a look-up for each range and for each row, however many rows there
//! are.

use sea_orm::DbBackend;

use super::counts::counted;
use super::query::{Condition, Direction};
use super::sql::{OF_FACETS, Slice, Sql, Stretch, all, as_i64};
use super::table::{Dimension, Values};

impl Sql<'_> {
    /// Returns the statement that merges index ranges, each of which is in order.
    pub(super) fn merge(&mut self, slice: &Slice) -> String {
        let total = self.total_beside();
        let facets = self.facets(Some(slice));
        let start = self.range_start(slice);
        let bounds = self.bounds("x");
        match self.backend {
            DbBackend::Postgres => {
                self.merge_lateral(slice, &total, &facets, &format!("{start}{bounds}"))
            }
            _ => self.merge_queue(slice, &total, &facets, &start, &bounds),
        }
    }

    /// Returns the merge on PostgreSQL: the first rows of every range, sorted.
    fn merge_lateral(&mut self, slice: &Slice, total: &str, facets: &str, start: &str) -> String {
        let (workspace, table) = (self.workspace.clone(), self.table.name);
        let (key, range_order) = match self.query.order.values {
            Values::Rank(dimension) => (number_in("s.v", dimension), self.order("", "x.id")),
            _ => (self.key("x"), self.order(&self.key("x"), "x.id")),
        };
        let order = self.order("p.key", "p.id");
        let depth = self.parameters.bind(as_i64(slice.offset + slice.limit));
        let limit = self.limit(slice);
        format!(
            "SELECT {}, {total} FROM ( \
               SELECT p.id, p.key FROM ({facets}) s CROSS JOIN LATERAL ( \
                 SELECT x.id, {key} AS key FROM {table} x \
                 WHERE x.workspace_id = {workspace} AND x.facet = s.v AND {start} \
                 {range_order} LIMIT {depth} \
               ) p {order} {limit} \
             ) p CROSS JOIN {table} t WHERE t.workspace_id = {workspace} AND t.id = p.id {order}",
            self.columns
        )
    }

    /// Returns the merge on SQLite, which has no LATERAL: the rows of a recursive query wait in a
    /// queue that its ORDER BY sorts. It begins with the first row of every range; each row that
    /// leaves it brings in the next of its range. So it looks up one row per range and one per row
    /// of the page.
    fn merge_queue(
        &mut self,
        slice: &Slice,
        total: &str,
        facets: &str,
        start: &str,
        bounds: &str,
    ) -> String {
        let (workspace, table) = (self.workspace.clone(), self.table.name);
        let (_, beyond) = self.direction();
        let column = self.query.order.column;
        let (next, range_order) = match (self.query.order.values, slice.stretch) {
            (Values::Rank(_), _) => (format!("x.id {beyond} m.id"), self.order("", "x.id")),
            (_, Stretch::Null) => {
                (format!("x.{column} IS NULL AND x.id {beyond} m.id"), self.order("", "x.id"))
            }
            _ => {
                let next = format!("(x.{column}, x.id) {beyond} (m.key, m.id)");
                (next, self.order(&self.key("x"), "x.id"))
            }
        };
        let first = format!(
            "SELECT x.rowid FROM {table} x WHERE x.workspace_id = {workspace} AND x.facet ="
        );
        let queue_order = self.order("3", "4");
        let order = self.order("m.key", "m.id");
        let limit = self.limit(slice);
        format!(
            "WITH RECURSIVE merge (v, place, key, id) AS ( \
               SELECT s.v, t.rowid, t.{column}, t.id FROM ({facets}) s CROSS JOIN {table} t \
               WHERE t.rowid = ({first} s.v AND {start}{bounds} {range_order} LIMIT 1) \
               UNION ALL \
               SELECT m.v, t.rowid, t.{column}, t.id FROM merge m CROSS JOIN {table} t \
               WHERE t.rowid = ({first} m.v AND {next}{bounds} {range_order} LIMIT 1) \
               {queue_order} {limit} \
             ) \
             SELECT {}, {total} FROM merge m CROSS JOIN {table} t \
             WHERE t.rowid = m.place {order}",
            self.columns
        )
    }

    /// Selects, as `v`, the facets that the list asks for and that have rows. Behind a cursor in a
    /// list by rank, only those that are not past.
    pub(super) fn facets(&mut self, slice: Option<&Slice>) -> String {
        let workspace = self.workspace.clone();
        let mut wanted =
            counted(&mut self.parameters, &workspace, self.table, &self.query.conditions);
        if let Values::Rank(dimension) = self.query.order.values
            && let Some(after) = slice.and_then(|slice| slice.after.as_ref())
        {
            let (_, beyond) = self.direction();
            let rank = self.bind_key(after);
            wanted.push_str(&format!(" AND {} {beyond}= {rank}", number_in("c.facet", dimension)));
        }
        format!("SELECT c.facet AS v FROM facet_counts c WHERE {wanted} AND c.row_count > 0")
    }

    /// Returns the expression that counts the rows of the facets within the time range.
    pub(super) fn count_merged(&mut self) -> String {
        let facets = self.facets(None);
        let (workspace, bounds) = (self.workspace.clone(), self.bounds("x"));
        format!(
            "(SELECT COUNT(*) FROM ({facets}) s CROSS JOIN {} x \
             WHERE x.workspace_id = {workspace} AND x.facet = {OF_FACETS}{bounds})",
            self.table.name
        )
    }

    /// The time range that is asked for, of the rows with this alias, behind other conditions.
    fn bounds(&mut self, alias: &str) -> String {
        let mut bounds = String::new();
        for condition in &self.query.conditions {
            let (column, comparison, at) = match condition {
                Condition::Since(column, at) => (column, ">=", at),
                Condition::Before(column, at) => (column, "<", at),
                _ => continue,
            };
            let at = self.parameters.bind(at.0);
            bounds += &format!(" AND {alias}.{column} {comparison} {at}");
        }
        bounds
    }

    /// Returns the condition on the rows `x` at which a range begins.
    fn range_start(&mut self, slice: &Slice) -> String {
        let (_, beyond) = self.direction();
        match (self.query.order.values, &slice.after) {
            (Values::Rank(_), None) => "1 = 1".to_owned(),
            // Only the range of the cursor's own rank begins in its middle.
            (Values::Rank(dimension), Some(after)) => {
                let rank = self.bind_key(after);
                let id = self.parameters.bind(after.id);
                let end = match self.query.direction {
                    Direction::Ascending => -i64::MAX,
                    Direction::Descending => i64::MAX,
                };
                let of_range = number_in("s.v", dimension);
                format!("x.id {beyond} CASE WHEN {of_range} = {rank} THEN {id} ELSE {end} END")
            }
            _ => {
                let conditions = self.beyond(slice, &self.key("x"), "x.id");
                all(&conditions)
            }
        }
    }
}

/// The number of a dimension in a facet.
fn number_in(facet: &str, Dimension { shift, bits, .. }: &Dimension) -> String {
    format!("(({facet} >> {shift}) & {bits})")
}
