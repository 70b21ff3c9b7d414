//! Samples for tests: a list for every condition that a table can be asked for, in every order.

use sea_orm::{ColumnTrait, ColumnType};

use super::noun::{Noun, column};
use super::query::{Condition, Direction, Query, SideValues};
use super::table::{NarrowFilter, Side};
use crate::clock::Timestamp;
use crate::store::pages::{CursorKey, KeyValue};

/// A list that is asked for, and whether its rows are found by its narrow filter or time range alone.
pub struct Sample {
    pub query: Query,
    pub is_narrow: bool,
    /// A place in the middle of it.
    pub after: CursorKey,
}

/// Returns every list of the noun with one condition or none, in every order and both directions.
/// Few rows are from before `early`, and few from after `late`.
#[doc(hidden)]
pub fn samples<N: Noun>(early: Timestamp, late: Timestamp) -> Vec<Sample> {
    let table = N::table();
    let mut conditions = vec![(Vec::new(), false)];
    for dimension in table.dimensions {
        conditions.push((vec![Condition::Dimension(dimension, 0b10)], false));
        conditions.push((vec![Condition::Dimension(dimension, 0b110)], false));
    }
    conditions.extend(table.narrows.iter().map(|narrow| (equal_to::<N>(narrow), true)));
    let sides = table.narrows.iter().filter_map(|narrow| narrow.side);
    let several = |side| vec![Condition::Side(side, sample_values(side, 2))];
    conditions.extend(sides.map(|side| (several(side), true)));
    let words = table.search.map(|search| Condition::search(search, "vpn"));
    conditions.extend(words.map(|words| (vec![words], true)));
    for range in ["created_at", "updated_at"] {
        conditions.push((vec![Condition::Since(range, late)], true));
        conditions.push((vec![Condition::Before(range, early)], true));
    }
    let mut samples = Vec::new();
    for (conditions, is_narrow) in conditions {
        for order in table.orders {
            for direction in [Direction::Ascending, Direction::Descending] {
                let query = Query::all(order, direction).filter(conditions.clone());
                let value = match order.is_text() {
                    true => KeyValue::Text("m".to_owned()),
                    false => KeyValue::Number(early.0),
                };
                let after = CursorKey { value: Some(value), id: 5 };
                samples.push(Sample { query, is_narrow, after });
            }
        }
    }
    samples
}

fn sample_values(side: &Side, count: usize) -> SideValues {
    match side.is_text {
        true => {
            SideValues::Texts(["vpn", "lan"].into_iter().take(count).map(str::to_owned).collect())
        }
        false => SideValues::Numbers([3, 4].into_iter().take(count).collect()),
    }
}

fn equal_to<N: Noun>(narrow: &NarrowFilter) -> Vec<Condition> {
    if let Some(side) = narrow.side {
        return vec![Condition::Side(side, sample_values(side, 1))];
    }
    let columns = narrow.columns.iter();
    let conditions = columns.map(|name| match column::<N>(name).def().get_column_type() {
        ColumnType::Text | ColumnType::String(_) => Condition::Text(name, "vpn".to_owned()),
        _ => Condition::Numbers(name, vec![3]),
    });
    conditions.collect()
}
