//! The export of tickets, with their history and their comments.

use serde_json::{Map, Value};

use super::members::{TICKET, kept};
use super::{Export, PAGE};
use crate::cli::client::sentence;
use crate::cli::import::calls::call;
use crate::pb;

/// The most bytes of comments or history in one line; what is beyond them begins another line.
const LINE_BYTES_MAX: usize = 256 * 1024;
const LINE_ROWS_MAX: usize = 500;

impl Export {
    /// Writes a ticket.
    pub async fn ticket(&mut self, ticket: pb::Ticket) -> Result<(), String> {
        let mut record = self.known_by(&ticket);
        record.extend(kept(&ticket, TICKET));
        if let Some(Value::Object(values)) = record.remove("customFields") {
            let values = self.outer.custom_fields(values).await?;
            record.insert("customFields".to_owned(), Value::Object(values));
        }
        match ticket.category_config_id {
            Some(id) => {
                record.remove("category");
                let name = self.outer.category(id).await?;
                record.insert("categoryConfig".to_owned(), Value::from(name));
            }
            None => {
                record.insert("categoryConfig".to_owned(), Value::Null);
            }
        }
        record.insert("requester".to_owned(), self.outer.person(ticket.requester_id).await?);
        record.insert("assignee".to_owned(), self.outer.person(ticket.assignee_id).await?);
        let mut watchers = Vec::with_capacity(ticket.watcher_user_ids.len());
        for id in &ticket.watcher_user_ids {
            watchers.push(self.outer.person(Some(*id)).await?);
        }
        watchers.retain(|person| !person.is_null());
        record.insert("watchers".to_owned(), Value::Array(watchers));
        let parent = match ticket.parent_id {
            Some(id) => Value::Object(self.outer.ticket(id).await?),
            None => Value::Null,
        };
        record.insert("parent".to_owned(), parent);
        let mut tags = Vec::with_capacity(ticket.asset_ids.len());
        for id in &ticket.asset_ids {
            tags.push(Value::from(self.outer.asset(*id).await?));
        }
        record.insert("assetTags".to_owned(), Value::Array(tags));
        let mut history = self.history(ticket.id).await?;
        let later = history.split_off(history.len().min(LINE_ROWS_MAX));
        let size: usize = history.iter().map(|entry| entry.to_string().len()).sum();
        let is_small = size <= LINE_BYTES_MAX;
        if is_small {
            record.insert("history".to_owned(), Value::Array(std::mem::take(&mut history)));
        }
        self.put(&record)?;
        history.extend(later);
        self.in_lines(&ticket, "history", history)
    }

    /// Returns the history of a ticket, the oldest entry first.
    async fn history(&self, id: i64) -> Result<Vec<Value>, String> {
        let (mut entries, mut cursor) = (Vec::new(), Some("start".to_owned()));
        while let Some(from) = cursor {
            let listed = call(&self.progress, || {
                let (mut client, cursor) = (self.client.tickets(), Some(from.clone()));
                let (id, per_page) = (id.to_string(), Some(PAGE));
                async move {
                    let request = pb::ListTicketHistoryRequest { id, per_page, cursor, page: None };
                    client.list_ticket_history(request).await
                }
            });
            let listed = listed.await.map_err(|status| sentence(&status))?.into_inner();
            for entry in listed.history {
                let actor = self.outer.actor(entry.actor.as_ref()).await?;
                let external_id = self.outer.id(entry.external_id.as_deref(), entry.id);
                let mut record = kept(&entry, &["field", "from", "to", "createdAt"]);
                record.insert("externalId".to_owned(), Value::from(external_id));
                record.insert("actor".to_owned(), actor);
                entries.push(Value::Object(record));
            }
            cursor = listed.meta.and_then(|meta| meta.next_cursor);
        }
        entries.reverse();
        Ok(entries)
    }

    /// Writes the comments on a ticket.
    pub async fn comments(&mut self, ticket: &pb::Ticket) -> Result<(), String> {
        let mut cursor = Some("start".to_owned()).filter(|_| ticket.comment_count > 0);
        while let Some(from) = cursor {
            let listed = call(&self.progress, || {
                let (mut client, cursor) = (self.client.tickets(), Some(from.clone()));
                let (id, per_page) = (ticket.id.to_string(), Some(PAGE));
                async move {
                    let request = pb::ListTicketCommentsRequest {
                        id,
                        per_page,
                        cursor,
                        ..Default::default()
                    };
                    client.list_ticket_comments(request).await
                }
            });
            let listed = listed.await.map_err(|status| sentence(&status))?.into_inner();
            let mut comments = Vec::with_capacity(listed.comments.len());
            for comment in listed.comments.into_iter().rev() {
                let external_id = self.outer.id(comment.external_id.as_deref(), comment.id);
                let mut record = kept(&comment, &["body", "visibility", "channel", "createdAt"]);
                record.insert("externalId".to_owned(), Value::from(external_id));
                let author = self.outer.person(Some(comment.author_id)).await?;
                record.insert("author".to_owned(), author);
                comments.push(Value::Object(record));
            }
            self.in_lines(ticket, "comments", comments)?;
            cursor = listed.meta.and_then(|meta| meta.next_cursor);
        }
        Ok(())
    }

    fn known_by(&self, ticket: &pb::Ticket) -> Map<String, Value> {
        self.outer.known_by(ticket)
    }

    /// Writes what a ticket has beside itself, in as many lines as it needs.
    fn in_lines(
        &mut self,
        ticket: &pb::Ticket,
        member: &str,
        rows: Vec<Value>,
    ) -> Result<(), String> {
        let updated_at = kept(ticket, &["updatedAt"]);
        let (mut line, mut bytes) = (Vec::new(), 0);
        let mut lines = Vec::new();
        for row in rows {
            let size = row.to_string().len();
            if !line.is_empty() && (bytes + size > LINE_BYTES_MAX || line.len() == LINE_ROWS_MAX) {
                lines.push(std::mem::take(&mut line));
                bytes = 0;
            }
            bytes += size;
            line.push(row);
        }
        lines.push(line);
        for line in lines.into_iter().filter(|line| !line.is_empty()) {
            let mut record = self.known_by(ticket);
            record.extend(updated_at.clone());
            record.insert(member.to_owned(), Value::Array(line));
            self.put(&record)?;
        }
        Ok(())
    }
}
