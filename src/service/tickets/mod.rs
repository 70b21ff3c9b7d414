//! TicketService: list, get, create, update, by one or many at once.

mod batch;
mod changes;
pub(in crate::service) mod comments;
mod feed;
mod filters;
mod imports;
mod include;
pub(in crate::service) mod messages;
pub(in crate::service) mod notices;
pub(in crate::service) mod references;
pub mod status;
pub(in crate::service) mod writes;

use std::sync::Arc;

use tonic::{Request, Response, Status};

use rest::Mask;

use self::comments::{OpensAgain, Said};
use super::batch::{check_size, spend};
use super::custom_fields;
use super::emails::Outbox;
use super::once::{Answer, once_locking, once_on};
use super::pages;
use super::references::check_one;
use super::{accept, no_more};
use crate::error::Error;
use crate::limits::Limiter;
use crate::pb;
use crate::store::tickets::{Comment, Ticket, TicketFilter};
use crate::store::{CursorKey, Store, User, WorkspaceId};

pub use imports::check as check_import;

/// Answers for tickets.
#[derive(Clone)]
pub struct Tickets {
    /// The store.
    pub store: Store,
    /// The limiter of which batches spend; none where the service calls itself, to load its demo.
    pub limiter: Option<Arc<Limiter>>,
    /// The outbox for notices of tickets.
    pub outbox: Outbox,
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
        let reader = self.store.reader(workspace);
        let terms = custom_fields::terms(reader, &message.cf).await?;
        let list = TicketFilter { terms, ..filters::filter(message) }.query(sort);
        let page = pages::asked(message, |text| list.decode::<Ticket>(workspace, text))?;
        let by_relevance = filters::is_by_relevance(message);
        let found = match by_relevance {
            true => reader.list_by_relevance(&list, &page).await?,
            false => reader.list(&list, &page).await?,
        };
        let mut listed = pages::listed(workspace, &list, &page, found, messages::ticket)?;
        if by_relevance {
            // It is ranked anew for each page.
            listed.meta.next_cursor = None;
        }
        include::include(reader, &message.include, &mut listed.messages).await?;
        let (tickets, meta) = (listed.messages, Some(listed.meta));
        Ok(Response::new(pb::ListTicketsResponse { tickets, meta }))
    }

    async fn get_ticket(
        &self,
        request: Request<pb::GetTicketRequest>,
    ) -> Result<Response<pb::GetTicketResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let (workspace, message) = (accepted.caller.workspace(), &accepted.message);
        let mut ticket = [messages::ticket(self.find(workspace, &message.id).await?)];
        let reader = self.store.reader(workspace);
        include::include(reader, &message.include, &mut ticket).await?;
        let [ticket] = ticket;
        Ok(Response::new(pb::GetTicketResponse { ticket: Some(ticket) }))
    }

    async fn create_ticket(
        &self,
        request: Request<pb::CreateTicketRequest>,
    ) -> Result<Response<pb::CreateTicketResponse>, Status> {
        let accepted = accept(request, writes::check_new)?;
        let by = accepted.caller.key.system_user_id;
        let answered = once_locking(&self.store, &accepted, async |locking| {
            let message = &accepted.message;
            let mut tx = locking.lock_parents_if(message.parent_id.is_some()).await?.done();
            let fields = references::fields_of(&tx, message.custom_fields.keys()).await?;
            let named = references::check_new(&mut tx, &fields, message).await?;
            let ticket = writes::create(&mut tx, message.clone(), named, by).await?;
            Ok((pb::CreateTicketResponse { ticket: Some(ticket) }, tx))
        });
        Ok(answered.await?)
    }

    async fn update_ticket(
        &self,
        request: Request<pb::UpdateTicketRequest>,
    ) -> Result<Response<pb::UpdateTicketResponse>, Status> {
        let mut mask = Mask::default();
        let accepted = accept(request, |message, violations| {
            mask = writes::check_update(message, violations);
        })?;
        let by = accepted.caller.key.system_user_id;
        let answered = once_locking(&self.store, &accepted, async |locking| {
            let (message, meant_for) = (&accepted.message, &accepted.precondition);
            let locking = locking.lock_parents_if(mask.has("parent_id")).await?;
            let (before, locking) =
                locking.find_for_update::<Ticket>(ticket_name(&message.id), meant_for).await?;
            let mut tx = locking.done();
            let after = writes::update(&mut tx, &before, message, &mask, by).await?;
            Ok((pb::UpdateTicketResponse { ticket: Some(messages::ticket(after)) }, tx))
        });
        Ok(answered.await?)
    }

    async fn batch_create_tickets(
        &self,
        request: Request<pb::BatchCreateTicketsRequest>,
    ) -> Result<Response<pb::BatchCreateTicketsResponse>, Status> {
        let accepted = accept(request, |message: &pb::BatchCreateTicketsRequest, violations| {
            for (index, item) in message.items.iter().enumerate() {
                writes::check_new(item, violations.item(index));
            }
        })?;
        let items = accepted.message.items.len();
        check_size(&accepted.caller, items)?;
        let answered = once_locking(&self.store, &accepted, async |locking| {
            spend(self.limiter.as_deref(), &accepted, items).await?;
            let (results, tx) = batch::create(locking, &accepted).await?;
            Ok((pb::BatchCreateTicketsResponse { results }, tx))
        });
        Ok(answered.await?)
    }

    async fn batch_update_tickets(
        &self,
        request: Request<pb::BatchUpdateTicketsRequest>,
    ) -> Result<Response<pb::BatchUpdateTicketsResponse>, Status> {
        let mut masks = Vec::new();
        let accepted = accept(request, |message: &pb::BatchUpdateTicketsRequest, violations| {
            for (index, item) in message.items.iter().enumerate() {
                masks.push(writes::check_update(item, violations.item(index)));
            }
        })?;
        check_size(&accepted.caller, masks.len())?;
        let answered = once_locking(&self.store, &accepted, async |locking| {
            spend(self.limiter.as_deref(), &accepted, masks.len()).await?;
            let (results, tx) = batch::update(locking, &accepted, &masks).await?;
            Ok((pb::BatchUpdateTicketsResponse { results }, tx))
        });
        Ok(answered.await?)
    }

    async fn import_tickets(
        &self,
        request: Request<pb::ImportTicketsRequest>,
    ) -> Result<Response<pb::ImportTicketsResponse>, Status> {
        let mut masks = Vec::new();
        let accepted = accept(request, |message, violations| {
            masks = imports::check(message, violations);
        })?;
        check_size(&accepted.caller, masks.len())?;
        let by = accepted.caller.key.system_user_id;
        let answered = once_locking(&self.store, &accepted, async |locking| {
            spend(self.limiter.as_deref(), &accepted, masks.len()).await?;
            let (results, tx) = imports::import(locking, &accepted, &masks, by).await?;
            Ok((pb::ImportTicketsResponse { results }, tx))
        });
        Ok(answered.await?)
    }

    async fn list_ticket_comments(
        &self,
        request: Request<pb::ListTicketCommentsRequest>,
    ) -> Result<Response<pb::ListTicketCommentsResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let (workspace, message) = (accepted.caller.workspace(), &accepted.message);
        let id = self.find(workspace, &message.id).await?.id;
        let visibility = message.visibility.map(comments::visibility);
        let list = format!("{workspace:?} comments on ticket {id} {visibility:?}");
        let page = pages::asked(message, |text| CursorKey::decode_in(text, &list))?;
        let found = self.store.reader(workspace).list_comments(id, visibility, &page).await?;
        let cursor = |key: &CursorKey| key.encode_in(&list);
        let listed = pages::fitted(&page, found, Comment::key, cursor, comments::comment)?;
        let (comments, meta) = (listed.messages, Some(listed.meta));
        Ok(Response::new(pb::ListTicketCommentsResponse { comments, meta }))
    }

    async fn create_ticket_comment(
        &self,
        request: Request<pb::CreateTicketCommentRequest>,
    ) -> Result<Response<pb::CreateTicketCommentResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let by = accepted.caller.key.system_user_id;
        let name = ticket_name(&accepted.message.id);
        let new = comments::new_comment(accepted.message.clone(), by);
        let answered = once_on(&self.store, &accepted, name, async |tx, before: Ticket| {
            check_one::<User>(tx, "authorId", Some(new.author_id)).await?;
            let outbox = self.outbox.of_notices(&accepted.caller);
            let opens_again = OpensAgain::Requester;
            let said = Said { new: new.clone(), opens_again, watcher: None, outbox };
            let (comment, _) = comments::add(tx, &before, said, by).await?;
            Ok(pb::CreateTicketCommentResponse { comment: Some(comment) })
        });
        Ok(answered.await?)
    }

    async fn list_ticket_history(
        &self,
        request: Request<pb::ListTicketHistoryRequest>,
    ) -> Result<Response<pb::ListTicketHistoryResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let ticket = self.find(accepted.caller.workspace(), &accepted.message.id).await?;
        let listed = pages::history::<Ticket, _>(&self.store, &accepted, ticket.id).await?;
        let (history, meta) = (listed.messages, Some(listed.meta));
        Ok(Response::new(pb::ListTicketHistoryResponse { history, meta }))
    }

    async fn list_ticket_changes(
        &self,
        request: Request<pb::ListTicketChangesRequest>,
    ) -> Result<Response<pb::ListTicketChangesResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let reader = self.store.reader(accepted.caller.workspace());
        let page = feed::page(reader, &accepted.caller.key.workspace, &accepted.message).await?;
        Ok(Response::new(page))
    }

    async fn get_ticket_transitions(
        &self,
        request: Request<pb::GetTicketTransitionsRequest>,
    ) -> Result<Response<pb::GetTicketTransitionsResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let ticket = self.find(accepted.caller.workspace(), &accepted.message.id).await?;
        let allowed = status::allowed(&ticket, self.store.now()).to_vec();
        let status = ticket.status.as_i16().into();
        Ok(Response::new(pb::GetTicketTransitionsResponse { status, allowed }))
    }
}

impl Tickets {
    /// The ticket that a path names.
    async fn find(&self, workspace: WorkspaceId, id: &str) -> Result<Ticket, Error> {
        self.store.reader(workspace).find_named(ticket_name(id)).await
    }
}

impl Answer for pb::CreateTicketResponse {}
impl Answer for pb::UpdateTicketResponse {}
impl Answer for pb::BatchCreateTicketsResponse {}
impl Answer for pb::BatchUpdateTicketsResponse {}
impl Answer for pb::ImportTicketsResponse {}
impl Answer for pb::CreateTicketCommentResponse {}

/// The name of the ticket by which the store finds it, where a path names it by `42` or `TCK-42`.
pub(in crate::service) fn ticket_name(text: &str) -> &str {
    text.strip_prefix("TCK-").unwrap_or(text)
}
