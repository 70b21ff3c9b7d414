//! The life of a ticket: which status may follow which, and what a change of status brings along.

use rest::Steps;

use crate::clock::Timestamp;
use crate::config::REOPEN_WITHIN;
use crate::error::Error;
use crate::pb;
use crate::service::transitions;
use crate::store::tickets::{Status, Ticket};

/// Moves `ticket` to `to`, with the times and counts that the move brings along.
///
/// The same status again changes nothing.
pub fn enter(ticket: &mut Ticket, to: Status, now: Timestamp) -> Result<(), Error> {
    use Status::{Closed, Pending, Resolved};
    let from = ticket.status;
    if from == to {
        return Ok(());
    }
    check(ticket, to, now)?;
    ticket.status = to;
    let was_done = matches!(from, Resolved | Closed);
    match to {
        Resolved => ticket.resolved_at = Some(now),
        Closed => {
            ticket.closed_at = Some(now);
            ticket.resolved_at = ticket.resolved_at.or(Some(now));
        }
        _ if was_done => {
            ticket.resolved_at = None;
            ticket.closed_at = None;
            ticket.reopen_count += 1;
        }
        _ => {}
    }
    if from == Pending {
        ticket.pending_reason = None;
    }
    Ok(())
}

/// The numbers of the statuses that the ticket may go to now.
pub fn allowed(ticket: &Ticket, now: Timestamp) -> &'static [i32] {
    match is_closed_for_good(ticket, now) {
        true => &[],
        false => pb::TicketStatus::next(ticket.status.as_i16().into()),
    }
}

/// Returns true if the ticket was closed so long ago that it cannot be reopened.
fn is_closed_for_good(ticket: &Ticket, now: Timestamp) -> bool {
    let reopen_until = ticket.closed_at.map(|at| at.plus(REOPEN_WITHIN));
    ticket.status == Status::Closed && reopen_until.is_some_and(|until| until < now)
}

fn check(ticket: &Ticket, to: Status, now: Timestamp) -> Result<(), Error> {
    let (from, to) = (ticket.status.as_i16(), to.as_i16());
    if is_closed_for_good(ticket, now) {
        let message =
            "A ticket can be reopened within 30 days of closing; create a new one and refer to it.";
        let name = |status: i16| transitions::name::<pb::TicketStatus>(status.into());
        return Err(transitions::refused(name(from), name(to), Vec::new(), message.to_owned()));
    }
    transitions::check::<pb::TicketStatus>("A ticket", from, to)
}
