//! What a list asks for, as the store understands it, and the page as the caller understands it.

use rest::Violations;

use super::messages;
use crate::clock::Timestamp;
use crate::config::PER_PAGE_DEFAULT;
use crate::error::Error;
use crate::pb;
use crate::service::pages;
use crate::store::tickets::{
    CursorKey, Direction, PageRequest, Position, Sort, SortField, TicketFilter, TicketPage,
};
use crate::store::{CursorError, WorkspaceId};

/// A list that was asked for.
pub struct Query {
    pub filter: TicketFilter,
    pub sort: Sort,
    pub page: PageRequest,
    workspace: WorkspaceId,
}

/// The rules of a list that no single field can tell.
pub fn check(message: &pb::ListTicketsRequest, violations: &mut Violations) {
    pages::check_depth(message.page, message.per_page, violations);
    if message.page.is_some() && message.cursor.is_some() {
        let remedy = "cursor cannot be combined with page: send one of them";
        violations.add("cursor", "INVALID_COMBINATION", remedy);
    }
    if message.external_id.is_some() && message.external_source.is_none() {
        let remedy = "externalSource is needed beside externalId";
        violations.add("externalSource", "REQUIRED", remedy);
    }
}

/// What the store is asked. A cursor that was made with another list is refused.
pub fn query(workspace: WorkspaceId, message: &pb::ListTicketsRequest) -> Result<Query, Error> {
    let filter = filter(message);
    let sort = message.sort.as_deref().map(sort).unwrap_or_default();
    let position = match &message.cursor {
        None => Position::Page(message.page.unwrap_or(1) as u32),
        Some(text) => {
            let cursor = CursorKey::decode(text, workspace, &filter, sort).map_err(bad_cursor)?;
            Position::After(cursor)
        }
    };
    let per_page = message.per_page.map_or(PER_PAGE_DEFAULT, |per_page| per_page as u32);
    Ok(Query { filter, sort, page: PageRequest { per_page, position }, workspace })
}

fn bad_cursor(error: CursorError) -> Error {
    let remedy = match error {
        CursorError::Malformed => "cursor must be the nextCursor of an earlier page, unchanged",
        CursorError::OtherList => {
            "cursor was made with other filters or another order: repeat those, or begin without cursor"
        }
    };
    Error::invalid_field("cursor", "INVALID_CURSOR", remedy)
}

impl Query {
    /// The page with where it stands in the list.
    pub fn reply(&self, found: TicketPage) -> pb::ListTicketsResponse {
        let page = match self.page.position {
            Position::Page(page) => Some(page as i32),
            Position::After(_) => None,
        };
        let next = found.next.filter(|_| found.has_more);
        let meta = pb::PageMeta {
            page,
            per_page: self.page.per_page as i32,
            total_count: found.total_count,
            has_more: found.has_more,
            next_cursor: next.map(|next| next.encode(self.workspace, &self.filter, self.sort)),
        };
        let tickets = found.tickets.into_iter().map(messages::ticket).collect();
        pb::ListTicketsResponse { tickets, meta: Some(meta) }
    }
}

/// The first whole millisecond at `time` or later. The store keeps whole ones, so a bound between
/// two of them bounds the same tickets as the later one.
fn next_milli(time: prost_types::Timestamp) -> Timestamp {
    let finer = i64::from(time.nanos % 1_000_000 > 0);
    Timestamp::from(time).plus_millis(finer)
}

/// The order that a name such as `-dueAt` stands for; validation refuses all others.
fn sort(name: &str) -> Sort {
    let (name, direction) = match name.strip_prefix('-') {
        Some(name) => (name, Direction::Descending),
        None => (name, Direction::Ascending),
    };
    let field = match name {
        "updatedAt" => SortField::UpdatedAt,
        "priority" => SortField::Priority,
        "dueAt" => SortField::DueAt,
        _ => SortField::CreatedAt,
    };
    Sort { field, direction }
}

fn filter(message: &pb::ListTicketsRequest) -> TicketFilter {
    TicketFilter {
        status: message.status.iter().copied().map(messages::status).collect(),
        priority: message.priority.iter().copied().map(messages::priority).collect(),
        ticket_type: message.r#type.iter().copied().map(messages::ticket_type).collect(),
        category: message.category.iter().copied().map(messages::category).collect(),
        assignee_ids: message.assignee_id.clone(),
        requester_ids: message.requester_id.clone(),
        parent_ids: message.parent_id.clone(),
        tag: message.tag.clone(),
        unassigned: message.unassigned,
        created_after: message.created_after.map(next_milli),
        created_before: message.created_before.map(next_milli),
        updated_since: message.updated_since.map(next_milli),
        external_source: message.external_source.clone(),
        external_id: message.external_id.clone(),
    }
}
