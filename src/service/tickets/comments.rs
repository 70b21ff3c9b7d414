//! Comments on tickets, and their effects on the ticket.

use serde_json::{Map, json};

use super::{changes, messages, notices, status};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::Event;
use crate::event_type::EventType;
use crate::pb;
use crate::service::changes::created_as;
use crate::service::emails::Outbox;
use crate::service::{from_number, transitions};
use crate::store::Tx;
use crate::store::tickets::{Channel, Comment, NewComment, Status, Ticket, Visibility};

/// The most users who watch a ticket, as the contract has it; nobody is added beyond.
const WATCHERS_MAX: usize = 100;

/// The comment that a request asks for. Without an author it is the SYSTEM user's.
pub fn new_comment(message: pb::CreateTicketCommentRequest, system_user: i64) -> NewComment {
    NewComment {
        body: message.body,
        visibility: message.visibility.map_or(Visibility::Public, visibility),
        author_id: message.author_id.unwrap_or(system_user),
        channel: Channel::Api,
        created_by: system_user,
        external_id: None,
        created_at: None,
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
    channel -> Channel,
}

/// The people whose comment reopens a ticket, unless it was closed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpensAgain {
    /// The requester of the ticket.
    Requester,
    /// Any author of a comment.
    Anybody,
}

/// A comment on a ticket, and its effects.
pub struct Said {
    /// The comment.
    pub new: NewComment,
    /// The people whose comment reopens the ticket.
    pub opens_again: OpensAgain,
    /// A user who watches the ticket from then on.
    pub watcher: Option<i64>,
    /// The outbox for notices to requester and watchers; none where the workspace does not want
    /// them.
    pub outbox: Option<Outbox>,
}

/// Adds a comment to a ticket that is locked; `by` is the user who changes it. Returns the comment,
/// and the ticket as it is then.
pub async fn add(
    tx: &mut Tx,
    before: &Ticket,
    said: Said,
    by: i64,
) -> Result<(pb::Comment, Ticket), Error> {
    let Said { new, opens_again, watcher, outbox } = said;
    let mut after = commented(before, &new, opens_again, tx.now())?;
    after.updated_by = by;
    let is_new = |id: &i64| !after.watcher_user_ids.contains(id);
    if let Some(id) = watcher.filter(is_new).filter(|_| after.watcher_user_ids.len() < WATCHERS_MAX)
    {
        after.watcher_user_ids.push(id);
    }
    let after = tx.update(before, after).await?;
    // Before the comment, whose number is waited for: the ticket is held already.
    let is_public = new.visibility == Visibility::Public;
    if is_public {
        tx.add_words::<Ticket>(after.id, &new.body).await?;
    }
    let comment = comment(tx.insert_comment(after.id, new).await?);
    tx.record(created(&comment, &after));
    if let Some(outbox) = outbox.filter(|_| is_public) {
        let said = (comment.author_id, comment.body.as_str());
        notices::tell_of_comment(tx, outbox, &after, said).await?;
    }
    let is_watched = after.watcher_user_ids != before.watcher_user_ids;
    if after.status != before.status || is_watched {
        // The comment is told by its own event.
        let before = Ticket { comment_count: after.comment_count, ..before.clone() };
        tx.record_update(&after, changes::updated(&before, &after));
    }
    Ok((comment, after))
}

/// The ticket with one comment more.
fn commented(
    before: &Ticket,
    new: &NewComment,
    opens_again: OpensAgain,
    now: Timestamp,
) -> Result<Ticket, Error> {
    let mut after = Ticket { comment_count: before.comment_count + 1, ..before.clone() };
    let may_speak =
        opens_again == OpensAgain::Anybody || before.requester_id == Some(new.author_id);
    let waits = matches!(before.status, Status::Pending | Status::Resolved | Status::Closed);
    let may_open = status::allowed(before, now).contains(&Status::Open.as_i16().into());
    if new.visibility == Visibility::Public && may_speak && waits && may_open {
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
