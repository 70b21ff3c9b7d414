//! The number of rows of each facet that a workspace has.
//!
//! A facet packs the dimensions of a noun, which its lists are filtered by most, into one small
//! number, so a sum over `facet_counts` costs the same however many rows there are. The counts
//! change in the transaction that changes the rows.

use std::collections::BTreeMap;

use super::figures::add_to_figures;
use super::noun::{Figure, Noun};
use super::query::Condition;
use super::table::{Dimension, Table};
use crate::error::Error;
use crate::store::WorkspaceId;
use crate::store::failure::failed;
use crate::store::sql::Parameters;
use crate::store::transaction::Transaction;

/// The row of `facet_counts` that counts every row of a noun; no row has this facet.
pub(super) const ALL: i16 = 0;

/// The changes of the number of rows that a change makes.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct CountChanges {
    /// The changes of counts by noun and facet.
    pub(in crate::store) facets: BTreeMap<(i16, i16), i64>,
    /// The changes of counts of rows that belong to a row of another noun.
    pub(in crate::store) figures: BTreeMap<Figure, i64>,
}

impl CountChanges {
    /// Notes a new row.
    pub(super) fn inserted<N: Noun>(&mut self, row: &N) {
        *self.facets.entry((N::table().noun, ALL)).or_default() += 1;
        self.add(row, 1);
    }

    /// Notes a row that is gone.
    pub(super) fn deleted<N: Noun>(&mut self, row: &N) {
        *self.facets.entry((N::table().noun, ALL)).or_default() -= 1;
        self.add(row, -1);
    }

    /// Notes a row that has changed.
    pub(super) fn updated<N: Noun>(&mut self, before: &N, after: &N) {
        self.add(before, -1);
        self.add(after, 1);
    }

    fn add<N: Noun>(&mut self, row: &N, amount: i64) {
        *self.facets.entry((N::table().noun, row.facet())).or_default() += amount;
        for figure in row.counted_in() {
            *self.figures.entry(figure).or_default() += amount;
        }
    }

    /// Forgets changes that add up to nothing.
    pub(in crate::store) fn settle(&mut self) {
        self.facets.retain(|_, change| *change != 0);
        self.figures.retain(|_, change| *change != 0);
    }

    pub(in crate::store) fn is_empty(&self) -> bool {
        self.facets.is_empty() && self.figures.is_empty()
    }
}

/// Adds the changes to the workspace's counts, in one statement.
pub(in crate::store) async fn add_to_counts(
    transaction: &Transaction,
    workspace: WorkspaceId,
    changes: &CountChanges,
) -> Result<(), Error> {
    add_to_figures(transaction, workspace, &changes.figures).await?;
    if changes.facets.is_empty() {
        return Ok(());
    }
    let mut parameters = Parameters::new(transaction.backend());
    let workspace = parameters.bind(workspace.0);
    let rows: Vec<_> = changes
        .facets
        .iter()
        .map(|((noun, facet), change)| {
            let (noun, facet) = (parameters.bind(*noun), parameters.bind(*facet));
            format!("({workspace}, {noun}, {facet}, {})", parameters.bind(*change))
        })
        .collect();
    let text = format!(
        "INSERT INTO facet_counts (workspace_id, noun, facet, row_count) VALUES {} \
         ON CONFLICT (workspace_id, noun, facet) DO UPDATE \
         SET row_count = facet_counts.row_count + excluded.row_count",
        rows.join(", ")
    );
    transaction.execute(parameters.statement(text)).await.map_err(failed)?;
    Ok(())
}

/// The conditions that a list puts on the facet in `column`. They look at its bits, so neither
/// database takes them for a reason to use, or leave, an index.
pub(super) fn facet_conditions(
    parameters: &mut Parameters,
    column: &str,
    conditions: &[Condition],
) -> Vec<String> {
    dimensions(conditions)
        .map(|(Dimension { shift, bits, .. }, mask)| {
            let mask = parameters.bind(mask);
            format!("(({mask} >> (({column} >> {shift}) & {bits})) & 1) = 1")
        })
        .collect()
}

/// The rows of `facet_counts c` that a list asks for, as the condition of a query on it.
pub(super) fn counted(
    parameters: &mut Parameters,
    workspace: &str,
    table: &Table,
    conditions: &[Condition],
) -> String {
    let noun = parameters.bind(table.noun);
    let mut text = vec![format!("c.workspace_id = {workspace} AND c.noun = {noun}")];
    let first = table.dimensions.first();
    let leading = dimensions(conditions)
        .find(|(dimension, _)| first.is_some_and(|first| std::ptr::eq(*dimension, *first)));
    match leading {
        // It leads the facet, so that its facets stand together in the key.
        Some((dimension, mask)) => {
            let (lowest, highest) = (mask.trailing_zeros(), 63 - mask.leading_zeros());
            let first = parameters.bind(i64::from(lowest) << dimension.shift);
            let end = parameters.bind(i64::from(highest + 1) << dimension.shift);
            text.push(format!("c.facet >= {first} AND c.facet < {end}"));
        }
        None => text.push(format!("c.facet > {ALL}")),
    }
    text.extend(facet_conditions(parameters, "c.facet", conditions));
    text.join(" AND ")
}

fn dimensions(conditions: &[Condition]) -> impl Iterator<Item = (&'static Dimension, i64)> {
    conditions.iter().filter_map(|condition| match condition {
        Condition::Dimension(dimension, mask) => Some((*dimension, *mask)),
        _ => None,
    })
}
