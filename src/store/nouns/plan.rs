//! By which index a list is read.
//!
//! No list reads a whole table. In short:
//!
//! | conditions | page | total |
//! | --- | --- | --- |
//! | none | along the index of the order | a counter |
//! | dimensions alone | merged from one index range per facet that has rows | a sum of counters |
//! | a time range of what the list is in order of | along that index, within the range | counted along the range |
//! | anything else | all that the narrowest filter's index finds, then sorted | counted through that index |
//!
//! A merge is preceded by a probe (`sql`), which spares it most of the time.
//!
//! The first two cost the same however many rows there are; the others as much as the range or the
//! narrowest filter finds.

use super::query::{Condition, Query};
use super::table::{Narrow, Order, Table};

/// How the rows of a page are found.
#[derive(Debug, Clone, Copy)]
pub(super) enum Path {
    /// Along the index of the order, over the whole workspace or a time range of it.
    Walk,
    /// Merged from the index ranges of the facets that are asked for, each of which is in order.
    Merge,
    /// Everything that this filter finds, sorted.
    Gather(&'static Narrow),
    /// Everything in a time range of another order than the list's, sorted.
    GatherRange(&'static Order),
}

impl Path {
    /// The path for a list.
    pub(super) fn choose(table: &'static Table, query: &Query) -> Self {
        let conditions = &query.conditions;
        if let Some(narrow) = narrowest(table, conditions) {
            return Self::Gather(narrow);
        }
        let mut ranges: Vec<_> = conditions.iter().filter(|one| is_range(one)).collect();
        if ranges.iter().any(|one| one.column() == Some(query.order.column)) {
            return Self::Walk;
        }
        // Who asks for changes since has usually seen the rest: it is the shorter range.
        ranges.sort_by_key(|one| one.column() != Some("updated_at"));
        let ranged = ranges.first().and_then(|one| one.column());
        match ranged.and_then(|column| table.order_of_column(column)) {
            Some(order) => Self::GatherRange(order),
            None if conditions.is_empty() => Self::Walk,
            None if conditions.iter().all(|one| one.column().is_none()) => Self::Merge,
            // Nothing finds these rows: no list of the API comes here.
            None => Self::Walk,
        }
    }
}

fn is_range(condition: &Condition) -> bool {
    matches!(condition, Condition::Since(..) | Condition::Before(..))
}

/// The first filter of the table all of whose columns are asked for.
fn narrowest(table: &'static Table, conditions: &[Condition]) -> Option<&'static Narrow> {
    let is_asked = |column: &&str| {
        conditions.iter().any(|one| one.is_equality() && one.column() == Some(*column))
    };
    table.narrows.iter().find(|narrow| narrow.columns.iter().all(&is_asked))
}
