//! TicketService: list, get, create, update.

mod changes;
mod filters;
mod messages;
mod references;
pub mod status;

use tonic::{Request, Response, Status};

use rest::{Patch, Violations};

use super::once::{Answer, once};
use super::{accept, no_more, number, pages};
use crate::error::Error;
use crate::pb;
use crate::resource::Resource;
use crate::service;
use crate::store::Store;
use crate::store::tickets::Ticket;

/// Answers for tickets.
#[derive(Clone)]
pub struct Tickets {
    /// Where the tickets are.
    pub store: Store,
}

#[tonic::async_trait]
impl pb::ticket_service_server::TicketService for Tickets {
    async fn list_tickets(
        &self,
        request: Request<pb::ListTicketsRequest>,
    ) -> Result<Response<pb::ListTicketsResponse>, Status> {
        let accepted = accept(request, filters::check)?;
        let workspace = accepted.caller.workspace();
        let message = &accepted.message;
        let sort = pages::sort::<Ticket>(message.sort.as_deref(), message.updated_since);
        let list = filters::filter(message).query(sort);
        let page = filters::page_parameters(message)
            .request(|text| list.decode::<Ticket>(workspace, text))?;
        let found = self.store.reader(workspace).list(&list, &page).await?;
        let listed = pages::listed(workspace, &list, &page, found, messages::ticket)?;
        let (tickets, meta) = (listed.messages, Some(listed.meta));
        Ok(Response::new(pb::ListTicketsResponse { tickets, meta }))
    }

    async fn get_ticket(
        &self,
        request: Request<pb::GetTicketRequest>,
    ) -> Result<Response<pb::GetTicketResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let id = ticket_id(&accepted.message.id)?;
        let found = self.store.reader(accepted.caller.workspace()).find(id).await?;
        let ticket = found.ok_or_else(|| Resource::Ticket.not_found())?;
        Ok(Response::new(pb::GetTicketResponse { ticket: Some(messages::ticket(ticket)) }))
    }

    async fn create_ticket(
        &self,
        request: Request<pb::CreateTicketRequest>,
    ) -> Result<Response<pb::CreateTicketResponse>, Status> {
        let accepted = accept(request, check_create)?;
        let by = accepted.caller.key.system_user_id;
        let new = messages::new_ticket(accepted.message.clone(), by);
        let answered = once(&self.store, &accepted, async |tx| {
            references::check_new(tx, &new).await?;
            let ticket = tx.insert_ticket(new).await?;
            let ticket = messages::ticket(ticket);
            tx.record(service::changes::created(Resource::Ticket, &ticket));
            Ok(pb::CreateTicketResponse { ticket: Some(ticket) })
        });
        Ok(answered.await?)
    }

    async fn update_ticket(
        &self,
        request: Request<pb::UpdateTicketRequest>,
    ) -> Result<Response<pb::UpdateTicketResponse>, Status> {
        let mut mask = rest::Mask::default();
        let accepted = accept(request, |message: &pb::UpdateTicketRequest, violations| {
            mask = message.mask(violations);
        })?;
        let id = ticket_id(&accepted.message.id);
        let answered = once(&self.store, &accepted, async |tx| {
            let id = id?;
            if mask.has("parent_id") {
                tx.lock_parents().await?;
            }
            let before = tx.find_for_update::<Ticket>(id, &accepted.precondition).await?;
            let mut after = changes::apply(&before, &accepted.message, &mask, tx.now())?;
            references::check_changed(tx, &before, &after).await?;
            if after != before {
                after.updated_by = accepted.caller.key.system_user_id;
                after = tx.update(&before, after).await?;
                tx.record(changes::updated(&before, &after));
            }
            Ok(pb::UpdateTicketResponse { ticket: Some(messages::ticket(after)) })
        });
        Ok(answered.await?)
    }
}

impl Answer for pb::CreateTicketResponse {}
impl Answer for pb::UpdateTicketResponse {}

/// The id that `42` or `TCK-42` names. What can be no id is simply not found.
fn ticket_id(text: &str) -> Result<i64, Error> {
    let digits = text.strip_prefix("TCK-").unwrap_or(text);
    number(digits).ok_or_else(|| Resource::Ticket.not_found())
}

fn check_create(message: &pb::CreateTicketRequest, violations: &mut Violations) {
    check_external(message.external_source.is_some(), message.external_id.is_some(), violations);
}

/// `externalSource` and `externalId` make sense only together.
fn check_external(source: bool, id: bool, violations: &mut Violations) {
    match (source, id) {
        (true, false) => {
            violations.add("externalId", "REQUIRED", "externalId is needed beside externalSource")
        }
        (false, true) => {
            violations.add(
                "externalSource",
                "REQUIRED",
                "externalSource is needed beside externalId",
            );
        }
        _ => {}
    }
}
