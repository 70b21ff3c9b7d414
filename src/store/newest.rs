//! The newest rows of each of several owners, by one statement for all of them.

use sea_orm::{DbBackend, Statement};

use super::Reader;
use super::sql::Parameters;

/// The number of rows of each owner that are read.
const NEWEST_ROWS: usize = 20;

/// A table whose rows belong to others, are numbered by `id`, and have a time, `created_at`.
pub(super) struct Owned {
    pub(super) table: &'static str,
    /// The column with the id of the owner.
    pub(super) owner: &'static str,
    /// The number of the owner's noun, where the table has rows of several.
    pub(super) noun: Option<i16>,
    /// The columns of a row `t`, as they are selected.
    pub(super) columns: &'static str,
}

impl Reader<'_> {
    /// Selects the newest rows of each of these owners, the newest of all first: whoever reads no more
    /// than there is room for leaves out the oldest.
    pub(super) fn newest_of_each(&self, owned: &Owned, owners: &[i64]) -> Statement {
        let Owned { table, owner, noun, columns } = owned;
        let mut parameters = Parameters::new(self.backend());
        let workspace = parameters.bind(self.workspace.0);
        let ids = parameters.bind_rows(owners);
        let noun = noun.map(|noun| format!(" AND x.noun = {}", parameters.bind(noun)));
        let newest = format!(
            "FROM {table} x WHERE x.workspace_id = {workspace}{} AND x.{owner} = ids.value \
             ORDER BY x.created_at DESC, x.id DESC LIMIT {NEWEST_ROWS}",
            noun.unwrap_or_default()
        );
        let each = match self.backend() {
            DbBackend::Postgres => format!(
                "SELECT n.id, n.created_at FROM {ids} CROSS JOIN LATERAL \
                 (SELECT x.id, x.created_at {newest}) n"
            ),
            // It has no LATERAL.
            _ => format!(
                "SELECT n.id, n.created_at FROM {ids} CROSS JOIN {table} n \
                 ON n.workspace_id = {workspace} AND n.id IN (SELECT x.id {newest})"
            ),
        };
        // The ids first, so that no text is carried through the sort; the limit keeps its order.
        let most = NEWEST_ROWS * owners.len();
        parameters.statement(format!(
            "SELECT {columns} FROM ({each} ORDER BY n.created_at DESC, n.id DESC LIMIT {most}) p \
             CROSS JOIN {table} t WHERE t.workspace_id = {workspace} AND t.id = p.id \
             ORDER BY p.created_at DESC, p.id DESC"
        ))
    }
}
