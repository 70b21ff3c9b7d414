//! The figures of a replay.

use std::collections::BTreeMap;

/// The figures of a replay: the results of tickets and of their events.
#[derive(Debug, Default)]
pub struct Figures {
    pub created: usize,
    pub found: usize,
    pub other_priority: usize,
    pub changed: usize,
    pub unchanged: usize,
    /// The events that were refused because the ticket cannot go to their status.
    pub refused: usize,
    /// The events that an earlier run has applied.
    pub applied_before: usize,
    /// The tickets that have events, by the status they end in.
    pub ends: BTreeMap<&'static str, usize>,
}

impl Figures {
    /// The figures, in words; `refused` tickets, and events that are `unknown` or have no ticket, were not
    /// sent.
    pub fn report(&self, refused: u64, unknown: u64, orphaned: u64) -> String {
        let ends = self.ends.iter();
        let ends = ends
            .map(|(end, count)| format!("{count} {}", end.trim_start_matches("TICKET_STATUS_")));
        let ends = ends.collect::<Vec<_>>().join(", ");
        format!(
            "tickets: {} created, {} found, {refused} refused; {} with another priority than in the file\n\
             events: {} changed, {} unchanged, {} refused as a transition, {unknown} refused as an unknown value, \
             {} applied before, {orphaned} without a ticket\n\
             tickets end: {ends}",
            self.created,
            self.found,
            self.other_priority,
            self.changed,
            self.unchanged,
            self.refused,
            self.applied_before,
        )
    }

    /// Adds those of one ticket.
    pub fn add(&mut self, one: Self) {
        self.created += one.created;
        self.found += one.found;
        self.other_priority += one.other_priority;
        self.changed += one.changed;
        self.unchanged += one.unchanged;
        self.refused += one.refused;
        self.applied_before += one.applied_before;
        for (end, count) in one.ends {
            *self.ends.entry(end).or_default() += count;
        }
    }
}
