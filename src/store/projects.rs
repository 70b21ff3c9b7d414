//! The projects of a workspace. Their status is a number here, as the contract numbers it.

use std::borrow::Cow;

use migrations::case_folded;
use sea_orm::DbErr;

use super::entity::project;
use super::failure::is_taken;
use super::nouns::{
    AlternateKey, CREATED_AT, Dimension, NarrowFilter, Noun, Order, Search, Table, Texts,
    UPDATED_AT, Values, noun_head, noun_row,
};
use crate::clock::{Date, Timestamp};
use crate::error::{Error, Kind};
use crate::resource::Resource;

/// The status of projects, as a dimension of their lists.
pub static STATUS: Dimension = Dimension { name: "status", shift: 0, bits: 7 };

static NAME: Order =
    Order { name: "name", column: "name_key", values: Values::Texts, by_facet: false };
static DUE_DATE: Order =
    Order { name: "dueDate", column: "due_date", values: Values::NumbersOrNull, by_facet: false };

/// The words of key, name and description.
pub static WORDS: Search = Search { table: "project_words" };

static PROJECTS: Table = Table {
    name: "projects",
    resource: Resource::Project,
    noun: 7,
    has_history: true,
    dimensions: &[&STATUS],
    orders: &[&CREATED_AT, &UPDATED_AT, &NAME, &DUE_DATE],
    alternate_key: Some(AlternateKey::exact("code")),
    narrows: &[NarrowFilter::of(&["lead_id"], "projects_lead_id_created_at_id_idx")],
    sides: &[],
    search: Some(&WORDS),
    texts: Texts::unmade(),
};

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The id: 1, 2, 3 … within the workspace; 0 before it has one.
    pub id: i64,
    /// The code with which its tasks are numbered, unique in the workspace: the key of the
    /// contract.
    pub code: String,
    /// The name.
    pub name: String,
    /// The description.
    pub description: Option<String>,
    /// The number of its status.
    pub status: i16,
    /// The user who leads it.
    pub lead_id: Option<i64>,
    /// The date on which it begins.
    pub start_date: Option<Date>,
    /// The date on which it is due.
    pub due_date: Option<Date>,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The version: 1 when made, one more with every change.
    pub version: i64,
}

impl Noun for Project {
    type Entity = project::Entity;

    fn table() -> &'static Table {
        &PROJECTS
    }

    noun_row! {
        project {
            id, code, name, description, status, lead_id, start_date, due_date, created_at,
            updated_at, version,
        }
        |row| {
            facet: row.facet(),
            name_key: case_folded(&row.name),
        }
    }

    noun_head!();

    fn facet(&self) -> i16 {
        STATUS.pack(self.status)
    }

    fn bytes(&self) -> usize {
        self.name.len() + self.description.as_ref().map_or(0, String::len)
    }

    fn searched(&self) -> [Cow<'_, str>; 2] {
        let description = self.description.as_deref().unwrap_or_default();
        [Cow::Owned(format!("{} {}", self.code, self.name)), Cow::Borrowed(description)]
    }

    fn taken(&self, error: &DbErr) -> Option<Error> {
        let message = || format!("A project with the key \"{}\" exists already.", self.code);
        is_taken(error, &["projects_code_idx", "projects.code"])
            .then(|| Error::new(Kind::AlreadyExists, message()))
    }
}
