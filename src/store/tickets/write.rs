//! Changing tickets, and the rows beside theirs.

use sea_orm::{ColumnTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QueryTrait, Set};

use super::row::{FIND, decode, encode_changes};
use super::{NewTicket, Ticket, Tx};
use crate::error::{Error, Kind};
use crate::store::entity::{ticket, ticket_tag, ticket_watcher};
use crate::store::failure::{failed, is_taken};
use crate::store::sql::statement;

/// How a broken promise of (externalSource, externalId) is told: by the index or by its columns.
const EXTERNAL_ID: &[&str] = &["tickets_external_source_external_id_idx", "tickets.external_id"];

impl Tx {
    /// The ticket with this id, as nobody else can change it until this change has ended.
    pub async fn find_ticket_for_update(&self, id: i64) -> Result<Option<Ticket>, Error> {
        let text = match self.transaction.backend() {
            // Not FOR UPDATE: that would also hold up those who only refer to the ticket.
            DbBackend::Postgres => format!("{} FOR NO KEY UPDATE", *FIND),
            // The transaction has the whole database to itself already.
            _ => FIND.clone(),
        };
        let values = [self.workspace.0.into(), id.into()];
        let query = statement(self.transaction.backend(), text, values);
        self.transaction.read_one(query, decode).await
    }

    /// Makes of the ticket `before` the ticket `after`, and answers it with its new version and
    /// time. `before` comes from [`Tx::find_ticket_for_update`]; if the row has moved on since, it
    /// is a VERSION_CONFLICT.
    pub async fn update_ticket(
        &mut self,
        before: &Ticket,
        after: &Ticket,
    ) -> Result<Ticket, Error> {
        let after = Ticket {
            id: before.id,
            version: before.version + 1,
            updated_at: self.now,
            ..after.clone()
        };
        let updated = ticket::Entity::update_many()
            .set(encode_changes(self.workspace, before, &after))
            .filter(ticket::Column::WorkspaceId.eq(self.workspace.0))
            .filter(ticket::Column::Id.eq(before.id))
            .filter(ticket::Column::Version.eq(before.version))
            .build(self.transaction.backend());
        let updated = self.transaction.execute(updated).await;
        if updated.map_err(|error| refused(error, &after))? == 0 {
            let message = "The ticket was changed by somebody else. Read it again.";
            return Err(Error::new(Kind::VersionConflict, message));
        }
        if after.tags != before.tags {
            self.delete_tags(&after).await.map_err(failed)?;
            self.insert_tags(&after).await.map_err(failed)?;
        }
        if after.watcher_user_ids != before.watcher_user_ids {
            self.delete_watchers(&after).await.map_err(failed)?;
            self.insert_watchers(&after).await.map_err(failed)?;
        }
        self.count_updated(before, &after);
        Ok(after)
    }

    pub(super) fn new_ticket(&self, id: i64, new: NewTicket) -> Ticket {
        Ticket {
            id,
            title: new.title,
            description: new.description,
            ticket_type: new.ticket_type,
            category: new.category,
            priority: new.priority,
            impact: new.impact,
            urgency: new.urgency,
            status: new.status,
            pending_reason: None,
            resolution: None,
            requester_id: new.requester_id,
            assignee_id: new.assignee_id,
            watcher_user_ids: new.watcher_user_ids,
            parent_id: new.parent_id,
            tags: new.tags,
            due_at: new.due_at,
            source: new.source,
            external_source: new.external_source,
            external_id: new.external_id,
            comment_count: 0,
            reopen_count: 0,
            created_at: self.now,
            updated_at: self.now,
            resolved_at: None,
            closed_at: None,
            created_by: new.created_by,
            updated_by: new.created_by,
            version: 1,
        }
    }

    pub(super) async fn insert_tags(&self, ticket: &Ticket) -> Result<(), DbErr> {
        if ticket.tags.is_empty() {
            return Ok(());
        }
        let rows = ticket.tags.iter().map(|tag| ticket_tag::ActiveModel {
            workspace_id: Set(self.workspace.0),
            ticket_id: Set(ticket.id),
            tag: Set(tag.clone()),
            ticket_created_at: Set(ticket.created_at.0),
        });
        let insert = ticket_tag::Entity::insert_many(rows).build(self.transaction.backend());
        self.transaction.execute(insert).await.map(|_| ())
    }

    async fn delete_tags(&self, ticket: &Ticket) -> Result<(), DbErr> {
        let delete = ticket_tag::Entity::delete_many()
            .filter(ticket_tag::Column::WorkspaceId.eq(self.workspace.0))
            .filter(ticket_tag::Column::TicketId.eq(ticket.id))
            .build(self.transaction.backend());
        self.transaction.execute(delete).await.map(|_| ())
    }

    pub(super) async fn insert_watchers(&self, ticket: &Ticket) -> Result<(), DbErr> {
        if ticket.watcher_user_ids.is_empty() {
            return Ok(());
        }
        let rows = ticket.watcher_user_ids.iter().map(|user| ticket_watcher::ActiveModel {
            workspace_id: Set(self.workspace.0),
            ticket_id: Set(ticket.id),
            user_id: Set(*user),
        });
        let insert = ticket_watcher::Entity::insert_many(rows).build(self.transaction.backend());
        self.transaction.execute(insert).await.map(|_| ())
    }

    async fn delete_watchers(&self, ticket: &Ticket) -> Result<(), DbErr> {
        let delete = ticket_watcher::Entity::delete_many()
            .filter(ticket_watcher::Column::WorkspaceId.eq(self.workspace.0))
            .filter(ticket_watcher::Column::TicketId.eq(ticket.id))
            .build(self.transaction.backend());
        self.transaction.execute(delete).await.map(|_| ())
    }
}

pub(super) fn refused(error: DbErr, ticket: &Ticket) -> Error {
    if !is_taken(&error, EXTERNAL_ID) {
        return failed(error);
    }
    let message = format!(
        "A ticket with externalSource \"{}\" and externalId \"{}\" exists already.",
        ticket.external_source.as_deref().unwrap_or_default(),
        ticket.external_id.as_deref().unwrap_or_default(),
    );
    Error::new(Kind::AlreadyExists, message)
}
