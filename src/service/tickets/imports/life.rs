//! The life of a ticket by an item: its status, and since when.

use rest::Violations;

use super::item::Item;
use crate::clock::Timestamp;
use crate::pb;
use crate::service::transitions;
use crate::store::tickets::{Status, Ticket};

/// The status of a ticket, and its times.
pub struct Life {
    pub status: Status,
    reopen_count: i32,
    created_at: Timestamp,
    resolved_at: Option<Timestamp>,
    closed_at: Option<Timestamp>,
    /// The time of the last change; none where a ticket that is there changes now.
    pub updated_at: Option<Timestamp>,
}

impl Life {
    /// Reads the life that an item tells at `now`, of a ticket that was `before` or is new. What it
    /// leaves out follows from the rest.
    pub fn of(
        Item { item, mask, .. }: &Item<'_>,
        before: Option<&Ticket>,
        now: Timestamp,
        violations: &mut Violations,
    ) -> Self {
        let sent = [
            ("createdAt", &item.created_at),
            ("resolvedAt", &item.resolved_at),
            ("closedAt", &item.closed_at),
            ("updatedAt", &item.updated_at),
        ];
        let [created, resolved, closed, updated] = sent.map(|(name, time)| {
            let time = time.map(Timestamp::from);
            check_past(name, time, now, violations);
            time
        });
        // One that there is not is noted already.
        let sent = item.status.and_then(|status| Status::from_i16(status.try_into().ok()?));
        let status = sent.or(before.map(|before| before.status)).unwrap_or(Status::Open);
        let is_closed = status == Status::Closed;
        let is_done = is_closed || status == Status::Resolved;
        for (name, time, fits) in
            [("resolvedAt", resolved, is_done), ("closedAt", closed, is_closed)]
        {
            if time.is_some() && !fits {
                let status = transitions::name::<pb::TicketStatus>(status.as_i16().into());
                let remedy = format!("{name} must be left out: a ticket that is {status} has none");
                violations.add(name, "INVALID_COMBINATION", remedy);
            }
        }
        let created_at = created.unwrap_or(before.map_or(now, |before| before.created_at));
        let updated_at = match before {
            // What was said of a new one last.
            None => {
                let said = [resolved, closed].into_iter().flatten();
                Some(updated.unwrap_or(said.fold(created_at, Timestamp::max)))
            }
            Some(_) => updated,
        };
        let last = updated_at.unwrap_or(now);
        // A time that an earlier import or somebody here has given stays, where it fits what is said now.
        let kept = |field: &str, time: fn(&Ticket) -> Option<Timestamp>, by: Timestamp| {
            let before = before.filter(|_| !mask.has(field));
            before.and_then(time).filter(|time| *time <= by && *time >= created_at)
        };
        let closed_at = is_closed.then(|| {
            closed.or_else(|| kept("closed_at", |ticket| ticket.closed_at, last)).unwrap_or(last)
        });
        let resolved_by = closed_at.unwrap_or(last);
        let resolved_at = is_done.then(|| {
            let kept = || kept("resolved_at", |ticket| ticket.resolved_at, resolved_by);
            resolved.or_else(kept).unwrap_or(resolved_by)
        });
        let times = [
            ("createdAt", Some(created_at)),
            ("resolvedAt", resolved_at),
            ("closedAt", closed_at),
            ("updatedAt", Some(last)),
        ];
        check_order(&times, violations);
        let was_done =
            before.is_some_and(|it| matches!(it.status, Status::Resolved | Status::Closed));
        let is_open = matches!(status, Status::Open | Status::InProgress | Status::Pending);
        let reopened = before.map_or(0, |it| it.reopen_count) + i32::from(was_done && is_open);
        let reopen_count = item.reopen_count.unwrap_or(reopened);
        Self { status, reopen_count, created_at, resolved_at, closed_at, updated_at }
    }

    /// Puts it on a ticket; the time of the last change only where one is said.
    pub fn put_on(self, ticket: &mut Ticket) {
        ticket.status = self.status;
        ticket.reopen_count = self.reopen_count;
        ticket.created_at = self.created_at;
        ticket.resolved_at = self.resolved_at;
        ticket.closed_at = self.closed_at;
        ticket.updated_at = self.updated_at.unwrap_or(ticket.updated_at);
    }
}

/// Refuses a time that has not come yet.
pub fn check_past(
    field: &str,
    time: Option<Timestamp>,
    now: Timestamp,
    violations: &mut Violations,
) {
    if time.is_some_and(|time| time > now) {
        let remedy = format!("{field} must not be in the future");
        violations.add(field, "OUT_OF_RANGE", remedy);
    }
}

/// Refuses times that do not follow each other.
pub fn check_order(times: &[(&str, Option<Timestamp>)], violations: &mut Violations) {
    let given = times.iter().filter_map(|(name, time)| time.map(|time| (*name, time)));
    let given: Vec<_> = given.collect();
    for pair in given.windows(2) {
        let [(earlier, from), (later, to)] = [pair[0], pair[1]];
        if to < from {
            let remedy = format!(
                "{later} must not be before {earlier}, which is {}: give both",
                from.to_rfc3339()
            );
            violations.add(later, "OUT_OF_RANGE", remedy);
        }
    }
}
