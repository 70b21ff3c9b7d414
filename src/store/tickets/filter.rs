//! The filters and the order of a list of tickets.

use super::kinds::{Category, Priority, Source, Status, TicketType};
use super::table::{ASSETS, CATEGORY, PRIORITY, STATUS, TAGS, TERMS, TYPE, UNASSIGNED, WORDS};
use crate::clock::Timestamp;
use crate::store::nouns::{CREATED_AT, Condition, Direction, Order, Query};

/// The filters of a list of tickets, all of which a ticket passes. A list that is empty, or a value
/// that is not given, filters nothing; within a list any one value is enough.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TicketFilter {
    /// Only tickets in one of these statuses.
    pub status: Vec<Status>,
    /// Only tickets of one of these priorities.
    pub priority: Vec<Priority>,
    /// Only tickets of one of these types.
    pub ticket_type: Vec<TicketType>,
    /// Only tickets of one of these categories.
    pub category: Vec<Category>,
    /// Only tickets of one of these categories of the workspace's own.
    pub category_config_ids: Vec<i64>,
    /// Only tickets assigned to one of these users.
    pub assignee_ids: Vec<i64>,
    /// Only tickets requested by one of these users.
    pub requester_ids: Vec<i64>,
    /// Only parts of one of these tickets.
    pub parent_ids: Vec<i64>,
    /// Only tickets with this tag.
    pub tag: Option<String>,
    /// Only tickets about one of these assets.
    pub asset_ids: Vec<i64>,
    /// Only tickets with one of the terms of each list; see
    /// [`CustomValue::terms`](super::CustomValue::terms).
    pub terms: Vec<Vec<String>>,
    /// Only tickets assigned to nobody (true) or to somebody (false).
    pub unassigned: Option<bool>,
    /// Only tickets with each word of this text in title, description or a public comment; see
    /// [`Condition::search`].
    pub words: Option<String>,
    /// Only tickets created at this instant or later.
    pub created_after: Option<Timestamp>,
    /// Only tickets created before this instant.
    pub created_before: Option<Timestamp>,
    /// Only tickets changed at this instant or later.
    pub updated_since: Option<Timestamp>,
    /// Only tickets due at this instant or later.
    pub due_after: Option<Timestamp>,
    /// Only tickets due before this instant.
    pub due_before: Option<Timestamp>,
    /// Only tickets from one of these sources.
    pub source: Vec<Source>,
    /// Only tickets brought from this system.
    pub external_source: Option<String>,
    /// Only tickets with this id in the system that they were brought from.
    pub external_id: Option<String>,
}

impl TicketFilter {
    /// The list of the tickets that pass; the newest first, unless an order is given.
    pub fn query(&self, sort: Option<(&'static Order, Direction)>) -> Query {
        let unassigned = self.unassigned.map(i16::from);
        let sources: Vec<_> = self.source.iter().map(|one| one.as_i16().into()).collect();
        let conditions = [
            Condition::dimension(&STATUS, self.status.iter().map(|one| one.as_i16())),
            Condition::dimension(&PRIORITY, self.priority.iter().map(|one| one.as_i16())),
            Condition::dimension(&TYPE, self.ticket_type.iter().map(|one| one.as_i16())),
            Condition::dimension(&CATEGORY, self.category.iter().map(|one| one.as_i16())),
            Condition::dimension(&UNASSIGNED, unassigned),
            Condition::numbers("category_config_id", &self.category_config_ids),
            Condition::numbers("parent_id", &self.parent_ids),
            Condition::numbers("assignee_id", &self.assignee_ids),
            Condition::numbers("requester_id", &self.requester_ids),
            Condition::texts(&TAGS, self.tag.iter().cloned().collect()),
            Condition::ids(&ASSETS, &self.asset_ids),
            Condition::numbers("source", &sources),
            self.external_source.clone().map(|text| Condition::Text("external_source", text)),
            self.external_id.clone().map(|text| Condition::Text("external_id", text)),
            self.words.as_deref().map(|text| Condition::search(&WORDS, text)),
            self.created_after.map(|at| Condition::Since("created_at", at)),
            self.created_before.map(|at| Condition::Before("created_at", at)),
            self.updated_since.map(|at| Condition::Since("updated_at", at)),
            self.due_after.map(|at| Condition::Since("due_at", at)),
            self.due_before.map(|at| Condition::Before("due_at", at)),
        ];
        let (order, direction) = sort.unwrap_or((&CREATED_AT, Direction::Descending));
        let terms = self.terms.iter().filter_map(|terms| Condition::texts(&TERMS, terms.clone()));
        Query::all(order, direction).filter(conditions.into_iter().flatten().chain(terms))
    }
}
