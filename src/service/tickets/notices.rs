//! E-mails that tell requester and watchers of a ticket's public comments.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::pb;
use crate::service::emails::{NewEmail, Outbox};
use crate::store::tickets::Ticket;
use crate::store::users::{Role, UserStatus};
use crate::store::{Tx, User};

/// The most bytes of a comment that an e-mail repeats.
const QUOTED_BYTES_MAX: usize = 64 * 1024;

/// Sends an e-mail to each of them but the author of the comment: nobody sees who else gets it, and
/// nobody who answers by machine is answered by one.
pub async fn tell_of_comment(
    tx: &mut Tx,
    outbox: Outbox,
    ticket: &Ticket,
    (author, body): (i64, &str),
) -> Result<(), Error> {
    let told = ticket.requester_id.iter().chain(&ticket.watcher_user_ids).copied();
    let ids: BTreeSet<_> = told.chain([author]).collect();
    let users = tx.find_all::<User>(ids).await?;
    let by = users.iter().find(|user| user.id == author);
    let by = by.map_or_else(String::new, |user| user.display_name.clone());
    let number = format!("TCK-{}", ticket.id);
    let body = &body[..body.floor_char_boundary(body.len().min(QUOTED_BYTES_MAX))];
    let title = one_line(&ticket.title);
    let text = format!("{by} wrote:\n\n{body}\n\n--\n{number}: {title}\n");
    for user in users.iter().filter(|user| user.id != author && may_be_written_to(user)) {
        let email = NewEmail {
            to: vec![user.email.clone()],
            subject: format!("Re: [{number}] {title}"),
            text: Some(text.clone()),
            ticket_id: Some(ticket.id),
            ..NewEmail::default()
        };
        outbox.put(tx, email).await?;
    }
    Ok(())
}

/// Tells the requester of a new ticket that it has arrived.
pub async fn tell_of_ticket(tx: &mut Tx, outbox: Outbox, ticket: &pb::Ticket) -> Result<(), Error> {
    let users = tx.find_all::<User>(ticket.requester_id.into_iter().collect()).await?;
    let Some(user) = users.iter().find(|user| may_be_written_to(user)) else { return Ok(()) };
    let (number, title) = (&ticket.ticket_number, one_line(&ticket.title));
    let text = format!(
        "We have received your request. Its number is {number}.\n\n--\n{number}: {title}\n"
    );
    let email = NewEmail {
        to: vec![user.email.clone()],
        subject: format!("[{number}] {title}"),
        text: Some(text),
        ticket_id: Some(ticket.id),
        ..NewEmail::default()
    };
    outbox.put(tx, email).await.map(|_| ())
}

/// A title as a header has it.
fn one_line(title: &str) -> String {
    title.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Returns true if a user reads e-mail: a person whose address is not known to lead nowhere. What
/// is no address at all is told of by an e-mail that fails.
fn may_be_written_to(user: &User) -> bool {
    let leads_nowhere = user.email.to_lowercase().ends_with(".invalid");
    user.role != Role::System && user.status == UserStatus::Active && !leads_nowhere
}
