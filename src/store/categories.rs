//! A workspace's own categories of tickets.

use migrations::case_folded;
use sea_orm::DbErr;

use super::Tx;
use super::entity::category;
use super::failure::is_taken;
use super::nouns::{
    CREATED_AT, Condition, Dimension, Direction, Noun, Order, Query, Table, Texts, UPDATED_AT,
    noun_head, noun_row,
};
use super::tickets::{Category, Priority};
use crate::clock::Timestamp;
use crate::error::{Error, Kind};
use crate::resource::Resource;

static ACTIVE: Dimension = Dimension { name: "active", shift: 1, bits: 1 };
/// A bit that is always set: no row has the facet 0.
static MADE: Dimension = Dimension { name: "made", shift: 0, bits: 1 };

static NAME: Order = Order::of_texts("name", "name_key");

/// The table of categories.
static CATEGORIES: Table = Table {
    name: "categories",
    resource: Resource::Category,
    noun: 3,
    has_history: false,
    dimensions: &[&ACTIVE],
    orders: &[&CREATED_AT, &UPDATED_AT, &NAME],
    alternate_key: None,
    narrows: &[],
    sides: &[],
    search: None,
    texts: Texts::unmade(),
};

/// A category of tickets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CategoryConfig {
    /// The id: 1, 2, 3 … within the workspace.
    pub id: i64,
    /// The name, unique in the workspace whatever its case.
    pub name: String,
    /// The built-in category that its tickets get.
    pub base_category: Category,
    /// The priority that its new tickets get where nothing else gives them one.
    pub default_priority: Option<Priority>,
    /// True if tickets can get it.
    pub is_active: bool,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The version: 1 when made, one more with every change.
    pub version: i64,
}

/// A category to be made.
#[derive(Debug, Clone)]
pub struct NewCategory {
    /// The name.
    pub name: String,
    /// The built-in category that its tickets get.
    pub base_category: Category,
    /// The priority that its new tickets get where nothing else gives them one.
    pub default_priority: Option<Priority>,
    /// True if tickets can get it.
    pub is_active: bool,
}

impl CategoryConfig {
    /// The list of the categories that tickets can get (true), cannot (false), or all; the newest
    /// first, unless an order is given.
    pub fn query(active: Option<bool>, sort: Option<(&'static Order, Direction)>) -> Query {
        let (order, direction) = sort.unwrap_or((&CREATED_AT, Direction::Descending));
        Query::all(order, direction).filter(Condition::dimension(&ACTIVE, active.map(i16::from)))
    }
}

impl Tx {
    /// Makes a category. A name that is taken is ALREADY_EXISTS.
    pub async fn insert_category(&mut self, new: NewCategory) -> Result<CategoryConfig, Error> {
        let category = CategoryConfig {
            id: 0,
            name: new.name,
            base_category: new.base_category,
            default_priority: new.default_priority,
            is_active: new.is_active,
            created_at: self.now,
            updated_at: self.now,
            version: 1,
        };
        self.insert(category).await
    }
}

impl Noun for CategoryConfig {
    type Entity = category::Entity;

    fn table() -> &'static Table {
        &CATEGORIES
    }

    noun_row! {
        category {
            id, name, base_category, default_priority, is_active, created_at, updated_at, version,
        }
        |row| {
            facet: row.facet(),
            name_key: case_folded(&row.name),
        }
    }

    noun_head!();

    fn facet(&self) -> i16 {
        ACTIVE.pack(self.is_active.into()) | MADE.pack(1)
    }

    fn taken(&self, error: &DbErr) -> Option<Error> {
        let message = || format!("A category with the name \"{}\" exists already.", self.name);
        is_taken(error, &["name_key"]).then(|| Error::new(Kind::AlreadyExists, message()))
    }
}
