//! A ticket's row, there and back.

use std::borrow::Cow;

use sea_orm::{DbErr, Value};

use super::table::{
    ASSETS, CATEGORY, PRIORITY, STATUS, TAGS, TERMS, TICKETS, TYPE, UNASSIGNED, WATCHERS,
};
use super::{CustomValue, Status, Ticket};
use crate::error::{Error, Kind};
use crate::store::assets::{Asset, OPEN_TICKETS};
use crate::store::entity::ticket;
use crate::store::failure::is_taken;
use crate::store::nouns::{Figure, KeyValue, Noun, Order, Side, Table, noun_head, noun_row};

/// The names by which a database tells that (externalSource, externalId) is taken: the index or its
/// columns.
const EXTERNAL_ID: &[&str] = &["tickets_external_source_external_id_idx", "tickets.external_id"];

impl Noun for Ticket {
    type Entity = ticket::Entity;

    fn table() -> &'static Table {
        &TICKETS
    }

    noun_row! {
        ticket {
            id, title, description, ticket_type, category, priority, impact,
            urgency, status, pending_reason, resolution, requester_id, assignee_id,
            watcher_user_ids, parent_id, tags, due_at, source, external_source,
            external_id, comment_count, reopen_count, created_at, updated_at,
            resolved_at, closed_at, created_by, updated_by, version,
            category_config_id, custom_fields, asset_ids,
        }
        |row| {
            facet: row.facet(),
        }
    }

    noun_head!();

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
        } else if std::ptr::eq(side, &raw const ASSETS) {
            self.asset_ids.iter().map(|id| (*id).into()).collect()
        } else {
            Vec::new()
        }
    }

    fn counted_in(&self) -> Vec<Figure> {
        let is_open = matches!(self.status, Status::Open | Status::InProgress | Status::Pending);
        let assets = self.asset_ids.iter().filter(|_| is_open);
        assets.map(|id| OPEN_TICKETS.beside::<Asset>(*id)).collect()
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::store::tickets::{Category, Priority, Status, TicketType};

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
