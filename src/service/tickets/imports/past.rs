//! The comments and the history of a ticket from another system.

use rest::Violations;
use serde_json::Value;

use super::item::Item;
use super::known::Known;
use super::life::check_past;
use super::people::Ids;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::pb;
use crate::service::tickets::comments;
use crate::store::tickets::{Channel, NewComment, Ticket, Visibility};
use crate::store::{BroughtHistory, Tx};

/// The comments and the history that a ticket does not have yet.
pub struct Past {
    comments: Vec<NewComment>,
    history: Vec<BroughtHistory>,
}

/// Notes the times that have not come yet.
pub fn check(item: &pb::TicketImport, now: Timestamp, violations: &mut Violations) {
    for (at, comment) in item.comments.iter().enumerate() {
        let time = comment.created_at.map(Timestamp::from);
        check_past(&format!("comments[{at}].createdAt"), time, now, violations);
    }
    for (at, entry) in item.history.iter().enumerate() {
        let time = entry.created_at.map(Timestamp::from);
        check_past(&format!("history[{at}].createdAt"), time, now, violations);
    }
}

impl Past {
    /// Returns the part of an item's past that is not known yet, at `now`.
    pub fn new(
        Item { item, by, .. }: &Item<'_>,
        mut known: Known,
        people: &Ids,
        now: Timestamp,
    ) -> Self {
        let comments = item.comments.iter().zip(&people.authors);
        let comments =
            comments.filter(|(comment, _)| known.comments.insert(comment.external_id.clone()));
        let comments = comments.map(|(comment, author)| NewComment {
            body: comment.body.clone(),
            visibility: comment.visibility.map_or(Visibility::Public, comments::visibility),
            author_id: author.unwrap_or(*by),
            channel: comment.channel.map_or(Channel::Api, comments::channel),
            created_by: *by,
            external_id: Some(comment.external_id.clone()),
            created_at: comment.created_at.map(Into::into),
        });
        let comments = comments.collect();
        let history = item.history.iter().zip(&people.actors);
        let history = history.filter(|(entry, _)| known.history.insert(entry.external_id.clone()));
        let history = history.map(|(entry, actor)| BroughtHistory {
            external_id: entry.external_id.clone(),
            field: entry.field.clone(),
            from: json(entry.from.as_ref()),
            to: json(entry.to.as_ref()),
            actor: actor.clone(),
            created_at: entry.created_at.map_or(now, Into::into),
        });
        Self { comments, history: history.collect() }
    }

    /// Returns the number of new comments.
    pub fn comment_count(&self) -> i32 {
        i32::try_from(self.comments.len()).expect("a request has at most 1,000")
    }

    /// Returns true if the ticket has all of it already.
    pub fn is_empty(&self) -> bool {
        self.comments.is_empty() && self.history.is_empty()
    }

    /// Returns true if its history tells how a field got its present value.
    pub fn tells(&self, field: &str, now: &Value) -> bool {
        let of_field = self.history.iter().filter(|entry| entry.field == field);
        of_field.max_by_key(|entry| entry.created_at).is_some_and(|last| last.to == *now)
    }

    /// Writes it to the ticket with this id, which this change holds.
    pub async fn write(self, tx: &mut Tx, ticket: i64) -> Result<(), Error> {
        let is_public = |comment: &&NewComment| comment.visibility == Visibility::Public;
        let public: Vec<_> =
            self.comments.iter().filter(is_public).map(|comment| comment.body.as_str()).collect();
        if !public.is_empty() {
            tx.add_words::<Ticket>(ticket, &public.join("\n")).await?;
        }
        tx.insert_comments(ticket, self.comments).await?;
        for entry in self.history {
            tx.remember_brought::<Ticket>(ticket, entry);
        }
        Ok(())
    }
}

fn json(value: Option<&prost_types::Value>) -> Value {
    let value = value.map(rest::write::Value);
    serde_json::to_value(value).expect("JSON in a message is JSON")
}
