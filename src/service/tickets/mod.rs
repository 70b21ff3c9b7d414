//! TicketService: list, get, create, update.

mod changes;
mod filters;
mod messages;
mod references;
pub mod status;

use tonic::{Request, Response, Status};

use super::once::{Answer, once};
use super::{accept, no_more};
use crate::error::{Error, Kind};
use crate::pb;
use crate::store::Store;
use rest::{Patch, Violations};

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
        let query = filters::query(workspace, &accepted.message)?;
        let page = self
            .store
            .reader(workspace)
            .list_tickets(&query.filter, query.sort, query.page)
            .await?;
        Ok(Response::new(query.reply(page)?))
    }

    async fn get_ticket(
        &self,
        request: Request<pb::GetTicketRequest>,
    ) -> Result<Response<pb::GetTicketResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let id = ticket_id(&accepted.message.id)?;
        let found = self.store.reader(accepted.caller.workspace()).find_ticket(id).await?;
        let ticket = found.ok_or_else(not_found)?;
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
            tx.record(changes::created(&ticket));
            Ok(pb::CreateTicketResponse { ticket: Some(messages::ticket(ticket)) })
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
            let before = tx.find_ticket_for_update(id?).await?.ok_or_else(not_found)?;
            accepted.preconditions.hold(before.version, accepted.message.version)?;
            let mut after = changes::apply(&before, &accepted.message, &mask, tx.now())?;
            references::check_changed(tx, &before, &after).await?;
            if after != before {
                after.updated_by = accepted.caller.key.system_user_id;
                after = tx.update_ticket(&before, &after).await?;
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
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|_| plain).ok_or_else(not_found)
}

/// The same text for a ticket of another workspace and for one that is nowhere.
fn not_found() -> Error {
    let message = "There is no such ticket in this workspace. Check the id, such as 42 or TCK-42.";
    Error::new(Kind::TicketNotFound, message)
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
