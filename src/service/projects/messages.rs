//! The translation between the messages of the contract and the projects of the store.

use rest::Violations;

use crate::clock::{Date, Timestamp};
use crate::error::Error;
use crate::pb;
use crate::service::stored;
use crate::store::nouns::Figures;
use crate::store::projects::Project;

/// The rules of a new project that no single field can tell.
pub fn check_new(message: &pb::CreateProjectRequest, violations: &mut Violations) {
    let mut rest = message.key.chars();
    // That an empty one is wrong is told already.
    let begins = rest.next().is_none_or(|first| first.is_ascii_uppercase());
    if !begins || !rest.all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()) {
        let remedy = "key must be a capital letter, then capital letters and digits, such as OPS";
        violations.add("key", "INVALID_VALUE", remedy);
    }
    check_dates(&message.start_date, &message.due_date, violations);
}

/// Checks that a project does not end before it begins; dates as they are written are in the order
/// of their texts.
fn check_dates(start: &Option<String>, due: &Option<String>, violations: &mut Violations) {
    if let (Some(start), Some(due)) = (start, due)
        && due < start
    {
        violations.add("dueDate", "OUT_OF_RANGE", "dueDate must not be before startDate");
    }
}

/// A project as the contract shows it, with nothing counted beside it.
pub fn shown(project: Project) -> pb::Project {
    pb::Project {
        id: project.id,
        key: project.code,
        name: project.name,
        description: project.description,
        status: project.status.into(),
        lead_id: project.lead_id,
        start_date: project.start_date.map(|date| date.to_string()),
        due_date: project.due_date.map(|date| date.to_string()),
        task_counts: Some(pb::TaskCounts::default()),
        created_at: Some(project.created_at.into()),
        updated_at: Some(project.updated_at.into()),
        version: project.version,
    }
}

/// Shows how many tasks a project has in each status.
pub fn count(project: &mut pb::Project, figures: &Figures) {
    let of = |status: pb::TaskStatus| {
        let found = figures.get(&(project.id, status as i16));
        found.copied().unwrap_or_default()
    };
    project.task_counts = Some(pb::TaskCounts {
        todo: of(pb::TaskStatus::Todo),
        in_progress: of(pb::TaskStatus::InProgress),
        in_review: of(pb::TaskStatus::InReview),
        blocked: of(pb::TaskStatus::Blocked),
        done: of(pb::TaskStatus::Done),
        cancelled: of(pb::TaskStatus::Cancelled),
    });
}

/// The project that a request asks for.
pub fn new_project(message: pb::CreateProjectRequest, now: Timestamp) -> Project {
    Project {
        id: 0,
        code: message.key,
        name: message.name,
        description: message.description,
        status: stored(message.status.unwrap_or(pb::ProjectStatus::Planned.into())),
        lead_id: message.lead_id,
        start_date: message.start_date.as_deref().and_then(Date::parse),
        due_date: message.due_date.as_deref().and_then(Date::parse),
        created_at: now,
        updated_at: now,
        version: 1,
    }
}

/// The project `before` as `wanted` shows it.
pub fn updated(before: &Project, wanted: pb::Project) -> Result<Project, Error> {
    let mut violations = Violations::default();
    check_dates(&wanted.start_date, &wanted.due_date, &mut violations);
    if !violations.is_empty() {
        return Err(Error::invalid(violations));
    }
    Ok(Project {
        name: wanted.name,
        description: wanted.description,
        status: stored(wanted.status),
        lead_id: wanted.lead_id,
        start_date: wanted.start_date.as_deref().and_then(Date::parse),
        due_date: wanted.due_date.as_deref().and_then(Date::parse),
        ..before.clone()
    })
}
