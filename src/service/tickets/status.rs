//! The life of a ticket: which status may follow which, and what a change of status brings along.

use crate::clock::Timestamp;
use crate::config::REOPEN_WITHIN;
use crate::error::Error;
use crate::service::transitions::refused;
use crate::store::tickets::{Status, Ticket};

impl Status {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::InProgress => "IN_PROGRESS",
            Self::Pending => "PENDING",
            Self::Resolved => "RESOLVED",
            Self::Closed => "CLOSED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// The statuses that a ticket in this one may go to.
    pub fn next(self) -> &'static [Self] {
        use Status::{Cancelled, Closed, InProgress, Open, Pending, Resolved};
        match self {
            Open => &[InProgress, Pending, Resolved, Closed, Cancelled],
            InProgress => &[Open, Pending, Resolved, Closed, Cancelled],
            Pending => &[Open, InProgress, Resolved, Closed, Cancelled],
            Resolved => &[Open, InProgress, Closed],
            Closed => &[Open, InProgress],
            Cancelled => &[Open],
        }
    }
}

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

/// The statuses that the ticket may go to now.
pub fn allowed(ticket: &Ticket, now: Timestamp) -> &'static [Status] {
    if is_closed_for_good(ticket, now) { &[] } else { ticket.status.next() }
}

/// Whether it was closed so long ago that it cannot be reopened.
fn is_closed_for_good(ticket: &Ticket, now: Timestamp) -> bool {
    let reopen_until = ticket.closed_at.map(|at| at.plus_millis(REOPEN_WITHIN.as_millis() as i64));
    ticket.status == Status::Closed && reopen_until.is_some_and(|until| until < now)
}

fn check(ticket: &Ticket, to: Status, now: Timestamp) -> Result<(), Error> {
    let from = ticket.status;
    let allowed = allowed(ticket, now);
    if allowed.contains(&to) {
        return Ok(());
    }
    let allowed: Vec<_> = allowed.iter().map(|status| status.name()).collect();
    let message = if is_closed_for_good(ticket, now) {
        "A ticket can be reopened within 30 days of closing; create a new one and refer to it."
            .to_owned()
    } else {
        let list = allowed.join(", ");
        format!("A ticket that is {} cannot become {}, only {list}.", from.name(), to.name())
    };
    Err(refused(from.name(), to.name(), allowed, message))
}
