//! What a list asks for, as the store understands it, and the page as the caller understands it.

use prost::Message;
use rest::Violations;

use super::messages;
use crate::error::Error;
use crate::pb;
use crate::service::next_milli;
use crate::service::pages::{self, Asked};
use crate::store::WorkspaceId;
use crate::store::tickets::{
    CursorKey, Direction, PageRequest, Sort, SortField, TicketFilter, TicketPage,
};

/// A list that was asked for.
pub struct Query {
    pub filter: TicketFilter,
    pub sort: Sort,
    pub page: PageRequest,
    workspace: WorkspaceId,
}

/// The rules of a list that no single field can tell.
pub fn check(message: &pb::ListTicketsRequest, violations: &mut Violations) {
    asked(message).check(violations);
    if message.external_id.is_some() && message.external_source.is_none() {
        let remedy = "externalSource is needed beside externalId";
        violations.add("externalSource", "REQUIRED", remedy);
    }
}

fn asked(message: &pb::ListTicketsRequest) -> Asked<'_> {
    let (page, per_page, cursor) = (message.page, message.per_page, message.cursor.as_deref());
    Asked { page, per_page, cursor }
}

/// What the store is asked. A cursor that was made with another list is refused.
pub fn query(workspace: WorkspaceId, message: &pb::ListTicketsRequest) -> Result<Query, Error> {
    let filter = filter(message);
    let sort = message.sort.as_deref().map(sort).unwrap_or_default();
    let page = asked(message).request(|text| CursorKey::decode(text, workspace, &filter, sort))?;
    Ok(Query { filter, sort, page, workspace })
}

impl Query {
    /// The page with where it stands in the list.
    pub fn reply(&self, found: TicketPage) -> Result<pb::ListTicketsResponse, Error> {
        let mut next = found.next.filter(|_| found.has_more);
        let keys: Vec<_> = found.tickets.iter().map(|ticket| self.sort.key_of(ticket)).collect();
        let mut tickets: Vec<_> = found.tickets.into_iter().map(messages::ticket).collect();
        let fitting = pages::fitting(self.page, tickets.iter().map(Message::encoded_len))?;
        if fitting < tickets.len() {
            tickets.truncate(fitting);
            next = keys.get(fitting - 1).copied();
        }
        let next = next.map(|next| next.encode(self.workspace, &self.filter, self.sort));
        let meta = pages::meta(self.page, found.total_count, next);
        Ok(pb::ListTicketsResponse { tickets, meta: Some(meta) })
    }
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
