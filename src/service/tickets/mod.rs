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
use super::once::{Answer, once};
use super::pages;
use super::references::check_one;
use super::{accept, no_more, number};
use crate::error::Error;
use crate::limits::Limiter;
use crate::pb;
use crate::resource::Resource;
use crate::store::tickets::{Comment, Ticket, TicketFilter};
use crate::store::{CursorKey, Store, User, WorkspaceId};

pub use imports::check as check_import;

/// Answers for tickets.
#[derive(Clone)]
pub struct Tickets {
    /// Where the tickets are.
    pub store: Store,
    /// What batches spend of; none where the service calls itself, to load its demo.
    pub limiter: Option<Arc<Limiter>>,
    /// Where e-mails about them are put.
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
        let answered = once(&self.store, &accepted, async |tx| {
            let message = &accepted.message;
            if message.parent_id.is_some() {
                tx.lock_parents().await?;
            }
            let fields = references::fields_of(tx, message.custom_fields.keys()).await?;
            let named = references::check_new(tx, &fields, message).await?;
            let ticket = writes::create(tx, message.clone(), named, by).await?;
            Ok(pb::CreateTicketResponse { ticket: Some(ticket) })
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
        let id = ticket_id(&accepted.message.id);
        let by = accepted.caller.key.system_user_id;
        let answered = once(&self.store, &accepted, async |tx| {
            let id = id?;
            if mask.has("parent_id") {
                tx.lock_parents().await?;
            }
            let before = tx.find_for_update::<Ticket>(id, &accepted.precondition).await?;
            let after = writes::update(tx, &before, &accepted.message, &mask, by).await?;
            Ok(pb::UpdateTicketResponse { ticket: Some(messages::ticket(after)) })
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
        let answered = once(&self.store, &accepted, async |tx| {
            spend(self.limiter.as_deref(), &accepted, items).await?;
            let results = batch::create(tx, &accepted).await?;
            Ok(pb::BatchCreateTicketsResponse { results })
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
        let answered = once(&self.store, &accepted, async |tx| {
            spend(self.limiter.as_deref(), &accepted, masks.len()).await?;
            let results = batch::update(tx, &accepted, &masks).await?;
            Ok(pb::BatchUpdateTicketsResponse { results })
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
        let answered = once(&self.store, &accepted, async |tx| {
            spend(self.limiter.as_deref(), &accepted, masks.len()).await?;
            let results = imports::import(tx, &accepted, &masks, by).await?;
            Ok(pb::ImportTicketsResponse { results })
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
        let id = ticket_id(&accepted.message.id);
        let new = comments::new_comment(accepted.message.clone(), by);
        let answered = once(&self.store, &accepted, async |tx| {
            let before = tx.find_for_update::<Ticket>(id?, &accepted.precondition).await?;
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
        let found = self.store.reader(workspace).find(ticket_id(id)?).await?;
        found.ok_or_else(|| Resource::Ticket.not_found())
    }
}

impl Answer for pb::CreateTicketResponse {}
impl Answer for pb::UpdateTicketResponse {}
impl Answer for pb::BatchCreateTicketsResponse {}
impl Answer for pb::BatchUpdateTicketsResponse {}
impl Answer for pb::ImportTicketsResponse {}
impl Answer for pb::CreateTicketCommentResponse {}

/// The id that `42` or `TCK-42` names. What can be no id is simply not found.
pub(in crate::service) fn ticket_id(text: &str) -> Result<i64, Error> {
    let digits = text.strip_prefix("TCK-").unwrap_or(text);
    number(digits).ok_or_else(|| Resource::Ticket.not_found())
}
