//! A noun's table as data: what its rows are counted by, what its lists can be in order of, and
//! which filters have an index of their own.
//!
//! Every table of a noun has the columns `workspace_id`, `id` (dense within the workspace), `facet`,
//! `created_at`, `updated_at` and `version`. An index is named after its table and columns.

use std::sync::OnceLock;

use crate::resource::Resource;

/// The table of a noun.
#[derive(Debug)]
pub struct Table {
    /// The name in the schema, which is also the name of the counter that numbers its rows.
    pub name: &'static str,
    /// The kind of resource that a row is.
    pub resource: Resource,
    /// The number in `facet_counts`. A number, once given, keeps its meaning.
    pub noun: i16,
    /// True if each change of a row is remembered, field by field.
    pub has_history: bool,
    /// The dimensions by which its rows are counted, the highest bits of the facet first.
    pub dimensions: &'static [&'static Dimension],
    /// The orders that its lists can have; the first is the order of creation.
    pub orders: &'static [&'static Order],
    /// The text by which one of its rows is known beside its id, if it is, such as an asset's tag.
    pub alternate_key: Option<AlternateKey>,
    /// The filters that find their rows through an index of their own, the narrowest first.
    pub narrows: &'static [NarrowFilter],
    /// The tables whose rows belong to its rows and are written with them.
    pub sides: &'static [&'static Side],
    /// The search by which its rows are found by their words, if they are.
    pub search: Option<&'static Search>,
    /// The texts that are put together once.
    pub texts: Texts,
}

/// The texts of a table that follow from its entity.
#[derive(Debug)]
pub struct Texts {
    /// The names of its columns, in the order of the entity.
    pub(super) columns: OnceLock<Vec<&'static str>>,
    /// The columns of a row `t`, as they are selected.
    pub(super) selected: OnceLock<String>,
    /// The query of one row.
    pub(super) find: OnceLock<String>,
}

impl Texts {
    /// Makes texts of which none is put together yet.
    pub const fn unmade() -> Self {
        Self { columns: OnceLock::new(), selected: OnceLock::new(), find: OnceLock::new() }
    }
}

/// A property of a row with few values, which is packed into the row's facet.
#[derive(Debug)]
pub struct Dimension {
    /// The name of the property.
    pub name: &'static str,
    /// The bits by which its number is shifted to the left within the facet.
    pub shift: u32,
    /// The bits of its number, such as 7 for numbers up to 7.
    pub bits: i16,
}

/// An order that lists can have. Between equals the id decides.
#[derive(Debug)]
pub struct Order {
    /// The name that callers know it by, such as `dueAt`.
    pub name: &'static str,
    /// The column.
    pub column: &'static str,
    /// The values of the column.
    pub values: Values,
    /// True if an index leads with the facet and goes on with this order, so that lists by
    /// dimensions are merged. Without one they are walked, or sorted where they are few.
    pub by_facet: bool,
}

/// The order of creation, of a noun whose index of it leads with the facet too.
pub static CREATED_AT: Order = Order::of_numbers("createdAt", "created_at");
/// The order of the last change, likewise.
pub static UPDATED_AT: Order = Order::of_numbers("updatedAt", "updated_at");

/// The values of the column of an order.
#[derive(Debug, Clone, Copy)]
pub enum Values {
    /// A number in each row.
    Numbers,
    /// A number or NULL; rows without one come last in either direction.
    NumbersOrNull,
    /// The number of a dimension.
    Rank(&'static Dimension),
    /// A text in each row, compared byte by byte.
    Texts,
}

/// A filter that finds its rows through an index of its own.
#[derive(Debug)]
pub struct NarrowFilter {
    /// The columns that have to be asked for, each for equality.
    pub columns: &'static [&'static str],
    /// The index that leads with them; for a [`Side`] that of its table.
    pub index: &'static str,
    /// True if there is one row at most; the index goes on with the time of creation and the id
    /// otherwise.
    pub is_unique: bool,
    /// The table in which the column stands, if it is not the noun's own.
    pub side: Option<&'static Side>,
}

/// A text that no two rows of a workspace share, by which a path can name a row in place of its id.
#[derive(Debug)]
pub struct AlternateKey {
    /// The column with the text.
    pub column: &'static str,
    /// The column by which it is unique and looked up: the same one, or that of the text folded by case.
    pub unique: &'static str,
}

/// The table with the words of a noun's rows. On SQLite its index has the same name and `_fts`.
#[derive(Debug)]
pub struct Search {
    /// The name in the schema.
    pub table: &'static str,
}

/// A table with any number of values of a row, such as its tags.
#[derive(Debug)]
pub struct Side {
    /// The name in the schema.
    pub table: &'static str,
    /// The column with the id of the row that a value belongs to.
    pub owner: &'static str,
    /// The column with the value.
    pub value: &'static str,
    /// True if the values are texts; they are numbers otherwise.
    pub is_text: bool,
    /// A column that repeats when the row was created, so that the rows of a value are found in that
    /// order.
    pub created_at: Option<&'static str>,
}

impl Table {
    /// The order that callers know by this name.
    pub fn order(&self, name: &str) -> Option<&'static Order> {
        self.orders.iter().copied().find(|order| order.name == name)
    }

    /// The order whose column this is.
    pub(super) fn order_of_column(&self, column: &str) -> Option<&'static Order> {
        self.orders.iter().copied().find(|order| order.column == column)
    }

    /// The order of creation.
    pub(super) fn by_creation(&self) -> &'static Order {
        self.orders[0]
    }

    /// The index by which the rows of a facet are looked up.
    pub(super) fn index_of_facets(&self) -> String {
        format!("{}_facet_{}_id_idx", self.name, self.by_creation().column)
    }

    /// The index of an order: it ends in the facet, so that rows are counted and chosen without
    /// fetching them.
    pub(super) fn index_of(&self, order: &Order) -> String {
        format!("{}_{}_id_facet_idx", self.name, order.column)
    }
}

impl NarrowFilter {
    /// Makes a filter by columns of the noun's own, with any number of rows.
    pub const fn of(columns: &'static [&'static str], index: &'static str) -> Self {
        Self { columns, index, is_unique: false, side: None }
    }

    /// Makes a filter by columns of the noun's own, with one row at most.
    pub const fn unique(columns: &'static [&'static str], index: &'static str) -> Self {
        Self { columns, index, is_unique: true, side: None }
    }

    /// Makes a filter by the values of a table beside.
    pub const fn beside(side: &'static Side, index: &'static str) -> Self {
        Self {
            columns: std::slice::from_ref(&side.value),
            index,
            is_unique: false,
            side: Some(side),
        }
    }
}

impl AlternateKey {
    /// A text that is unique as it is written.
    pub const fn exact(column: &'static str) -> Self {
        Self { column, unique: column }
    }

    /// A text that is unique whatever its case, by another column.
    pub const fn folded(column: &'static str, unique: &'static str) -> Self {
        Self { column, unique }
    }
}

impl Order {
    /// An order of texts, of a noun whose index of it leads with the facet too.
    pub const fn of_texts(name: &'static str, column: &'static str) -> Self {
        Self { name, column, values: Values::Texts, by_facet: true }
    }

    const fn of_numbers(name: &'static str, column: &'static str) -> Self {
        Self { name, column, values: Values::Numbers, by_facet: true }
    }

    /// Returns true if rows without a value follow those that have one.
    pub(super) fn has_nulls(&self) -> bool {
        matches!(self.values, Values::NumbersOrNull)
    }

    /// Returns true if its values are texts.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.values, Values::Texts)
    }
}

impl Dimension {
    /// A facet's part of this dimension: the property's number at its place.
    pub fn pack(&self, number: i16) -> i16 {
        debug_assert!(number & !self.bits == 0, "{} has no number {number}", self.name);
        number << self.shift
    }
}
