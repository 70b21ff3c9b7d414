//! The resources that the items of an import name other than by ids, found by one query for each
//! kind.

use std::collections::{BTreeMap, BTreeSet};

use migrations::case_folded;
use rest::Violations;

use super::people::People;
use crate::error::Error;
use crate::pb;
use crate::service::tickets::references::fields_of;
use crate::store::assets::Asset;
use crate::store::tickets::Ticket;
use crate::store::{CategoryConfig, CustomField, Tx};

/// The resources that the items name.
pub struct Names {
    /// The ids of tickets, by the system that they come from and their ids there.
    tickets: BTreeMap<String, BTreeMap<String, i64>>,
    /// The ids of assets, by their folded tags.
    assets: BTreeMap<String, i64>,
    /// The ids of categories, by their folded names.
    categories: BTreeMap<String, i64>,
    /// The custom fields that they have values of, and those that new tickets must have a value of.
    pub fields: Vec<CustomField>,
    /// The users.
    pub people: People,
}

/// The resources that one item names.
pub struct Named {
    pub parent: Option<i64>,
    pub category_config: Option<i64>,
    pub assets: Vec<i64>,
}

impl Names {
    /// Finds the resources that the items name; `system_user` may not be named.
    pub async fn find(
        tx: &Tx,
        items: &[pb::TicketImport],
        system_user: i64,
    ) -> Result<Self, Error> {
        let mut wanted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for item in items {
            wanted.entry(&item.external_source).or_default().insert(&item.external_id);
            if let Some(parent) = &item.parent {
                wanted.entry(&parent.external_source).or_default().insert(&parent.external_id);
            }
        }
        let mut tickets = BTreeMap::new();
        for (source, ids) in wanted {
            let ids: Vec<_> = ids.into_iter().map(str::to_owned).collect();
            let source_is = Some(("external_source", source));
            let found = tx.find_ids::<Ticket>("external_id", &ids, source_is).await?;
            tickets.insert(source.to_owned(), found);
        }
        let tags = folded(items.iter().flat_map(|item| &item.asset_tags));
        let categories = folded(items.iter().filter_map(|item| item.category_config.as_ref()));
        Ok(Self {
            tickets,
            assets: tx.find_ids::<Asset>("asset_tag_key", &tags, None).await?,
            categories: tx.find_ids::<CategoryConfig>("name_key", &categories, None).await?,
            fields: fields_of(tx, items.iter().flat_map(|item| item.custom_fields.keys())).await?,
            people: People::find(tx, items, system_user).await?,
        })
    }

    /// The id of the ticket that an item is, if it is there.
    pub fn ticket(&self, item: &pb::TicketImport) -> Option<i64> {
        self.known(&item.external_source, &item.external_id)
    }

    /// Keeps the id of a ticket that was made, for those that are part of it.
    pub fn keep(&mut self, item: &pb::TicketImport, id: i64) {
        let of_source = self.tickets.entry(item.external_source.clone()).or_default();
        of_source.insert(item.external_id.clone(), id);
    }

    /// Returns the resources that an item names; a name of none is noted as a violation.
    pub fn of(&self, item: &pb::TicketImport, violations: &mut Violations) -> Named {
        let mut missing = |field: String, what: &str| {
            let remedy = format!("{field} names no {what} of this workspace");
            violations.add(field, "INVALID_REFERENCE", remedy);
        };
        let parent = item.parent.as_ref().and_then(|parent| {
            let found = self.known(&parent.external_source, &parent.external_id);
            if found.is_none() {
                missing("parent".to_owned(), "ticket");
            }
            found
        });
        let category_config = item.category_config.as_ref().and_then(|name| {
            let found = self.categories.get(&case_folded(name)).copied();
            if found.is_none() {
                missing("categoryConfig".to_owned(), "category");
            }
            found
        });
        let mut assets = Vec::with_capacity(item.asset_tags.len());
        for (at, tag) in item.asset_tags.iter().enumerate() {
            match self.assets.get(&case_folded(tag)) {
                // Two tags may differ in nothing but their case.
                Some(id) if assets.contains(id) => {}
                Some(id) => assets.push(*id),
                None => missing(format!("assetTags[{at}]"), "asset"),
            }
        }
        self.people.check(item, violations);
        Named { parent, category_config, assets }
    }

    fn known(&self, source: &str, id: &str) -> Option<i64> {
        self.tickets.get(source).and_then(|ids| ids.get(id)).copied()
    }
}

/// Returns texts as they are compared, each once.
fn folded<'t>(texts: impl Iterator<Item = &'t String>) -> Vec<String> {
    let texts: BTreeSet<_> = texts.map(|text| case_folded(text)).collect();
    texts.into_iter().collect()
}
