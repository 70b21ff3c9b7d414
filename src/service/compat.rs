//! CompatService: the paths of Tickiti, by the functions that answer on Orqit's own.

use rest::Violations;
use tonic::{Request, Response, Status};

use super::accept;
use super::accept::Accepted;
use super::emails::{self, NewEmail, Outbox, check_address};
use super::once::{Answer, once, once_on};
use super::tickets::comments::{self, OpensAgain, Said};
use super::tickets::{notices, references, ticket_name, writes};
use super::users::record_new;
use crate::email::address::local_part;
use crate::error::{Error, Kind};
use crate::event_type::EventType;
use crate::pb;
use crate::store::tickets::{Channel, NewComment, Ticket, Visibility};
use crate::store::users::{Role, User};
use crate::store::{Store, Tx};

/// Answers on the paths of Tickiti.
#[derive(Clone)]
pub struct Compat {
    /// The store.
    pub store: Store,
    /// The outbox for new e-mails.
    pub outbox: Outbox,
}

#[tonic::async_trait]
impl pb::compat_service_server::CompatService for Compat {
    async fn submit_ticket(
        &self,
        request: Request<pb::SubmitTicketRequest>,
    ) -> Result<Response<pb::SubmitTicketResponse>, Status> {
        let accepted = accept(request, check_ticket)?;
        let answered = once(&self.store, &accepted, async |tx| {
            let ticket = self.create(tx, &accepted).await?;
            let ticket = Some(pb::FiledTicket {
                ticket_id: ticket.id,
                ticket_number: ticket.ticket_number,
                status: ticket.status,
            });
            Ok(pb::SubmitTicketResponse { ticket })
        });
        Ok(answered.await?)
    }

    async fn submit_reply(
        &self,
        request: Request<pb::SubmitReplyRequest>,
    ) -> Result<Response<pb::SubmitReplyResponse>, Status> {
        let accepted = accept(request, check_reply)?;
        let name = ticket_name(&accepted.message.ticket_number);
        let answered = once_on(&self.store, &accepted, name, async |tx, before: Ticket| {
            let reply = Some(self.reply(tx, &accepted, before).await?);
            Ok(pb::SubmitReplyResponse { reply })
        });
        Ok(answered.await?)
    }

    async fn submit_email(
        &self,
        request: Request<pb::SubmitEmailRequest>,
    ) -> Result<Response<pb::SubmitEmailResponse>, Status> {
        let accepted = accept(request, check_email)?;
        let answered = once(&self.store, &accepted, async |tx| {
            let message = accepted.message.clone();
            let new = NewEmail {
                to: vec![message.to_address],
                subject: message.subject,
                text: Some(message.content),
                ..NewEmail::default()
            };
            let email = Some(emails::shown(self.outbox.put(tx, new).await?));
            Ok(pb::SubmitEmailResponse { email })
        });
        Ok(answered.await?)
    }
}

impl Answer for pb::SubmitTicketResponse {}
impl Answer for pb::SubmitReplyResponse {}
impl Answer for pb::SubmitEmailResponse {}

impl Compat {
    async fn create(
        &self,
        tx: &mut Tx,
        accepted: &Accepted<pb::SubmitTicketRequest>,
    ) -> Result<pb::Ticket, Error> {
        let message = accepted.message.clone();
        let address = &message.originator_email_address;
        let (originator, _) = user_of(tx, "originator_email_address", address).await?;
        let new = pb::CreateTicketRequest {
            title: message.subject,
            description: message.content,
            r#type: pb::TicketType::Incident.into(),
            category: pb::TicketCategory::Other.into(),
            requester_id: Some(originator),
            ..pb::CreateTicketRequest::default()
        };
        // Its clients know no custom fields: none is required of them.
        let named = references::check_new(tx, &[], &new).await?;
        let by = match message.use_passed_originator_as_responder {
            Some(true) => originator,
            _ => accepted.caller.key.system_user_id,
        };
        let ticket = writes::create(tx, new, named, by).await?;
        if let Some(outbox) = self.outbox.of_notices(&accepted.caller)
            && message.is_public != Some(false)
        {
            notices::tell_of_ticket(tx, outbox, &ticket).await?;
        }
        Ok(ticket)
    }

    async fn reply(
        &self,
        tx: &mut Tx,
        accepted: &Accepted<pb::SubmitReplyRequest>,
        before: Ticket,
    ) -> Result<pb::TicketReply, Error> {
        let message = &accepted.message;
        let by = accepted.caller.key.system_user_id;
        let (author_id, is_new) = user_of(tx, "from_email", &message.from_email).await?;
        let is_internal = message.is_internal == Some(true);
        let new = NewComment {
            body: message.content.clone(),
            visibility: if is_internal { Visibility::Internal } else { Visibility::Public },
            author_id,
            channel: Channel::Email,
            created_by: by,
            external_id: None,
            created_at: None,
        };
        let said = Said {
            new,
            opens_again: OpensAgain::Anybody,
            watcher: is_new.then_some(author_id),
            outbox: self.outbox.of_notices(&accepted.caller),
        };
        let (comment, after) = comments::add(tx, &before, said, by).await?;
        let reopened = after.status != before.status;
        Ok(pb::TicketReply { ticket_id: after.id, response_id: comment.id, reopened })
    }
}

/// The id of the user with this address, and whether it was made for the purpose. That of the SYSTEM user
/// is refused in the field that has it: nobody speaks in its name.
async fn user_of(tx: &mut Tx, field: &str, address: &str) -> Result<(i64, bool), Error> {
    let found = match tx.find_folded::<User>("email_key", address).await? {
        Some(found) => found,
        None => {
            let new = User::new(local_part(address), address, Role::EndUser, tx.now());
            let made = tx.attempt(async |tx| {
                let user = tx.insert(new).await?;
                record_new(tx, EventType::UserCreated, &user);
                Ok(user)
            });
            match made.await {
                Ok(made) => return Ok((made.id, true)),
                // Somebody else has made it meanwhile.
                Err(error) if error.kind == Kind::AlreadyExists => {
                    let found = tx.find_folded::<User>("email_key", address).await?;
                    found.ok_or(error)?
                }
                Err(error) => return Err(error),
            }
        }
    };
    if found.role == Role::System {
        let remedy = format!("{field} is the address of the SYSTEM user: use another one");
        return Err(Error::invalid_field(field, "SYSTEM_USER", &remedy));
    }
    Ok((found.id, false))
}

fn check_ticket(message: &pb::SubmitTicketRequest, violations: &mut Violations) {
    let (field, address) = ("originator_email_address", &message.originator_email_address);
    check_given(field, address, violations);
}

fn check_reply(message: &pb::SubmitReplyRequest, violations: &mut Violations) {
    check_given("from_email", &message.from_email, violations);
}

fn check_email(message: &pb::SubmitEmailRequest, violations: &mut Violations) {
    check_given("to_address", &message.to_address, violations);
    emails::check_text("content", &message.content, violations);
}

/// Refuses an address that cannot be one; that it is missing is noted elsewhere.
fn check_given(field: &str, address: &str, violations: &mut Violations) {
    if !address.is_empty() {
        check_address(field, address, violations);
    }
}
