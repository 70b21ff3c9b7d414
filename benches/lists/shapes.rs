//! The lists that are measured: what integrators ask for, and what is hard to answer.

use orqit::clock::Timestamp;
use orqit::store::nouns::{Direction, Noun, Query};
use orqit::store::tickets::{Category, Priority, Status, Ticket, TicketFilter, TicketType};

use crate::database::{MINUTE_MS, START};

/// Each with its name. `tickets` is how many there are, one a minute.
pub fn shapes(tickets: i64) -> Vec<(String, Query)> {
    let mut shapes = Vec::new();
    for (name, filter) in filters(tickets) {
        for sort in ["-createdAt", "createdAt", "-updatedAt", "updatedAt", "-priority", "dueAt"] {
            let (column, direction) = match sort.strip_prefix('-') {
                Some(column) => (column, Direction::Descending),
                None => (sort, Direction::Ascending),
            };
            let order = Ticket::table().order(column).expect("an order of tickets");
            shapes.push((format!("{name} by {sort}"), filter.query(Some((order, direction)))));
        }
    }
    shapes
}

fn filters(tickets: i64) -> Vec<(&'static str, TicketFilter)> {
    let none = TicketFilter::default;
    // When so many of a hundred tickets had been made.
    let at = |percent: i64| Some(Timestamp(START + tickets * percent / 100 * MINUTE_MS));
    let words = |text: &str| TicketFilter { words: Some(text.to_owned()), ..none() };
    let open = vec![Status::Open];
    let urgent = vec![Priority::Critical];
    vec![
        ("none", none()),
        ("status of 6 %", TicketFilter { status: open.clone(), ..none() }),
        ("status of 84 %", TicketFilter { status: vec![Status::Closed], ..none() }),
        ("statuses", TicketFilter { status: vec![Status::Open, Status::Pending], ..none() }),
        ("priority", TicketFilter { priority: urgent.clone(), ..none() }),
        ("type", TicketFilter { ticket_type: vec![TicketType::Problem], ..none() }),
        ("category", TicketFilter { category: vec![Category::Email], ..none() }),
        ("unassigned", TicketFilter { unassigned: Some(true), ..none() }),
        ("assignee of 2 %", TicketFilter { assignee_ids: vec![3], ..none() }),
        ("requester of 0.1 %", TicketFilter { requester_ids: vec![3], ..none() }),
        ("parent", TicketFilter { parent_ids: vec![1], ..none() }),
        ("tag of 1 %", TicketFilter { tag: Some("tag-1".to_owned()), ..none() }),
        ("source of 30 %", TicketFilter { external_source: Some("jira".to_owned()), ..none() }),
        ("created in the last 1 %", TicketFilter { created_after: at(99), ..none() }),
        ("created in the last half", TicketFilter { created_after: at(50), ..none() }),
        ("changed in the last 1 %", TicketFilter { updated_since: at(99), ..none() }),
        ("changed in the last 90 %", TicketFilter { updated_since: at(10), ..none() }),
        ("word of 10 %", words("tenth")),
        ("word of 1 %", words("hundredth")),
        ("word of the first 2 %", words("early")),
        ("word of all", words("all")),
        ("beginning of a word", words("w12")),
        ("two words", words("tenth hundredth")),
        ("word of 10 % and open", TicketFilter { status: open.clone(), ..words("tenth") }),
        (
            "open and urgent",
            TicketFilter { status: open.clone(), priority: urgent.clone(), ..none() },
        ),
        (
            "open, created in the last 90 %",
            TicketFilter { status: open.clone(), created_after: at(10), ..none() },
        ),
        (
            "closed, changed in the last half",
            TicketFilter { status: vec![Status::Closed], updated_since: at(50), ..none() },
        ),
        ("assignee and open", TicketFilter { assignee_ids: vec![3], status: open, ..none() }),
        (
            "tag and urgent",
            TicketFilter { tag: Some("tag-1".to_owned()), priority: urgent, ..none() },
        ),
    ]
}
