//! The projects of a workspace. Their status is a number here, as the contract numbers it.

use std::borrow::Cow;

use migrations::case_folded;
use sea_orm::{ColumnTrait, DbErr, QueryTrait};

use super::entity::project;
use super::failure::is_taken;
use super::nouns::{
    Dimension, KeyValue, NarrowFilter, Noun, Order, Search, Table, Texts, Values, decode,
    noun_head, noun_row, rows_where,
};
use super::rows::RowSource;
use super::sql::statement;
use super::{Reader, Tx};
use crate::clock::{Date, Timestamp};
use crate::error::{Error, Kind};
use crate::metrics::StoreOperation;
use crate::resource::Resource;

/// The status of projects, as a dimension of their lists.
pub static STATUS: Dimension = Dimension { name: "status", shift: 0, bits: 7 };

static CREATED_AT: Order =
    Order { name: "createdAt", column: "created_at", values: Values::Numbers, by_facet: true };
static UPDATED_AT: Order =
    Order { name: "updatedAt", column: "updated_at", values: Values::Numbers, by_facet: true };
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
    narrows: &[NarrowFilter::of(&["lead_id"], "projects_lead_id_created_at_id_idx")],
    sides: &[],
    search: Some(&WORDS),
    texts: Texts::unmade(),
};

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// 1, 2, 3 … within the workspace; 0 before it has one.
    pub id: i64,
    /// What its tasks are numbered with, unique in the workspace: the key of the contract.
    pub code: String,
    /// What it is called.
    pub name: String,
    /// What it is about.
    pub description: Option<String>,
    /// The number of its status.
    pub status: i16,
    /// The user who leads it.
    pub lead_id: Option<i64>,
    /// When it begins.
    pub start_date: Option<Date>,
    /// When it is due.
    pub due_date: Option<Date>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// 1 when made, one more with every change.
    pub version: i64,
}

impl Reader<'_> {
    /// The project with this key.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_project_by_key(&self, key: &str) -> Result<Option<Project>, Error> {
        let _timed = StoreOperation::begin("find_by_key", "projects");
        let of_key = project::Column::Code.eq(key);
        let select = rows_where::<Project>(self.workspace, of_key).build(self.backend());
        let found = RowSource::Reader(*self).read(select, decode::<Project>).await?;
        Ok(found.into_iter().next())
    }
}

impl Tx {
    /// The id of the project with this key.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_project_id(&self, key: &str) -> Result<Option<i64>, Error> {
        let _timed = StoreOperation::begin("find_by_key", "projects");
        let text = "SELECT id FROM projects WHERE workspace_id = $1 AND code = $2";
        let find =
            statement(self.transaction.backend(), text, [self.workspace.0.into(), key.into()]);
        self.transaction.read_one(find, |row| row.get(0)).await
    }
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

    fn key(&self, order: &Order) -> Option<KeyValue> {
        let number = match order.column {
            "name_key" => return Some(KeyValue::Text(case_folded(&self.name))),
            "updated_at" => self.updated_at.0,
            "due_date" => self.due_date?.start().0,
            _ => self.created_at.0,
        };
        Some(KeyValue::Number(number))
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
