//! The projects of the demo's company.

use std::sync::Arc;

use super::{DAY_MILLIS, by, refused};
use crate::auth::caller::Caller;
use crate::clock::{Clock, Date};
use crate::error::Error;
use crate::pb::project_service_server::ProjectService;
use crate::pb::{
    CreateProjectRequest, CreateTaskRequest, Priority, ProjectStatus, TaskStatus, UpdateTaskRequest,
};
use crate::service::projects::Projects;
use crate::store::Store;

/// A project of the demo. People are named by their place.
struct Plan {
    key: &'static str,
    name: &'static str,
    description: &'static str,
    status: ProjectStatus,
    lead: usize,
    /// The start and the due date, in days from today.
    days: (i64, i64),
    /// The tasks: title, priority, assignee, minutes, and status.
    tasks: &'static [(&'static str, Priority, Option<usize>, i32, TaskStatus)],
}

use Priority::{Critical, High, Low, Medium};
use TaskStatus::{Blocked, Done, InProgress, InReview, Todo};

const PLANS: [Plan; 3] = [
    Plan {
        key: "OPS",
        name: "New office in Porto",
        description: "Network, desks and telephones for 40 people, open in June.",
        status: ProjectStatus::Active,
        lead: 0,
        days: (-30, 105),
        tasks: &[
            ("Order the access points", High, Some(1), 60, Done),
            ("Plan the cabling with the landlord", High, Some(0), 480, InProgress),
            ("Book the line of the second provider", Medium, Some(1), 90, Blocked),
            ("Encomendar as secretárias", Medium, Some(6), 120, InReview),
            ("Print the signs of the meeting rooms", Low, None, 45, Todo),
        ],
    },
    Plan {
        key: "MAIL",
        name: "Neuer Mailserver",
        description: "Die Postfächer ziehen an einem Wochenende um, Abteilung für Abteilung.",
        status: ProjectStatus::Planned,
        lead: 1,
        days: (20, 80),
        tasks: &[
            ("Sicherung prüfen", Critical, Some(1), 240, Todo),
            ("Zeitplan mit den Abteilungen abstimmen", Medium, Some(5), 180, InProgress),
            ("Anleitung für die Telefone schreiben", Low, None, 120, Todo),
        ],
    },
    Plan {
        key: "AUDIT",
        name: "Inventory of all notebooks",
        description: "Every notebook has a tag, and somebody who has it.",
        status: ProjectStatus::Completed,
        lead: 1,
        days: (-150, -70),
        tasks: &[],
    },
];

/// Loads the projects.
pub async fn load(
    store: &Store,
    clock: &Clock,
    caller: &Arc<Caller>,
    people: &[i64],
) -> Result<(), Error> {
    let projects = Projects { store: store.clone() };
    for plan in &PLANS {
        begin(&projects, clock, caller, plan, people).await?;
    }
    Ok(())
}

async fn begin(
    projects: &Projects,
    clock: &Clock,
    caller: &Arc<Caller>,
    plan: &Plan,
    people: &[i64],
) -> Result<(), Error> {
    let date = |days: i64| Date::of(clock.now().plus_millis(days * DAY_MILLIS)).to_string();
    let (start, due) = plan.days;
    let create = CreateProjectRequest {
        key: plan.key.to_owned(),
        name: plan.name.to_owned(),
        description: Some(plan.description.to_owned()),
        status: Some(plan.status.into()),
        lead_id: Some(people[plan.lead]),
        start_date: Some(date(start)),
        due_date: Some(date(due)),
    };
    projects.create_project(by(caller, create)).await.map_err(refused)?;
    for (title, priority, assignee, minutes, status) in plan.tasks {
        let create = CreateTaskRequest {
            id: plan.key.to_owned(),
            title: (*title).to_owned(),
            priority: Some((*priority).into()),
            assignee_id: assignee.map(|assignee| people[assignee]),
            estimate_minutes: Some(*minutes),
            ..CreateTaskRequest::default()
        };
        let made = projects.create_task(by(caller, create)).await.map_err(refused)?.into_inner();
        let update = UpdateTaskRequest {
            task_id: made.task.map_or_else(String::new, |task| task.task_number),
            status: Some((*status).into()),
            ..UpdateTaskRequest::default()
        };
        projects.update_task(by(caller, update)).await.map_err(refused)?;
    }
    Ok(())
}
