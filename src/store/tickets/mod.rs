//! Tickets: their rows, tags and watchers.
//!
//! What a ticket may become, and what a caller may send, is the service's business; here is kept
//! that every reference stays within the workspace, that tags, watchers and counts change together
//! with the row, and that no update is lost.

pub(super) mod counts;
mod filter;
mod found;
mod hierarchy;
mod insert;
mod kinds;
mod list;
mod page;
mod plan;
mod row;
mod write;

pub use super::pages::{CursorKey, PageRequest, Position};
pub use filter::{Direction, Sort, SortField, TicketFilter, TicketPage};
pub use hierarchy::PARENT_DEPTH_MAX;
pub use kinds::{Category, Impact, Priority, Source, Status, TicketType, Urgency};

use super::rows::RowSource;
use super::sql::statement;
use super::{Reader, Tx};
use crate::clock::Timestamp;
use crate::error::Error;

/// A ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// 1, 2, 3 … within the workspace.
    pub id: i64,
    /// What it is about, in a line.
    pub title: String,
    /// What it is about, in full.
    pub description: String,
    /// The practice that it belongs to.
    pub ticket_type: TicketType,
    /// The kind of thing that it is about.
    pub category: Category,
    /// The order in which it is taken up.
    pub priority: Priority,
    /// How much of the business is affected.
    pub impact: Option<Impact>,
    /// How soon the effect is felt.
    pub urgency: Option<Urgency>,
    /// Where it stands in its life.
    pub status: Status,
    /// What it waits for.
    pub pending_reason: Option<String>,
    /// How it was resolved.
    pub resolution: Option<String>,
    /// The user who asked.
    pub requester_id: Option<i64>,
    /// The user who works on it.
    pub assignee_id: Option<i64>,
    /// The users who follow it; no one twice.
    pub watcher_user_ids: Vec<i64>,
    /// The ticket that it is part of.
    pub parent_id: Option<i64>,
    /// Words to find it by; none twice.
    pub tags: Vec<String>,
    /// When it is due.
    pub due_at: Option<Timestamp>,
    /// The way that it came in.
    pub source: Source,
    /// The system that it was brought from.
    pub external_source: Option<String>,
    /// Its id in that system, unique there.
    pub external_id: Option<String>,
    /// How many comments it has.
    pub comment_count: i32,
    /// How many times it was opened again.
    pub reopen_count: i32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// The user that its creation is attributed to.
    pub created_by: i64,
    /// The user that its last change is attributed to.
    pub updated_by: i64,
    /// 1 when created, one more with every change.
    pub version: i64,
}

/// A ticket to be made. The store gives it its id, its times and version 1.
#[derive(Debug, Clone)]
pub struct NewTicket {
    /// What it is about, in a line.
    pub title: String,
    /// What it is about, in full.
    pub description: String,
    /// The practice that it belongs to.
    pub ticket_type: TicketType,
    /// The kind of thing that it is about.
    pub category: Category,
    /// The order in which it is taken up.
    pub priority: Priority,
    /// How much of the business is affected.
    pub impact: Option<Impact>,
    /// How soon the effect is felt.
    pub urgency: Option<Urgency>,
    /// Where it stands in its life.
    pub status: Status,
    /// The user who asks.
    pub requester_id: Option<i64>,
    /// The user who shall work on it.
    pub assignee_id: Option<i64>,
    /// The users who follow it; no one twice.
    pub watcher_user_ids: Vec<i64>,
    /// The ticket that it is part of.
    pub parent_id: Option<i64>,
    /// Words to find it by; none twice.
    pub tags: Vec<String>,
    /// When it is due.
    pub due_at: Option<Timestamp>,
    /// The way that it came in.
    pub source: Source,
    /// The system that it is brought from.
    pub external_source: Option<String>,
    /// Its id in that system.
    pub external_id: Option<String>,
    /// The user that its creation is attributed to.
    pub created_by: i64,
}

impl Reader<'_> {
    /// The ticket with this id.
    pub async fn find_ticket(&self, id: i64) -> Result<Option<Ticket>, Error> {
        let values = [self.workspace.0.into(), id.into()];
        let query = statement(self.backend(), row::FIND.as_str(), values);
        let found = RowSource::Short(*self).read(query, row::decode).await?;
        Ok(found.into_iter().next())
    }
}
