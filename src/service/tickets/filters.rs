//! The translation of a list's filters.

use rest::Violations;

use super::messages;
use crate::pb;
use crate::service::next_milli;
use crate::store::tickets::TicketFilter;

/// The rules of a list that no single field can tell.
pub fn check(message: &pb::ListTicketsRequest, violations: &mut Violations) {
    if is_by_relevance(message) {
        let wrong = match (&message.q, &message.cursor) {
            (None, _) => Some("sort=relevance needs q: send what to search for, or another sort"),
            (_, Some(_)) => Some("sort=relevance has no cursor: send page, or another sort"),
            _ => None,
        };
        if let Some(remedy) = wrong {
            violations.add("sort", "INVALID_COMBINATION", remedy);
        }
    }
    if message.external_id.is_some() && message.external_source.is_none() {
        let remedy = "externalSource is needed beside externalId";
        violations.add("externalSource", "REQUIRED", remedy);
    }
}

/// Returns true if the list is asked for in order of relevance.
pub fn is_by_relevance(message: &pb::ListTicketsRequest) -> bool {
    message.sort.as_deref() == Some("relevance")
}

pub fn filter(message: &pb::ListTicketsRequest) -> TicketFilter {
    TicketFilter {
        status: message.status.iter().copied().map(messages::status).collect(),
        priority: message.priority.iter().copied().map(messages::priority).collect(),
        ticket_type: message.r#type.iter().copied().map(messages::ticket_type).collect(),
        category: message.category.iter().copied().map(messages::category).collect(),
        category_config_ids: message.category_config_id.clone(),
        assignee_ids: message.assignee_id.clone(),
        requester_ids: message.requester_id.clone(),
        parent_ids: message.parent_id.clone(),
        tag: message.tag.clone(),
        asset_ids: message.asset_id.clone(),
        unassigned: message.unassigned,
        words: message.q.clone(),
        created_after: message.created_after.map(next_milli),
        created_before: message.created_before.map(next_milli),
        updated_since: message.updated_since.map(next_milli),
        due_after: message.due_after.map(next_milli),
        due_before: message.due_before.map(next_milli),
        source: message.source.iter().copied().map(messages::source).collect(),
        external_source: message.external_source.clone(),
        external_id: message.external_id.clone(),
        terms: Vec::new(),
    }
}
