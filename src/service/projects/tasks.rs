//! The tasks of projects.

use rest::{Mask, Merge, Violations};

use super::{Error, Kind, Resource, Tx, User, changes, pages, transitions};
use crate::clock::{Date, Timestamp};
use crate::pb;
use crate::pb::{ProjectStatus, TaskStatus};
use crate::service::{next_milli, references, stored};
use crate::store::nouns::{Condition, Query};
use crate::store::projects::Project;
use crate::store::tasks::{PRIORITY, STATUS, Task, UNASSIGNED, WORDS};
use crate::store::tickets::Ticket;

/// Makes a task in a project, which is locked, so its number is one more than the tasks that there are.
pub async fn create(
    tx: &mut Tx,
    project: &Project,
    message: pb::CreateTaskRequest,
) -> Result<pb::Task, Error> {
    let closed = [ProjectStatus::Completed as i16, ProjectStatus::Cancelled as i16];
    if closed.contains(&project.status) {
        let status = transitions::name::<ProjectStatus>(project.status.into());
        let message = format!(
            "A project that is {status} takes no new tasks. Change its status to ACTIVE first."
        );
        return Err(Error::new(Kind::ProjectClosed, message));
    }
    check_references(tx, message.assignee_id, message.ticket_id).await?;
    let tasks: i64 = tx.figures::<Project>(project.id).await?.values().sum();
    let mut task = new_task(message, tx.now());
    task.task_number = format!("{}-{}", project.code, tasks + 1);
    task.project_id = project.id;
    let task = shown(tx.insert(task).await?);
    tx.record(changes::created(Resource::Task, &task));
    Ok(task)
}

/// Changes a task that is held, and returns it as it is then.
pub async fn update(
    tx: &mut Tx,
    before: Task,
    message: &pb::UpdateTaskRequest,
    mask: &Mask,
) -> Result<pb::Task, Error> {
    let was = shown(before.clone());
    let mut wanted = was.clone();
    message.merge(mask, &mut wanted);
    let mut after = updated(&before, wanted);
    if after.status != before.status {
        transitions::check::<TaskStatus>("A task", before.status, after.status)?;
        after.completed_at = completed(after.status, tx.now());
    }
    let changed = |is: Option<i64>, was: Option<i64>| is.filter(|_| is != was);
    let assignee = changed(after.assignee_id, before.assignee_id);
    check_references(tx, assignee, changed(after.ticket_id, before.ticket_id)).await?;
    if after == before {
        return Ok(was);
    }
    let after = tx.update(&before, after).await?;
    let is = shown(after.clone());
    let topics = topics(&before, &after);
    tx.record_update(&after, changes::updated(Resource::Task, &was, &is, topics));
    Ok(is)
}

async fn check_references(
    tx: &Tx,
    assignee: Option<i64>,
    ticket: Option<i64>,
) -> Result<(), Error> {
    let mut violations = Violations::default();
    let named = |field: &str, id: Option<i64>| Vec::from_iter(id.map(|id| (field.to_owned(), id)));
    let (users, tickets) = (named("assigneeId", assignee), named("ticketId", ticket));
    references::check::<User>(tx, &users, &mut violations).await?;
    references::check::<Ticket>(tx, &tickets, &mut violations).await?;
    references::refuse(violations)
}

/// The narrower topics under which a subscriber may ask for a change.
fn topics(before: &Task, after: &Task) -> impl Iterator<Item = &'static str> {
    let moved = before.status != after.status;
    let given = before.assignee_id != after.assignee_id && after.assignee_id.is_some();
    let topics = [
        ("task.status_changed", moved),
        ("task.completed", moved && after.completed_at.is_some()),
        ("task.assigned", given),
    ];
    topics.into_iter().filter(|(_, applies)| *applies).map(|(topic, _)| topic)
}

/// Returns the time of completion of a task that comes into a status.
fn completed(status: i16, now: Timestamp) -> Option<Timestamp> {
    (status == TaskStatus::Done as i16).then_some(now)
}

/// A task as the contract shows it.
pub fn shown(task: Task) -> pb::Task {
    pb::Task {
        id: task.id,
        task_number: task.task_number,
        project_id: task.project_id,
        title: task.title,
        description: task.description,
        priority: task.priority.into(),
        status: task.status.into(),
        assignee_id: task.assignee_id,
        due_date: task.due_date.map(|date| date.to_string()),
        estimate_minutes: task.estimate_minutes,
        ticket_id: task.ticket_id,
        completed_at: task.completed_at.map(Into::into),
        created_at: Some(task.created_at.into()),
        updated_at: Some(task.updated_at.into()),
        version: task.version,
    }
}

/// The task that a request asks for, of no project yet.
fn new_task(message: pb::CreateTaskRequest, now: Timestamp) -> Task {
    let status = stored(message.status.unwrap_or(TaskStatus::Todo.into()));
    Task {
        id: 0,
        task_number: String::new(),
        project_id: 0,
        title: message.title,
        description: message.description,
        priority: stored(message.priority.unwrap_or(pb::Priority::Medium.into())),
        status,
        assignee_id: message.assignee_id,
        due_date: message.due_date.as_deref().and_then(Date::parse),
        estimate_minutes: message.estimate_minutes,
        ticket_id: message.ticket_id,
        completed_at: completed(status, now),
        created_at: now,
        updated_at: now,
        version: 1,
    }
}

/// The task `before` as `wanted` shows it.
fn updated(before: &Task, wanted: pb::Task) -> Task {
    Task {
        title: wanted.title,
        description: wanted.description,
        priority: stored(wanted.priority),
        status: stored(wanted.status),
        assignee_id: wanted.assignee_id,
        due_date: wanted.due_date.as_deref().and_then(Date::parse),
        estimate_minutes: wanted.estimate_minutes,
        ticket_id: wanted.ticket_id,
        ..before.clone()
    }
}

/// Translates the filters of a list of the tasks of a project.
pub fn query(project: i64, message: &pb::ListTasksRequest) -> Query {
    let due_before = message.due_before.as_deref().and_then(Date::parse);
    let conditions = [
        Condition::numbers("project_id", &[project]),
        Condition::dimension(&STATUS, message.status.iter().copied()),
        Condition::dimension(&PRIORITY, message.priority.iter().copied()),
        Condition::dimension(&UNASSIGNED, message.unassigned.map(i32::from)),
        Condition::numbers("assignee_id", &message.assignee_id),
        Condition::numbers("ticket_id", &message.ticket_id),
        message.q.as_deref().map(|text| Condition::search(&WORDS, text)),
        Condition::before("due_date", due_before.map(Date::start)),
        Condition::since("updated_at", message.updated_since.map(next_milli)),
    ];
    pages::query::<Task>(message.sort.as_deref(), message.updated_since, conditions)
}
