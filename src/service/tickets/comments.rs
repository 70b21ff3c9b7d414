//! Comments on tickets, and what one does to its ticket.

use serde_json::{Map, json};

use super::{messages, status};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::Event;
use crate::event_type::EventType;
use crate::pb;
use crate::service::changes::created_as;
use crate::service::{from_number, transitions};
use crate::store::tickets::{Channel, Comment, NewComment, Status, Ticket, Visibility};

/// The comment that a request asks for. Without an author it is the SYSTEM user's.
pub fn new_comment(message: pb::CreateTicketCommentRequest, system_user: i64) -> NewComment {
    NewComment {
        body: message.body,
        visibility: message.visibility.map_or(Visibility::Public, visibility),
        author_id: message.author_id.unwrap_or(system_user),
        channel: Channel::Api,
        created_by: system_user,
    }
}

/// A comment as the contract shows it.
pub fn comment(comment: Comment) -> pb::Comment {
    pb::Comment {
        id: comment.id,
        ticket_id: comment.ticket_id,
        body: comment.body,
        visibility: comment.visibility.as_i16().into(),
        author_id: comment.author_id,
        channel: comment.channel.as_i16().into(),
        external_id: comment.external_id,
        created_at: Some(comment.created_at.into()),
        created_by: comment.created_by,
    }
}

from_number! {
    visibility -> Visibility,
}

/// The ticket with one comment more. Whoever asked for it and speaks up again opens it again, unless
/// it was closed for good.
pub fn commented(before: &Ticket, new: &NewComment, now: Timestamp) -> Result<Ticket, Error> {
    let mut after = Ticket { comment_count: before.comment_count + 1, ..before.clone() };
    let by_requester = before.requester_id == Some(new.author_id);
    let waits = matches!(before.status, Status::Pending | Status::Resolved | Status::Closed);
    let may_open = status::allowed(before, now).contains(&Status::Open.as_i16().into());
    if new.visibility == Visibility::Public && by_requester && waits && may_open {
        status::enter(&mut after, Status::Open, now)?;
    }
    Ok(after)
}

/// The event of a new comment, with what it did to its ticket.
pub fn created(comment: &pb::Comment, ticket: &Ticket) -> Event {
    let shown = messages::ticket(ticket.clone());
    let ticket = json!({
        "id": shown.id,
        "ticketNumber": shown.ticket_number,
        "version": shown.version,
        "commentCount": shown.comment_count,
        "status": transitions::name::<pb::TicketStatus>(shown.status),
        "updatedAt": ticket.updated_at.to_rfc3339(),
    });
    let beside = Map::from_iter([("ticket".to_owned(), ticket)]);
    Event { beside, ..created_as(EventType::TicketCommentCreated, comment) }
}
