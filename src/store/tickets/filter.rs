//! What a list of tickets can be asked for: filters, order, and which page.

use super::Ticket;
use super::kinds::{Category, Priority, Status, TicketType};
use crate::clock::Timestamp;
use crate::store::pages::CursorKey;

/// Which tickets: those that pass every filter. A list that is empty, or a value that is not
/// given, filters nothing; within a list any one value is enough.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TicketFilter {
    /// In one of these statuses.
    pub status: Vec<Status>,
    /// Of one of these priorities.
    pub priority: Vec<Priority>,
    /// Of one of these types.
    pub ticket_type: Vec<TicketType>,
    /// Of one of these categories.
    pub category: Vec<Category>,
    /// Assigned to one of these users.
    pub assignee_ids: Vec<i64>,
    /// Asked for by one of these users.
    pub requester_ids: Vec<i64>,
    /// Part of one of these tickets.
    pub parent_ids: Vec<i64>,
    /// With this tag.
    pub tag: Option<String>,
    /// Assigned to nobody (true) or to somebody (false).
    pub unassigned: Option<bool>,
    /// Created at this instant or later.
    pub created_after: Option<Timestamp>,
    /// Created before this instant.
    pub created_before: Option<Timestamp>,
    /// Changed at this instant or later.
    pub updated_since: Option<Timestamp>,
    /// Brought from this system.
    pub external_source: Option<String>,
    /// With this id in the system that it was brought from.
    pub external_id: Option<String>,
}

/// What a list is in order of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortField {
    /// When a ticket was created.
    CreatedAt,
    /// When it last changed.
    UpdatedAt,
    /// Its priority, by rank.
    Priority,
    /// When it is due; those that never are come last, in either direction.
    DueAt,
}

/// Which end of an order comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The least.
    Ascending,
    /// The greatest.
    Descending,
}

/// The order of a list; between equals the id decides, in the same direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// What it is in order of.
    pub field: SortField,
    /// Which end comes first.
    pub direction: Direction,
}

impl Default for Sort {
    fn default() -> Self {
        Self { field: SortField::CreatedAt, direction: Direction::Descending }
    }
}

impl Sort {
    /// Where a ticket stands in this order.
    pub fn key_of(self, ticket: &Ticket) -> CursorKey {
        let value = match self.field {
            SortField::CreatedAt => Some(ticket.created_at.0),
            SortField::UpdatedAt => Some(ticket.updated_at.0),
            SortField::Priority => Some(ticket.priority.as_i16().into()),
            SortField::DueAt => ticket.due_at.map(|at| at.0),
        };
        CursorKey { value, id: ticket.id }
    }
}

/// A page of a list. Tickets and total are of one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct TicketPage {
    /// The tickets, in order.
    pub tickets: Vec<Ticket>,
    /// How many tickets pass the filter, on all pages.
    pub total_count: i64,
    /// Whether another page follows.
    pub has_more: bool,
    /// Where the next page begins, if there is one.
    pub next: Option<CursorKey>,
}
