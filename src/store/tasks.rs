//! The tasks of projects. Their status and priority are numbers here, as the contract numbers them.

use std::borrow::Cow;

use sea_orm::{ColumnTrait, QueryTrait};

use super::entity::task;
use super::nouns::{
    Dimension, Figure, FigureNumber, KeyValue, NarrowFilter, Noun, Order, Search, Table, Texts,
    Values, decode, noun_head, noun_row, rows_where,
};
use super::projects::Project;
use super::rows::RowSource;
use super::sql::statement;
use super::{Reader, Tx};
use crate::clock::{Date, Timestamp};
use crate::error::Error;
use crate::metrics::StoreOperation;
use crate::resource::Resource;

/// The status of tasks, as a dimension of their lists.
pub static STATUS: Dimension = Dimension { name: "status", shift: 4, bits: 7 };
/// Their priority.
pub static PRIORITY: Dimension = Dimension { name: "priority", shift: 1, bits: 7 };
/// Whether nobody works on them.
pub static UNASSIGNED: Dimension = Dimension { name: "unassigned", shift: 0, bits: 1 };

static CREATED_AT: Order =
    Order { name: "createdAt", column: "created_at", values: Values::Numbers, by_facet: false };
static UPDATED_AT: Order =
    Order { name: "updatedAt", column: "updated_at", values: Values::Numbers, by_facet: false };
static BY_PRIORITY: Order = Order {
    name: "priority",
    column: "priority",
    values: Values::Rank(&PRIORITY),
    by_facet: false,
};
static DUE_DATE: Order =
    Order { name: "dueDate", column: "due_date", values: Values::NumbersOrNull, by_facet: false };

/// The words of title and description.
pub static WORDS: Search = Search { table: "task_words" };

static TASKS: Table = Table {
    name: "tasks",
    resource: Resource::Task,
    noun: 8,
    has_history: true,
    dimensions: &[&STATUS, &PRIORITY, &UNASSIGNED],
    orders: &[&CREATED_AT, &UPDATED_AT, &BY_PRIORITY, &DUE_DATE],
    narrows: &[
        NarrowFilter::of(
            &["project_id", "ticket_id"],
            "tasks_project_id_ticket_id_created_at_id_idx",
        ),
        NarrowFilter::of(
            &["project_id", "assignee_id"],
            "tasks_project_id_assignee_id_created_at_id_idx",
        ),
        NarrowFilter::of(&["project_id"], "tasks_project_id_created_at_id_facet_idx"),
    ],
    sides: &[],
    search: Some(&WORDS),
    texts: Texts::unmade(),
};

/// A task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// 1, 2, 3 … within the workspace; 0 before it has one.
    pub id: i64,
    /// Its number for people: the key of its project, and 1, 2, 3 … within the project.
    pub task_number: String,
    /// Its project.
    pub project_id: i64,
    /// What is to be done, in a line.
    pub title: String,
    /// What is to be done, in full.
    pub description: Option<String>,
    /// The number of its priority.
    pub priority: i16,
    /// The number of its status.
    pub status: i16,
    /// The user who works on it.
    pub assignee_id: Option<i64>,
    /// When it is due.
    pub due_date: Option<Date>,
    /// How long it is thought to take.
    pub estimate_minutes: Option<i32>,
    /// The ticket that it belongs to.
    pub ticket_id: Option<i64>,
    /// When it was done; none while it is not.
    pub completed_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// 1 when made, one more with every change.
    pub version: i64,
}

impl Reader<'_> {
    /// The task with this number, such as `OPS-1`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_task_by_number(&self, number: &str) -> Result<Option<Task>, Error> {
        let _timed = StoreOperation::begin("find_by_number", "tasks");
        let of_number = task::Column::TaskNumber.eq(number);
        let select = rows_where::<Task>(self.workspace, of_number).build(self.backend());
        let found = RowSource::Reader(*self).read(select, decode::<Task>).await?;
        Ok(found.into_iter().next())
    }
}

impl Tx {
    /// The id of the task with this number.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_task_id(&self, number: &str) -> Result<Option<i64>, Error> {
        let _timed = StoreOperation::begin("find_by_number", "tasks");
        let text = "SELECT id FROM tasks WHERE workspace_id = $1 AND task_number = $2";
        let find =
            statement(self.transaction.backend(), text, [self.workspace.0.into(), number.into()]);
        self.transaction.read_one(find, |row| row.get(0)).await
    }
}

impl Noun for Task {
    type Entity = task::Entity;

    fn table() -> &'static Table {
        &TASKS
    }

    noun_row! {
        task {
            id, task_number, project_id, title, description, priority, status, assignee_id,
            due_date, estimate_minutes, ticket_id, completed_at, created_at, updated_at, version,
        }
        |row| {
            facet: row.facet(),
        }
    }

    noun_head!();

    fn facet(&self) -> i16 {
        STATUS.pack(self.status)
            | PRIORITY.pack(self.priority)
            | UNASSIGNED.pack(self.assignee_id.is_none().into())
    }

    fn key(&self, order: &Order) -> Option<KeyValue> {
        let number = match order.column {
            "updated_at" => self.updated_at.0,
            "priority" => self.priority.into(),
            "due_date" => self.due_date?.start().0,
            _ => self.created_at.0,
        };
        Some(KeyValue::Number(number))
    }

    fn bytes(&self) -> usize {
        self.title.len() + self.description.as_ref().map_or(0, String::len)
    }

    fn searched(&self) -> [Cow<'_, str>; 2] {
        let description = self.description.as_deref().unwrap_or_default();
        [Cow::Borrowed(&self.title), Cow::Borrowed(description)]
    }

    /// Beside its project stands how many tasks are in each status, by the status's number.
    fn counted_in(&self) -> Vec<Figure> {
        vec![FigureNumber(self.status).beside::<Project>(self.project_id)]
    }
}
