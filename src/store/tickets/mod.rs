//! Tickets: their rows, tags and watchers.
//!
//! What a ticket may become, and what a caller may send, is the service's business; what tickets
//! share with every other resource is `nouns`'.

mod comments;
mod custom_values;
mod filter;
mod hierarchy;
mod kinds;
mod row;
mod table;

pub use super::pages::{CursorKey, PageRequest, Position};
pub use comments::{Channel, Comment, NewComment, Visibility};
pub use custom_values::{CustomValue, CustomValues};
pub use filter::TicketFilter;
pub use hierarchy::PARENT_DEPTH_MAX;
pub use kinds::{Category, Impact, Priority, Source, Status, TicketType, Urgency};

use super::Tx;
use crate::clock::Timestamp;
use crate::error::Error;

/// A ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The id: 1, 2, 3 … within the workspace.
    pub id: i64,
    /// The title, in a line.
    pub title: String,
    /// The description.
    pub description: String,
    /// The practice that it belongs to.
    pub ticket_type: TicketType,
    /// The kind of thing that it is about.
    pub category: Category,
    /// The workspace's own category that it has.
    pub category_config_id: Option<i64>,
    /// The order in which it is taken up.
    pub priority: Priority,
    /// The share of the business that is affected.
    pub impact: Option<Impact>,
    /// The time within which the effect is felt.
    pub urgency: Option<Urgency>,
    /// The status.
    pub status: Status,
    /// The reason for waiting.
    pub pending_reason: Option<String>,
    /// The resolution.
    pub resolution: Option<String>,
    /// The user who asked.
    pub requester_id: Option<i64>,
    /// The user who works on it.
    pub assignee_id: Option<i64>,
    /// The users who follow it; no one twice.
    pub watcher_user_ids: Vec<i64>,
    /// The ticket that it is part of.
    pub parent_id: Option<i64>,
    /// The assets that it is about; none twice.
    pub asset_ids: Vec<i64>,
    /// The tags; none twice.
    pub tags: Vec<String>,
    /// The time at which it is due.
    pub due_at: Option<Timestamp>,
    /// The way that it came in.
    pub source: Source,
    /// The system that it was brought from.
    pub external_source: Option<String>,
    /// The id in that system, unique there.
    pub external_id: Option<String>,
    /// The values of the workspace's own fields.
    pub custom_fields: CustomValues,
    /// The number of comments.
    pub comment_count: i32,
    /// The number of times that it was reopened.
    pub reopen_count: i32,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The time of the resolution.
    pub resolved_at: Option<Timestamp>,
    /// The time at which it was closed.
    pub closed_at: Option<Timestamp>,
    /// The user that its creation is attributed to.
    pub created_by: i64,
    /// The user that its last change is attributed to.
    pub updated_by: i64,
    /// The version: 1 when created, one more with every change.
    pub version: i64,
}

/// A ticket to be made. The store gives it its id, its times and version 1.
#[derive(Debug, Clone)]
pub struct NewTicket {
    /// The title, in a line.
    pub title: String,
    /// The description.
    pub description: String,
    /// The practice that it belongs to.
    pub ticket_type: TicketType,
    /// The kind of thing that it is about.
    pub category: Category,
    /// The workspace's own category that it has.
    pub category_config_id: Option<i64>,
    /// The order in which it is taken up.
    pub priority: Priority,
    /// The share of the business that is affected.
    pub impact: Option<Impact>,
    /// The time within which the effect is felt.
    pub urgency: Option<Urgency>,
    /// The status.
    pub status: Status,
    /// The user who asks.
    pub requester_id: Option<i64>,
    /// The user who shall work on it.
    pub assignee_id: Option<i64>,
    /// The users who follow it; no one twice.
    pub watcher_user_ids: Vec<i64>,
    /// The ticket that it is part of.
    pub parent_id: Option<i64>,
    /// The assets that it is about; none twice.
    pub asset_ids: Vec<i64>,
    /// The tags; none twice.
    pub tags: Vec<String>,
    /// The time at which it is due.
    pub due_at: Option<Timestamp>,
    /// The way that it came in.
    pub source: Source,
    /// The system that it is brought from.
    pub external_source: Option<String>,
    /// The id in that system.
    pub external_id: Option<String>,
    /// The values of the workspace's own fields.
    pub custom_fields: CustomValues,
    /// The user that its creation is attributed to.
    pub created_by: i64,
}

impl Tx {
    /// Makes a ticket. Its users and its parent must exist (see [`Tx::missing`]); an external id
    /// that its source has already is ALREADY_EXISTS.
    pub async fn insert_ticket(&mut self, new: NewTicket) -> Result<Ticket, Error> {
        self.insert(new.at(self.now)).await
    }
}

impl NewTicket {
    /// The ticket that it is when it is made, before it has an id.
    pub fn at(self, now: Timestamp) -> Ticket {
        Ticket {
            id: 0,
            title: self.title,
            description: self.description,
            ticket_type: self.ticket_type,
            category: self.category,
            category_config_id: self.category_config_id,
            priority: self.priority,
            impact: self.impact,
            urgency: self.urgency,
            status: self.status,
            pending_reason: None,
            resolution: None,
            requester_id: self.requester_id,
            assignee_id: self.assignee_id,
            watcher_user_ids: self.watcher_user_ids,
            parent_id: self.parent_id,
            asset_ids: self.asset_ids,
            tags: self.tags,
            due_at: self.due_at,
            source: self.source,
            external_source: self.external_source,
            external_id: self.external_id,
            custom_fields: self.custom_fields,
            comment_count: 0,
            reopen_count: 0,
            created_at: now,
            updated_at: now,
            resolved_at: None,
            closed_at: None,
            created_by: self.created_by,
            updated_by: self.created_by,
            version: 1,
        }
    }
}
