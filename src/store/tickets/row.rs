//! A ticket's row, there and back.

use std::borrow::Cow;

use sea_orm::{DbErr, Set, Value};

use super::table::{CATEGORY, PRIORITY, STATUS, TAGS, TERMS, TICKETS, TYPE, UNASSIGNED, WATCHERS};
use super::{
    Category, CustomValue, CustomValues, Impact, Priority, Source, Status, Ticket, TicketType,
    Urgency,
};
use crate::clock::Timestamp;
use crate::error::{Error, Kind};
use crate::store::entity::ticket;
use crate::store::failure::is_taken;
use crate::store::nouns::{Columns, KeyValue, Noun, Order, Side, Table};
use crate::store::{WorkspaceId, to_json};

/// How a broken promise of (externalSource, externalId) is told: by the index or by its columns.
const EXTERNAL_ID: &[&str] = &["tickets_external_source_external_id_idx", "tickets.external_id"];

impl Noun for Ticket {
    type Entity = ticket::Entity;

    fn table() -> &'static Table {
        &TICKETS
    }

    fn decode(row: &mut Columns<'_>) -> Result<Self, Error> {
        Ok(Self {
            id: row.take()?,
            title: row.take()?,
            description: row.take()?,
            ticket_type: row.take_kind("ticket_type", TicketType::from_i16)?,
            category: row.take_kind("category", Category::from_i16)?,
            priority: row.take_kind("priority", Priority::from_i16)?,
            impact: row.take_kind_or_null("impact", Impact::from_i16)?,
            urgency: row.take_kind_or_null("urgency", Urgency::from_i16)?,
            status: row.take_kind("status", Status::from_i16)?,
            pending_reason: row.take()?,
            resolution: row.take()?,
            requester_id: row.take()?,
            assignee_id: row.take()?,
            watcher_user_ids: row.take_list()?,
            parent_id: row.take()?,
            tags: row.take_list()?,
            due_at: row.take_time_or_null()?,
            source: row.take_kind("source", Source::from_i16)?,
            external_source: row.take()?,
            external_id: row.take()?,
            comment_count: row.take()?,
            reopen_count: row.take()?,
            created_at: row.take_time()?,
            updated_at: row.take_time()?,
            resolved_at: row.take_time_or_null()?,
            closed_at: row.take_time_or_null()?,
            created_by: row.take()?,
            updated_by: row.take()?,
            version: row.take()?,
            category_config_id: row.take()?,
            custom_fields: custom_fields(row.take()?)?,
        })
    }

    fn encode(&self, workspace: WorkspaceId) -> ticket::ActiveModel {
        ticket::ActiveModel {
            workspace_id: Set(workspace.0),
            id: Set(self.id),
            title: Set(self.title.clone()),
            description: Set(self.description.clone()),
            ticket_type: Set(self.ticket_type.as_i16()),
            category: Set(self.category.as_i16()),
            priority: Set(self.priority.as_i16()),
            impact: Set(self.impact.map(Impact::as_i16)),
            urgency: Set(self.urgency.map(Urgency::as_i16)),
            status: Set(self.status.as_i16()),
            facet: Set(self.facet()),
            pending_reason: Set(self.pending_reason.clone()),
            resolution: Set(self.resolution.clone()),
            requester_id: Set(self.requester_id),
            assignee_id: Set(self.assignee_id),
            watcher_user_ids: Set(to_json(&self.watcher_user_ids)),
            parent_id: Set(self.parent_id),
            tags: Set(to_json(&self.tags)),
            due_at: Set(self.due_at.map(|at| at.0)),
            source: Set(self.source.as_i16()),
            external_source: Set(self.external_source.clone()),
            external_id: Set(self.external_id.clone()),
            comment_count: Set(self.comment_count),
            reopen_count: Set(self.reopen_count),
            created_at: Set(self.created_at.0),
            updated_at: Set(self.updated_at.0),
            resolved_at: Set(self.resolved_at.map(|at| at.0)),
            closed_at: Set(self.closed_at.map(|at| at.0)),
            created_by: Set(self.created_by),
            updated_by: Set(self.updated_by),
            version: Set(self.version),
            category_config_id: Set(self.category_config_id),
            custom_fields: Set(stored(&self.custom_fields)),
        }
    }

    fn id(&self) -> i64 {
        self.id
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn created_at(&self) -> Timestamp {
        self.created_at
    }

    fn set_id(&mut self, id: i64) {
        self.id = id;
    }

    fn set_version(&mut self, version: i64, updated_at: Timestamp) {
        (self.version, self.updated_at) = (version, updated_at);
    }

    fn facet(&self) -> i16 {
        STATUS.pack(self.status.as_i16())
            | PRIORITY.pack(self.priority.as_i16())
            | TYPE.pack(self.ticket_type.as_i16())
            | CATEGORY.pack(self.category.as_i16())
            | UNASSIGNED.pack(self.assignee_id.is_none().into())
    }

    fn key(&self, order: &Order) -> Option<KeyValue> {
        let number = match order.column {
            "updated_at" => self.updated_at.0,
            "priority" => self.priority.as_i16().into(),
            "due_at" => self.due_at?.0,
            _ => self.created_at.0,
        };
        Some(KeyValue::Number(number))
    }

    fn bytes(&self) -> usize {
        let resolution = self.resolution.as_ref().map_or(0, String::len);
        let custom = self.custom_fields.values().map(CustomValue::bytes).sum::<usize>();
        self.title.len() + self.description.len() + resolution + custom
    }

    fn searched(&self) -> [Cow<'_, str>; 2] {
        [self.title.as_str().into(), self.description.as_str().into()]
    }

    fn side(&self, side: &Side) -> Vec<Value> {
        if std::ptr::eq(side, &raw const TAGS) {
            self.tags.iter().map(|tag| tag.clone().into()).collect()
        } else if std::ptr::eq(side, &raw const WATCHERS) {
            self.watcher_user_ids.iter().map(|id| (*id).into()).collect()
        } else if std::ptr::eq(side, &raw const TERMS) {
            let terms = self.custom_fields.iter().flat_map(|(key, value)| value.terms(key));
            terms.map(Into::into).collect()
        } else {
            Vec::new()
        }
    }

    fn taken(&self, error: &DbErr) -> Option<Error> {
        let message = || {
            format!(
                "A ticket with externalSource \"{}\" and externalId \"{}\" exists already.",
                self.external_source.as_deref().unwrap_or_default(),
                self.external_id.as_deref().unwrap_or_default(),
            )
        };
        is_taken(error, EXTERNAL_ID).then(|| Error::new(Kind::AlreadyExists, message()))
    }
}

fn custom_fields(text: Option<String>) -> Result<CustomValues, Error> {
    let values = text.map(|text| serde_json::from_str(&text).map_err(Error::internal));
    Ok(values.transpose()?.unwrap_or_default())
}

/// None where there are none, which most tickets have.
fn stored(values: &CustomValues) -> Option<String> {
    let text = || serde_json::to_string(values).expect("texts and numbers always serialize");
    (!values.is_empty()).then(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_combination_has_a_facet_of_its_own() {
        let mut facets = BTreeSet::new();
        for status in Status::ALL {
            for priority in Priority::ALL {
                for ticket_type in TicketType::ALL {
                    for category in Category::ALL {
                        for unassigned in [0, 1] {
                            let facet = STATUS.pack(status.as_i16())
                                | PRIORITY.pack(priority.as_i16())
                                | TYPE.pack(ticket_type.as_i16())
                                | CATEGORY.pack(category.as_i16())
                                | UNASSIGNED.pack(unassigned);
                            assert!(facet > 0);
                            assert!(facets.insert(facet));
                        }
                    }
                }
            }
        }
        assert_eq!(facets.len(), 1_152);
    }
}
