//! The resources that are included in answers with tickets: their newest comments and history, by
//! one query each, however many tickets there are.

use prost::Message;

use super::comments::comment;
use crate::error::Error;
use crate::pb;
use crate::service::messages::history_entry;
use crate::service::pages::Room;
use crate::store::Reader;
use crate::store::tickets::Ticket;

/// Adds to tickets the resources that `include` asks for, as far as there is room in the answer;
/// the oldest are left out.
pub async fn include(
    reader: Reader<'_>,
    include: &[String],
    tickets: &mut [pb::Ticket],
) -> Result<(), Error> {
    if include.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = tickets.iter().map(|ticket| ticket.id).collect();
    let asked = |name: &str| include.iter().any(|one| one == name);
    let mut room = Room::beside(tickets.iter().map(Message::encoded_len));
    if asked("history") {
        tickets.iter_mut().for_each(|ticket| ticket.history = Some(Default::default()));
        let found = reader.newest_history::<Ticket>(&ids, room.bytes()).await?;
        for (id, entry) in found {
            let entry = history_entry(entry);
            if !room.take(entry.encoded_len()) {
                break;
            }
            if let Some(history) = of(tickets, id).and_then(|ticket| ticket.history.as_mut()) {
                history.history.push(entry);
            }
        }
    }
    if asked("comments") {
        tickets.iter_mut().for_each(|ticket| ticket.comments = Some(Default::default()));
        for found in reader.newest_comments(&ids, room.bytes()).await? {
            let comment = comment(found);
            if !room.take(comment.encoded_len()) {
                break;
            }
            let ticket = of(tickets, comment.ticket_id);
            if let Some(comments) = ticket.and_then(|ticket| ticket.comments.as_mut()) {
                comments.comments.push(comment);
            }
        }
    }
    Ok(())
}

fn of(tickets: &mut [pb::Ticket], id: i64) -> Option<&mut pb::Ticket> {
    tickets.iter_mut().find(|ticket| ticket.id == id)
}
