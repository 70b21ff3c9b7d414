//! The tasks of projects. Their status and priority are numbers here, as the contract numbers them.

use std::borrow::Cow;

use super::entity::task;
use super::nouns::{
    AlternateKey, Dimension, Figure, FigureNumber, NarrowFilter, Noun, Order, Search, Table, Texts,
    Values, noun_head, noun_row,
};
use super::projects::Project;
use crate::clock::{Date, Timestamp};
use crate::resource::Resource;

/// The status of tasks, as a dimension of their lists.
pub static STATUS: Dimension = Dimension { name: "status", shift: 4, bits: 7 };
/// The priority of a task, as a dimension of lists.
pub static PRIORITY: Dimension = Dimension { name: "priority", shift: 1, bits: 7 };
/// The tasks that nobody works on, as a dimension of lists.
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
    alternate_key: Some(AlternateKey::exact("task_number")),
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
    /// The id: 1, 2, 3 … within the workspace; 0 before it has one.
    pub id: i64,
    /// The number for people: the key of its project, and 1, 2, 3 … within the project.
    pub task_number: String,
    /// The project.
    pub project_id: i64,
    /// The title, in a line.
    pub title: String,
    /// The description.
    pub description: Option<String>,
    /// The number of its priority.
    pub priority: i16,
    /// The number of its status.
    pub status: i16,
    /// The user who works on it.
    pub assignee_id: Option<i64>,
    /// The date on which it is due.
    pub due_date: Option<Date>,
    /// The estimate of the work in minutes.
    pub estimate_minutes: Option<i32>,
    /// The ticket that it belongs to.
    pub ticket_id: Option<i64>,
    /// The time of completion; none while it is not done.
    pub completed_at: Option<Timestamp>,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The version: 1 when made, one more with every change.
    pub version: i64,
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

    fn bytes(&self) -> usize {
        self.title.len() + self.description.as_ref().map_or(0, String::len)
    }

    fn searched(&self) -> [Cow<'_, str>; 2] {
        let description = self.description.as_deref().unwrap_or_default();
        [Cow::Borrowed(&self.title), Cow::Borrowed(description)]
    }

    /// Counts the task in its project, by the number of its status.
    fn counted_in(&self) -> Vec<Figure> {
        vec![FigureNumber(self.status).beside::<Project>(self.project_id)]
    }
}
