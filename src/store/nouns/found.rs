//! FROM and WHERE of a list that is walked or gathered: which rows the conditions find, and by which
//! index. Order and page are `sql`'s.

use sea_orm::DbBackend;

use super::counts::facet_conditions;
use super::plan::Path;
use super::query::Condition;
use super::sql::Sql;
use super::table::{Narrow, Side};

impl Sql<'_> {
    /// What to select from and on which conditions, without order or page.
    pub(super) fn found(&mut self) -> (String, Vec<String>) {
        let workspace = self.workspace.clone();
        let side = match self.path {
            Path::Gather(Narrow { side: Some(side), .. }) => Some(*side),
            _ => None,
        };
        let (from, mut conditions) = match side {
            Some(side) => self.rows_by_side(side),
            None => (self.rows_by_index(), vec![format!("t.workspace_id = {workspace}")]),
        };
        for condition in &self.query.conditions {
            conditions.extend(self.condition(condition));
        }
        let facets = facet_conditions(&mut self.parameters, "t.facet", &self.query.conditions);
        conditions.extend(facets);
        (from, conditions)
    }

    /// From the rows by the index of the path, also where so many pass that reading the table might
    /// be quicker today: it would be slower with every row that comes. PostgreSQL has no such hint;
    /// its connections are told so once (see `connect`).
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
            Path::Walk | Path::Merge => None,
        };
        match index {
            Some(index) if self.backend == DbBackend::Sqlite => {
                format!("{table} t INDEXED BY {index}")
            }
            _ => format!("{table} t"),
        }
    }

    /// From a value to its rows, never the other way round, which the planners would prefer for a
    /// value that many rows have: SQLite does not reorder a CROSS JOIN; PostgreSQL does, but cannot
    /// take a subquery with OFFSET apart.
    fn rows_by_side(&mut self, side: &Side) -> (String, Vec<String>) {
        let (workspace, table) = (&self.workspace, self.table.name);
        let asked = self.query.conditions.iter().find_map(|condition| match condition {
            Condition::Side(of, text) if std::ptr::eq(*of, side) => Some(text.clone()),
            _ => None,
        });
        let value = self.parameters.bind(asked);
        let conditions =
            vec![format!("g.workspace_id = {workspace}"), format!("g.{} = {value}", side.value)];
        let row = format!("t.workspace_id = {workspace} AND t.id = g.{}", side.owner);
        match self.backend {
            DbBackend::Postgres => {
                let row = format!("SELECT t.* FROM {table} t WHERE {row} OFFSET 0");
                (format!("{} g CROSS JOIN LATERAL ({row}) t", side.table), conditions)
            }
            _ => {
                let from = format!("{} g CROSS JOIN {table} t", side.table);
                (from, [conditions, vec![row]].concat())
            }
        }
    }

    /// A condition on the columns of the row; none where the path or the facet sees to it.
    fn condition(&mut self, condition: &Condition) -> Option<String> {
        let chosen = self.is_chosen(condition);
        // What keeps a column's index out of the choice, unless it is the one that was chosen.
        let unless = if chosen { "" } else { "+" };
        match condition {
            Condition::Dimension(..) => None,
            Condition::Numbers(column, numbers) => Some(match numbers.as_slice() {
                [number] => format!("{unless}t.{column} = {}", self.parameters.bind(*number)),
                numbers => format!("{unless}t.{column} {}", self.parameters.bind_in(numbers)),
            }),
            Condition::Text(column, text) => {
                let text = self.parameters.bind(text.clone());
                // PostgreSQL has no `+` for text.
                let column = format!("t.{column}{}", if chosen { "" } else { " || ''" });
                Some(format!("{column} = {text}"))
            }
            Condition::Side(..) if chosen => None,
            Condition::Side(side, text) => {
                let (workspace, text) =
                    (self.workspace.clone(), self.parameters.bind(text.clone()));
                Some(format!(
                    "EXISTS (SELECT 1 FROM {} g WHERE g.workspace_id = {workspace} \
                     AND g.{} = t.id AND g.{} = {text})",
                    side.table, side.owner, side.value
                ))
            }
            Condition::Since(column, at) => {
                Some(format!("{unless}t.{column} >= {}", self.parameters.bind(at.0)))
            }
            Condition::Before(column, at) => {
                Some(format!("{unless}t.{column} < {}", self.parameters.bind(at.0)))
            }
        }
    }

    /// Whether the path's index leads with what the condition looks at.
    fn is_chosen(&self, condition: &Condition) -> bool {
        let Some(column) = condition.column() else { return false };
        match self.path {
            Path::Gather(narrow) => condition.is_equality() && narrow.columns.contains(&column),
            Path::GatherRange(order) => !condition.is_equality() && order.column == column,
            Path::Walk => !condition.is_equality() && self.query.order.column == column,
            Path::Merge => false,
        }
    }
}
