//! The translation between the messages of the contract and the tickets of the store. Both number
//! their enums alike, and the messages were validated, so a number always has its place.

use super::references::Named;
use crate::pb;
use crate::service::custom_fields::values;
use crate::service::from_number;
use crate::store::tickets::{
    Category, Impact, NewTicket, Priority, Source, Status, Ticket, TicketType, Urgency,
};

/// The number of a ticket for people.
pub fn ticket_number(id: i64) -> String {
    format!("TCK-{id}")
}

/// A ticket as the contract shows it.
pub fn ticket(ticket: Ticket) -> pb::Ticket {
    pb::Ticket {
        id: ticket.id,
        ticket_number: ticket_number(ticket.id),
        title: ticket.title,
        description: ticket.description,
        r#type: ticket.ticket_type.as_i16().into(),
        category: ticket.category.as_i16().into(),
        category_config_id: ticket.category_config_id,
        priority: ticket.priority.as_i16().into(),
        impact: ticket.impact.map(|impact| impact.as_i16().into()),
        urgency: ticket.urgency.map(|urgency| urgency.as_i16().into()),
        status: ticket.status.as_i16().into(),
        pending_reason: ticket.pending_reason,
        resolution: ticket.resolution,
        requester_id: ticket.requester_id,
        assignee_id: ticket.assignee_id,
        watcher_user_ids: ticket.watcher_user_ids,
        parent_id: ticket.parent_id,
        asset_ids: ticket.asset_ids,
        tags: ticket.tags,
        due_at: ticket.due_at.map(Into::into),
        source: ticket.source.as_i16().into(),
        external_source: ticket.external_source,
        external_id: ticket.external_id,
        comment_count: ticket.comment_count,
        reopen_count: ticket.reopen_count,
        created_at: Some(ticket.created_at.into()),
        updated_at: Some(ticket.updated_at.into()),
        resolved_at: ticket.resolved_at.map(Into::into),
        closed_at: ticket.closed_at.map(Into::into),
        created_by: ticket.created_by,
        updated_by: ticket.updated_by,
        version: ticket.version,
        custom_fields: values::messages(ticket.custom_fields),
        comments: None,
        history: None,
    }
}

/// The ticket that a request asks for, with the priority that follows from impact and urgency, and
/// with what it names.
pub fn new_ticket(message: pb::CreateTicketRequest, named: Named, created_by: i64) -> NewTicket {
    let impact = message.impact.map(impact);
    let urgency = message.urgency.map(urgency);
    let matrix = impact.zip(urgency).map(|(impact, urgency)| priority_of(impact, urgency));
    let config = named.category;
    let default = config.as_ref().and_then(|config| config.default_priority);
    NewTicket {
        title: message.title,
        description: message.description,
        ticket_type: ticket_type(message.r#type),
        category: config
            .as_ref()
            .map_or_else(|| category(message.category), |config| config.base_category),
        category_config_id: config.map(|config| config.id),
        priority: message.priority.map(priority).or(matrix).or(default).unwrap_or(Priority::Medium),
        impact,
        urgency,
        status: Status::Open,
        requester_id: message.requester_id,
        assignee_id: message.assignee_id,
        watcher_user_ids: message.watcher_user_ids,
        parent_id: message.parent_id,
        asset_ids: message.asset_ids,
        tags: message.tags,
        due_at: message.due_at.map(Into::into),
        source: message.source.map_or(Source::Api, source),
        external_source: message.external_source,
        external_id: message.external_id,
        custom_fields: named.custom_fields,
        created_by,
    }
}

/// The priority that impact and urgency give: the sum of their ranks decides.
fn priority_of(impact: Impact, urgency: Urgency) -> Priority {
    match impact.as_i16() + urgency.as_i16() {
        6 => Priority::Critical,
        5 => Priority::High,
        4 => Priority::Medium,
        _ => Priority::Low,
    }
}

/// The ticket `before` as `wanted` shows it; all but its status, which is a move.
pub fn updated(before: &Ticket, wanted: pb::Ticket) -> Ticket {
    Ticket {
        title: wanted.title,
        description: wanted.description,
        ticket_type: ticket_type(wanted.r#type),
        category: category(wanted.category),
        category_config_id: wanted.category_config_id,
        priority: priority(wanted.priority),
        impact: wanted.impact.map(impact),
        urgency: wanted.urgency.map(urgency),
        pending_reason: wanted.pending_reason,
        resolution: wanted.resolution,
        requester_id: wanted.requester_id,
        assignee_id: wanted.assignee_id,
        watcher_user_ids: wanted.watcher_user_ids,
        parent_id: wanted.parent_id,
        asset_ids: wanted.asset_ids,
        tags: wanted.tags,
        due_at: wanted.due_at.map(Into::into),
        external_source: wanted.external_source,
        external_id: wanted.external_id,
        ..before.clone()
    }
}

from_number! {
    ticket_type -> TicketType,
    category -> Category,
    priority -> Priority,
    impact -> Impact,
    urgency -> Urgency,
    status -> Status,
    source -> Source,
}
