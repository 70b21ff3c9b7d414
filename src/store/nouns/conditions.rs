//! The FROM and WHERE of a list that is walked or gathered: which rows the conditions find, and by
//! which index. Order and page are `sql`'s.

use sea_orm::DbBackend;

use super::counts::facet_conditions;
use super::plan::Path;
use super::query::{Condition, SideValues};
use super::sql::{OF_FACETS, Sql, all};
use super::table::{NarrowFilter, Side};

impl Sql<'_> {
    /// Returns the FROM clause and the conditions, without order or page.
    pub(super) fn selection(&mut self) -> (String, Vec<String>) {
        let query = self.query;
        let (from, mut conditions) = self.driven();
        for condition in &query.conditions {
            conditions.extend(self.condition("t", condition, self.is_chosen(condition)));
        }
        // Facets that are looked up are those that are asked for.
        if !matches!(self.path, Path::GatherFacets) {
            let facets = facet_conditions(&mut self.parameters, "t.facet", &query.conditions);
            conditions.extend(facets);
        }
        (from, conditions)
    }

    /// Counts what the path's own index finds, whatever else is asked for, but no more than `most`
    /// and one more.
    pub(super) fn few(&mut self, most: i64) -> String {
        let query = self.query;
        let (from, mut conditions) = match self.path {
            Path::Gather(NarrowFilter { side: Some(side), index, .. }) => {
                self.side_alone(side, index)
            }
            Path::Search => (format!("({}) h", self.hits()), Vec::new()),
            _ => self.driven(),
        };
        for condition in &query.conditions {
            if self.is_chosen(condition) {
                conditions.extend(self.condition("t", condition, true));
            }
        }
        format!(
            "SELECT COUNT(*) FROM (SELECT 1 FROM {from} WHERE {} LIMIT {most} + 1) AS found",
            all(&conditions)
        )
    }

    /// Returns the FROM clause that enters the path's index, with its conditions.
    fn driven(&mut self) -> (String, Vec<String>) {
        let workspace = self.workspace.clone();
        let of_workspace = format!("t.workspace_id = {workspace}");
        match self.path {
            Path::Gather(NarrowFilter { side: Some(side), index, .. }) => {
                self.rows_by_side(side, index)
            }
            Path::GatherFacets => {
                let facets = self.facets(None);
                let from = format!("({facets}) s CROSS JOIN {}", self.rows_by_index());
                (from, vec![of_workspace, format!("t.facet = {OF_FACETS}")])
            }
            Path::Search => {
                let hits = format!("({}) h", self.hits());
                let row = format!("{of_workspace} AND t.id = h.id");
                (lateral(self.backend, &hits, self.table.name, "t", &row), Vec::new())
            }
            _ => (self.rows_by_index(), vec![of_workspace]),
        }
    }

    /// Returns the FROM clause that reads rows by the index of the path, also where so many pass
    /// that reading the table might be quicker today: it would be slower with every row that comes.
    /// PostgreSQL has no such hint; its connections are told so once (see `connect`).
    fn rows_by_index(&self) -> String {
        let table = self.table.name;
        let is_ranged = self
            .query
            .conditions
            .iter()
            .any(|one| one.column() == Some(self.query.order.column) && !one.is_equality());
        let index = match self.path {
            Path::Gather(narrow) => Some(narrow.index.to_owned()),
            Path::GatherRange(order) => Some(self.table.index_of(order)),
            // A walk over everything takes the index of its order anyway.
            Path::Walk if is_ranged => Some(self.table.index_of(self.query.order)),
            Path::GatherFacets => Some(self.table.index_of_facets()),
            Path::Walk | Path::Merge | Path::Search => None,
        };
        match index {
            Some(index) if self.backend == DbBackend::Sqlite => {
                format!("{table} t INDEXED BY {index}")
            }
            _ => format!("{table} t"),
        }
    }

    /// Returns the FROM clause that goes from a value to its rows.
    fn rows_by_side(&mut self, side: &Side, index: &str) -> (String, Vec<String>) {
        let (values, conditions) = self.side_alone(side, index);
        let alias = if conditions.is_empty() { "d" } else { "g" };
        let row = format!("t.workspace_id = {} AND t.id = {alias}.{}", self.workspace, side.owner);
        (lateral(self.backend, &values, self.table.name, "t", &row), conditions)
    }

    /// Returns the FROM clause of a side table: one value as `g`; or several by their index as `d`,
    /// where a row that has more than one of them is there once, with no condition left.
    fn side_alone(&mut self, side: &Side, index: &str) -> (String, Vec<String>) {
        let query = self.query;
        let none = SideValues::Numbers(Vec::new());
        let asked = match query.driving(side) {
            Some(Condition::Side(_, values)) => values,
            _ => &none,
        };
        let values = self.bind_side(asked);
        let Side { table, owner, value, .. } = side;
        let conditions =
            vec![format!("g.workspace_id = {}", self.workspace), format!("g.{value} {values}")];
        if asked.len() == 1 {
            return (format!("{table} g"), conditions);
        }
        // Where there are several, both databases would rather walk through all rows of the workspace in
        // the order of their owners.
        let by = match self.backend {
            DbBackend::Sqlite => format!("INDEXED BY {index}"),
            _ => String::new(),
        };
        let conditions = conditions.join(" AND ");
        let rows =
            format!("SELECT DISTINCT +g.{owner} AS {owner} FROM {table} g {by} WHERE {conditions}");
        (format!("({rows}) d"), Vec::new())
    }

    /// Binds the values, and returns the condition that a column has one of them.
    pub(super) fn bind_side(&mut self, values: &SideValues) -> String {
        match values {
            SideValues::Texts(texts) => self.parameters.bind_in_texts(texts),
            SideValues::Numbers(numbers) => match numbers.as_slice() {
                [number] => format!("= {}", self.parameters.bind(*number)),
                numbers => self.parameters.bind_in(numbers),
            },
        }
    }

    /// A condition on the columns of the rows with this alias; none where the path or the facet sees to
    /// it. `chosen` tells whether it may choose the index.
    pub(super) fn condition(
        &mut self,
        of: &str,
        condition: &Condition,
        chosen: bool,
    ) -> Option<String> {
        // What keeps a column's index out of the choice, unless it is the one that was chosen.
        let unless = if chosen { "" } else { "+" };
        match condition {
            Condition::Dimension(..) => None,
            Condition::Words(..) if chosen => None,
            Condition::Words(search, words) => Some(self.has_words(of, search, words)),
            Condition::Numbers(column, numbers) => Some(match numbers.as_slice() {
                [number] => format!("{unless}{of}.{column} = {}", self.parameters.bind(*number)),
                numbers => format!("{unless}{of}.{column} {}", self.parameters.bind_in(numbers)),
            }),
            Condition::Text(column, text) => {
                let text = self.parameters.bind(text.clone());
                // PostgreSQL has no `+` for text.
                let column = format!("{of}.{column}{}", if chosen { "" } else { " || ''" });
                Some(format!("{column} = {text}"))
            }
            Condition::Side(..) if chosen => None,
            Condition::Side(side, values) => {
                let several = values.len() > 1;
                let (workspace, values) = (self.workspace.clone(), self.bind_side(values));
                let Side { table, owner, value, .. } = side;
                let found = format!(
                    "FROM {table} g WHERE g.workspace_id = {workspace} AND g.{owner} = {of}.id \
                     AND g.{value} {values}"
                );
                Some(match several {
                    false => format!("EXISTS (SELECT 1 {found})"),
                    // SQLite (3.51) makes a join of an EXISTS, and its OFFSET then counts a row once for
                    // each of the values that it has.
                    true => format!("0 < (SELECT COUNT(*) {found})"),
                })
            }
            Condition::Since(column, at) => {
                Some(format!("{unless}{of}.{column} >= {}", self.parameters.bind(at.0)))
            }
            Condition::Before(column, at) => {
                Some(format!("{unless}{of}.{column} < {}", self.parameters.bind(at.0)))
            }
        }
    }

    /// Returns true if the path's index leads with what the condition looks at.
    fn is_chosen(&self, condition: &Condition) -> bool {
        if let Condition::Words(..) = condition {
            return matches!(self.path, Path::Search);
        }
        let Some(column) = condition.column() else { return false };
        match self.path {
            Path::Gather(narrow) => match narrow.side {
                Some(side) => {
                    self.query.driving(side).is_some_and(|one| std::ptr::eq(one, condition))
                }
                None => condition.is_equality() && narrow.columns.contains(&column),
            },
            Path::GatherRange(order) => !condition.is_equality() && order.column == column,
            Path::Walk => !condition.is_equality() && self.query.order.column == column,
            Path::Merge | Path::GatherFacets | Path::Search => false,
        }
    }
}

/// Joins rows with those of `table` that belong to them, never the other way round, which the
/// planners would prefer where they are many: SQLite does not reorder a CROSS JOIN; PostgreSQL
/// does, but cannot take a subquery with OFFSET apart.
pub(super) fn lateral(
    backend: DbBackend,
    rows: &str,
    table: &str,
    alias: &str,
    belongs: &str,
) -> String {
    match backend {
        DbBackend::Postgres => {
            let row = format!("SELECT {alias}.* FROM {table} {alias} WHERE {belongs} OFFSET 0");
            format!("{rows} CROSS JOIN LATERAL ({row}) {alias}")
        }
        _ => format!("{rows} CROSS JOIN {table} {alias} ON {belongs}"),
    }
}
