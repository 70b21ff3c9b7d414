//! The plan of a list: the index by which it is read.
//!
//! No list reads a whole table. In short:
//!
//! | conditions | page | total |
//! | --- | --- | --- |
//! | none, or a time range of what the list is in order of | along the index of the order | a counter; counted along the range |
//! | dimensions, with such a range or without | merged from one index range per facet that has rows | a sum of counters; counted along the ranges |
//! | words | all that they find, sorted by order | counted up to a bound |
//! | anything else | all that the narrowest filter's index finds, sorted | counted through that index |
//!
//! A merge is preceded by a probe (`sql`), which spares it most of the time. What would be sorted is
//! only if it is little; otherwise a longer probe walks along the order first, for what is common is
//! found there soon.

use super::query::{Condition, Query};
use super::table::{NarrowFilter, Order, Table};

/// The path by which the rows of a page are found.
#[derive(Debug, Clone, Copy)]
pub(super) enum Path {
    /// The rows are walked along the index of the order, over the whole workspace or a time range
    /// of it.
    Walk,
    /// The rows are merged from the index ranges of the facets that are asked for, each of which is
    /// in order.
    Merge,
    /// All rows that this filter finds are sorted.
    Gather(&'static NarrowFilter),
    /// All rows in a time range of another order than the list's are sorted.
    GatherRange(&'static Order),
    /// All rows of the facets that are asked for are sorted.
    GatherFacets,
    /// All rows in which words occur are sorted.
    Search,
}

impl Path {
    /// The path for a list.
    pub(super) fn choose(table: &'static Table, query: &Query) -> Self {
        let conditions = &query.conditions;
        let narrow = narrowest(table, conditions);
        if query.search().is_some() && !narrow.is_some_and(|narrow| narrow.is_unique) {
            return Self::Search;
        }
        if let Some(narrow) = narrow {
            return Self::Gather(narrow);
        }
        let mut others: Vec<_> = conditions.iter().filter(|one| !is_dimension(one)).collect();
        let is_of_order = |one: &&Condition| one.column() == Some(query.order.column);
        if others.iter().all(is_of_order) {
            return match others.len() == conditions.len() {
                true => Self::Walk,
                false if query.order.by_facet => Self::Merge,
                // It has no range: what is in order of a rank or may be missing has none.
                false => Self::GatherFacets,
            };
        }
        // Who asks for changes since has usually seen the rest: it is the shorter range.
        others.sort_by_key(|one| one.column() != Some("updated_at"));
        let ranged = others.into_iter().find(|one| !is_of_order(one) && !one.is_equality());
        match ranged.and_then(Condition::column).and_then(|column| table.order_of_column(column)) {
            Some(order) => Self::GatherRange(order),
            // Nothing finds these rows: no list of the API comes here.
            None => Self::Walk,
        }
    }
}

fn is_dimension(condition: &Condition) -> bool {
    matches!(condition, Condition::Dimension(..))
}

/// The first filter of the table all of whose columns are asked for.
fn narrowest(table: &'static Table, conditions: &[Condition]) -> Option<&'static NarrowFilter> {
    let is_asked = |column: &&str| {
        conditions.iter().any(|one| one.is_equality() && one.column() == Some(*column))
    };
    table.narrows.iter().find(|narrow| narrow.columns.iter().all(&is_asked))
}
