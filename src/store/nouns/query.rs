//! Queries of lists: conditions, an order, and the text that tells a list from all others.

use std::fmt::Write;

use migrations::case_folded;

use super::table::{Dimension, Order, Search, Side};
use crate::clock::Timestamp;

/// A list that is asked for.
#[derive(Debug, Clone)]
pub struct Query {
    /// The conditions that every row of it meets.
    pub conditions: Vec<Condition>,
    /// The order.
    pub order: &'static Order,
    /// The direction.
    pub direction: Direction,
}

/// The end of an order that comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The least.
    Ascending,
    /// The greatest.
    Descending,
}

/// A condition on the rows of a list.
#[derive(Debug, Clone)]
pub enum Condition {
    /// The dimension has one of the numbers whose bits are set.
    Dimension(&'static Dimension, i64),
    /// The column has one of these numbers.
    Numbers(&'static str, Vec<i64>),
    /// The column has this text.
    Text(&'static str, String),
    /// The row has one of these values in a table beside its own.
    Side(&'static Side, SideValues),
    /// The column of an order is this instant or later.
    Since(&'static str, Timestamp),
    /// The column of an order is before this instant.
    Before(&'static str, Timestamp),
    /// Each of these words begins one of the row's words; see [`Condition::search`].
    Words(&'static Search, Vec<String>),
}

/// The values of a condition on a table beside a noun's own.
#[derive(Debug, Clone)]
pub enum SideValues {
    /// Texts, such as tags.
    Texts(Vec<String>),
    /// Ids.
    Numbers(Vec<i64>),
}

impl SideValues {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Numbers(numbers) => numbers.len(),
        }
    }

    fn canonical(&self) -> String {
        fn text<T: Ord + Clone + std::fmt::Debug>(values: &[T]) -> String {
            let mut values = values.to_vec();
            values.sort_unstable();
            values.dedup();
            match values.as_slice() {
                [value] => format!("{value:?}"),
                values => format!("{values:?}"),
            }
        }
        match self {
            Self::Texts(texts) => text(texts),
            Self::Numbers(numbers) => text(numbers),
        }
    }
}

impl Query {
    /// A list of everything in this order.
    pub fn all(order: &'static Order, direction: Direction) -> Self {
        Self { conditions: Vec::new(), order, direction }
    }

    /// Returns the list with further conditions.
    pub fn filter(mut self, conditions: impl IntoIterator<Item = Condition>) -> Self {
        self.conditions.extend(conditions);
        self
    }

    /// The condition by which the rows of a side are looked up: others on the same side are checked
    /// of each row.
    pub(super) fn driving(&self, side: &Side) -> Option<&Condition> {
        let values = |condition: &&Condition| match condition {
            Condition::Side(of, values) if std::ptr::eq(*of, side) => Some(values.len()),
            _ => None,
        };
        let on_side = self.conditions.iter().filter(|condition| values(condition).is_some());
        on_side.min_by_key(values)
    }

    /// A text that no other list of the table has. Conditions that a list does not have leave no
    /// trace, so a filter that is new changes the text of no list without it.
    pub(super) fn canonical(&self) -> String {
        let mut conditions: Vec<_> = self.conditions.iter().map(Condition::canonical).collect();
        conditions.sort_unstable();
        let mut text = format!("{} {:?}", self.order.name, self.direction);
        for condition in conditions {
            write!(text, " {condition}").expect("a String takes everything");
        }
        text
    }
}

impl Condition {
    /// Makes the condition that a dimension has one of these numbers; no numbers make no condition.
    pub fn dimension(
        dimension: &'static Dimension,
        numbers: impl IntoIterator<Item = impl Into<i32>>,
    ) -> Option<Self> {
        let mask = numbers.into_iter().fold(0, |mask, number| mask | 1 << number.into());
        (mask != 0).then_some(Self::Dimension(dimension, mask))
    }

    /// The column has one of these numbers; none ask for nothing.
    pub fn numbers(column: &'static str, numbers: &[i64]) -> Option<Self> {
        (!numbers.is_empty()).then(|| Self::Numbers(column, numbers.to_vec()))
    }

    /// The column, which holds texts folded by case, has this one whatever its case.
    pub fn folded(column: &'static str, text: Option<&str>) -> Option<Self> {
        text.map(|text| Self::Text(column, case_folded(text)))
    }

    /// The row has one of these texts beside it; none ask for nothing.
    pub fn texts(side: &'static Side, texts: Vec<String>) -> Option<Self> {
        (!texts.is_empty()).then_some(Self::Side(side, SideValues::Texts(texts)))
    }

    /// The row has one of these ids beside it; none ask for nothing.
    pub fn ids(side: &'static Side, ids: &[i64]) -> Option<Self> {
        (!ids.is_empty()).then(|| Self::Side(side, SideValues::Numbers(ids.to_vec())))
    }

    /// The column is this instant or later, if one is given.
    pub fn since(column: &'static str, at: Option<Timestamp>) -> Option<Self> {
        at.map(|at| Self::Since(column, at))
    }

    /// The column is before this instant, if one is given.
    pub fn before(column: &'static str, at: Option<Timestamp>) -> Option<Self> {
        at.map(|at| Self::Before(column, at))
    }

    /// The column that it looks at; none for a dimension, which is looked up in the facet, and for
    /// words.
    pub(super) fn column(&self) -> Option<&'static str> {
        match self {
            Self::Dimension(..) | Self::Words(..) => None,
            Self::Numbers(column, _)
            | Self::Text(column, _)
            | Self::Since(column, _)
            | Self::Before(column, _) => Some(column),
            Self::Side(side, _) => Some(side.value),
        }
    }

    /// Returns true if it asks for single values, which an index can lead with.
    pub(super) fn is_equality(&self) -> bool {
        matches!(self, Self::Numbers(..) | Self::Text(..) | Self::Side(..))
    }

    /// Returns true if it asks for exactly one value.
    pub(super) fn is_one_value(&self) -> bool {
        match self {
            Self::Numbers(_, numbers) => numbers.len() == 1,
            Self::Side(_, values) => values.len() == 1,
            Self::Text(..) => true,
            Self::Dimension(..) | Self::Since(..) | Self::Before(..) | Self::Words(..) => false,
        }
    }

    fn canonical(&self) -> String {
        match self {
            Self::Dimension(dimension, mask) => format!("{} in {mask:#b}", dimension.name),
            Self::Numbers(column, numbers) => {
                let mut numbers = numbers.clone();
                numbers.sort_unstable();
                numbers.dedup();
                format!("{column} in {numbers:?}")
            }
            // Debug quotes a text, so it cannot pass for another condition.
            Self::Text(column, text) => format!("{column} = {text:?}"),
            Self::Side(side, values) => format!("{} has {}", side.table, values.canonical()),
            Self::Since(column, at) => format!("{column} since {}", at.0),
            Self::Before(column, at) => format!("{column} before {}", at.0),
            Self::Words(_, words) => format!("words {words:?}"),
        }
    }
}
