//! What an update does to a ticket: its fields, and the event that tells of it.

use rest::{Mask, Violations};
use serde_json::{Map, Value};

use super::{check_external, messages, status};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::Event;
use crate::pb;
use crate::store::tickets::{Status, Ticket};

/// The ticket as the request wants it; what the mask does not name stays as it is.
pub fn apply(
    before: &Ticket,
    message: &pb::UpdateTicketRequest,
    mask: &Mask,
    now: Timestamp,
) -> Result<Ticket, Error> {
    let mut after = before.clone();
    let wanted = message.status.map(messages::status);
    messages::merge(&mut after, message, mask);
    let mut violations = Violations::default();
    if mask.has("external_source") || mask.has("external_id") {
        check_external(
            after.external_source.is_some(),
            after.external_id.is_some(),
            &mut violations,
        );
    }
    if !violations.is_empty() {
        return Err(Error::invalid(violations));
    }
    if let Some(to) = wanted.filter(|_| mask.has("status")) {
        let given = mask.has("pending_reason").then(|| after.pending_reason.clone());
        status::enter(&mut after, to, now)?;
        after.pending_reason = given.unwrap_or(after.pending_reason);
    }
    Ok(after)
}

/// The event of a new ticket.
pub fn created(ticket: &Ticket) -> Event {
    Event {
        event_type: "ticket.created",
        topics: vec!["ticket.created".to_owned()],
        object: object(ticket),
        changed_fields: Vec::new(),
        previous: Map::new(),
    }
}

/// The event of a change, with the fields that differ and what they were.
///
/// `version`, `updatedAt` and `updatedBy` differ in every change and are not listed.
pub fn updated(before: &Ticket, after: &Ticket) -> Event {
    const EVERY_CHANGE: [&str; 3] = ["version", "updatedAt", "updatedBy"];
    let (was, object) = (object(before), object(after));
    let mut previous = Map::new();
    for (field, value) in was.as_object().into_iter().flatten() {
        if object.get(field) != Some(value) && !EVERY_CHANGE.contains(&field.as_str()) {
            previous.insert(field.clone(), value.clone());
        }
    }
    let changed_fields = previous.keys().cloned().collect();
    let event_type = "ticket.updated";
    Event { event_type, topics: topics(before, after), object, changed_fields, previous }
}

/// The topics under which a subscriber may ask for a change: its type, and narrower ones.
fn topics(before: &Ticket, after: &Ticket) -> Vec<String> {
    use Status::{Closed, Resolved};
    let moved = before.status != after.status;
    let became = |status| moved && after.status == status;
    let topics = [
        ("ticket.updated", true),
        ("ticket.status_changed", moved),
        ("ticket.resolved", became(Resolved)),
        ("ticket.closed", became(Closed)),
        ("ticket.reopened", after.reopen_count > before.reopen_count),
        ("ticket.assigned", after.assignee_id.is_some() && before.assignee_id != after.assignee_id),
    ];
    topics.into_iter().filter(|(_, applies)| *applies).map(|(topic, _)| topic.to_owned()).collect()
}

/// The ticket as GET returns it.
fn object(ticket: &Ticket) -> Value {
    serde_json::to_value(messages::ticket(ticket.clone())).expect("a ticket always serializes")
}
