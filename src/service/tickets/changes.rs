//! The effects of an update on a ticket: its fields, and the event that tells of it.

use rest::{Mask, Merge, Violations};

use super::{messages, status};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::Event;
use crate::pb;
use crate::resource::Resource;
use crate::service::changes;
use crate::store::tickets::{Status, Ticket};

/// Returns the ticket as the request wants it; a field that the mask does not name stays as it is.
pub fn apply(
    before: &Ticket,
    message: &pb::UpdateTicketRequest,
    mask: &Mask,
    now: Timestamp,
) -> Result<Ticket, Error> {
    let mut wanted = messages::ticket(before.clone());
    message.merge(mask, &mut wanted);
    let to = messages::status(wanted.status);
    let mut after = messages::updated(before, wanted);
    if mask.has("category") {
        after.category_config_id = None;
    }
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
    if mask.has("status") {
        let given = mask.has("pending_reason").then(|| after.pending_reason.clone());
        status::enter(&mut after, to, now)?;
        after.pending_reason = given.unwrap_or(after.pending_reason);
    }
    Ok(after)
}

/// The event of a change.
pub fn updated(before: &Ticket, after: &Ticket) -> Event {
    let (was, is) = (messages::ticket(before.clone()), messages::ticket(after.clone()));
    changes::updated(Resource::Ticket, &was, &is, topics(before, after))
}

/// The narrower topics under which a subscriber may ask for a change.
fn topics(before: &Ticket, after: &Ticket) -> impl Iterator<Item = &'static str> {
    use Status::{Closed, Resolved};
    let moved = before.status != after.status;
    let became = |status| moved && after.status == status;
    let topics = [
        ("ticket.status_changed", moved),
        ("ticket.resolved", became(Resolved)),
        ("ticket.closed", became(Closed)),
        ("ticket.reopened", after.reopen_count > before.reopen_count),
        ("ticket.assigned", after.assignee_id.is_some() && before.assignee_id != after.assignee_id),
    ];
    topics.into_iter().filter(|(_, applies)| *applies).map(|(topic, _)| topic)
}

/// Notes that `externalSource` and `externalId` make sense only together.
pub fn check_external(source: bool, id: bool, violations: &mut Violations) {
    match (source, id) {
        (true, false) => {
            let remedy = "externalId is needed beside externalSource";
            violations.add("externalId", "REQUIRED", remedy);
        }
        (false, true) => {
            let remedy = "externalSource is needed beside externalId";
            violations.add("externalSource", "REQUIRED", remedy);
        }
        _ => {}
    }
}
