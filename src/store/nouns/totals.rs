//! The total of a list: from the counters where they know it, otherwise counted through the index of
//! the list's path.

use super::counts::{ALL, counted};
use super::plan::Path;
use super::query::Condition;
use super::sql::{SEARCH_COUNT_MAX, Sql, all};

impl Sql<'_> {
    /// The total of the list beside the rows of a page; NULL where it is not counted.
    pub(super) fn total_beside(&mut self) -> String {
        if self.is_counted { self.total() } else { "CAST(NULL AS BIGINT)".to_owned() }
    }

    /// The total of the list, as an expression.
    pub(super) fn total(&mut self) -> String {
        let (workspace, conditions) = (self.workspace.clone(), &self.query.conditions);
        let counters = if conditions.is_empty() {
            let noun = self.parameters.bind(self.table.noun);
            format!("c.workspace_id = {workspace} AND c.noun = {noun} AND c.facet = {ALL}")
        } else if conditions.iter().all(|one| matches!(one, Condition::Dimension(..))) {
            counted(&mut self.parameters, &workspace, self.table, conditions)
        } else if matches!(self.path, Path::Merge) {
            return self.count_merged();
        } else {
            return self.count();
        };
        let sum = "COALESCE(CAST(SUM(c.row_count) AS BIGINT), 0)";
        format!("(SELECT {sum} FROM facet_counts c WHERE {counters})")
    }

    fn count(&mut self) -> String {
        if let [Condition::Side(side, values)] = self.query.conditions.as_slice()
            && values.len() == 1
        {
            let value = self.bind_side(values);
            return format!(
                "(SELECT COUNT(*) FROM {} g WHERE g.workspace_id = {} AND g.{} {value})",
                side.table, self.workspace, side.value
            );
        }
        let select = match self.query.conditions.as_slice() {
            [Condition::Words(..)] => format!("FROM ({}) h", self.hits()),
            _ => {
                let (from, conditions) = self.selection();
                format!("FROM {from} WHERE {}", all(&conditions))
            }
        };
        self.counted_up(&select)
    }

    /// An expression that counts rows, as far as a list counts them.
    fn counted_up(&self, select: &str) -> String {
        match self.path {
            Path::Search => format!(
                "(SELECT COUNT(*) FROM (SELECT 1 {select} LIMIT {SEARCH_COUNT_MAX} + 1) AS found)"
            ),
            _ => format!("(SELECT COUNT(*) {select})"),
        }
    }
}
