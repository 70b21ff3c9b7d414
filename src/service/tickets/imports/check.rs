//! The rules of an item, whatever the workspace has.

use std::collections::{BTreeMap, BTreeSet};

use migrations::case_folded;
use rest::{Mask, Patch, Violations};

use super::life;
use super::people::person_in;
use crate::clock::Timestamp;
use crate::pb;
use crate::service::tickets::writes::refuse_both_categories;
use rest::validate::is_address;

/// The rules of a request across its fields, and the fields that each item names.
pub fn check(message: &pb::ImportTicketsRequest, violations: &mut Violations) -> Vec<Mask> {
    let mut places = BTreeMap::new();
    for (index, item) in message.items.iter().enumerate() {
        if item.external_source.is_empty() || item.external_id.is_empty() {
            continue;
        }
        let known_by = (&item.external_source, &item.external_id);
        if let Some(first) = places.insert(known_by, index) {
            let field = format!("items[{index}].externalId");
            let remedy =
                format!("{field} is that of items[{first}], too: leave one of the two out");
            violations.add(field, "DUPLICATE_ITEM", remedy);
        }
    }
    let items = message.items.iter().enumerate();
    items.map(|(index, item)| check_item(item, violations.item(index))).collect()
}

fn check_item(item: &pb::TicketImport, violations: &mut Violations) -> Mask {
    let mask = item.mask(violations);
    if item.category.is_some() && item.category_config.is_some() {
        refuse_both_categories("categoryConfig", violations);
    }
    if mask.has("category") && item.category.is_none() && item.category_config.is_none() {
        let remedy = "category must not be null, unless categoryConfig gives it";
        violations.add("category", "REQUIRED", remedy);
    }
    let mut watchers = BTreeSet::new();
    for (at, person) in item.watchers.iter().enumerate() {
        let field = format!("watchers[{at}]");
        if !watchers.insert(case_folded(&person.email)) {
            let remedy = format!("{field} is listed twice; leave one out");
            violations.add(field, "DUPLICATE_ITEM", remedy);
        }
    }
    for (key, value) in &item.custom_fields {
        let person = person_in(value);
        if person.is_some_and(|it| !it.email.is_empty() && !is_address(&it.email)) {
            let field = format!("customFields.{key}.email");
            let remedy = format!("{field} must be an address such as name@host");
            violations.add(field, "INVALID_EMAIL", remedy);
        }
    }
    for (at, entry) in item.history.iter().enumerate() {
        let Some(actor) = &entry.actor else { continue };
        if actor.email.is_none() && actor.display_name.is_none() {
            let field = format!("history[{at}].actor.displayName");
            let remedy = format!("{field} is needed where there is no email");
            violations.add(field, "REQUIRED", remedy);
        }
    }
    let times = [
        ("createdAt", item.created_at),
        ("resolvedAt", item.resolved_at),
        ("closedAt", item.closed_at),
        ("updatedAt", item.updated_at),
    ];
    life::check_order(&times.map(|(name, time)| (name, time.map(Timestamp::from))), violations);
    check_once("comments", &item.comments, |comment| &comment.external_id, violations);
    check_once("history", &item.history, |entry| &entry.external_id, violations);
    mask
}

/// Checks that an item has everything that a new ticket needs. That a field must not be null is
/// said already.
pub fn check_new(item: &pb::TicketImport, mask: &Mask, violations: &mut Violations) {
    for field in ["title", "description", "type"].into_iter().filter(|field| !mask.has(field)) {
        let remedy = format!("{field} is required: the ticket is not there yet");
        violations.add(field, "REQUIRED", remedy);
    }
    if item.category.is_none() && item.category_config.is_none() {
        let remedy =
            "category is required, or categoryConfig in place of it: the ticket is not there yet";
        violations.add("category", "REQUIRED", remedy);
    }
}

/// Notes items of one id that differ: which of them is meant would be a guess.
fn check_once<T: PartialEq>(
    list: &str,
    all: &[T],
    id: impl Fn(&T) -> &String,
    violations: &mut Violations,
) {
    let mut places: BTreeMap<&String, usize> = BTreeMap::new();
    for (at, one) in all.iter().enumerate() {
        let first = *places.entry(id(one)).or_insert(at);
        if all[first] != *one {
            let field = format!("{list}[{at}].externalId");
            let remedy = format!("{field} is that of {list}[{first}], which is another one");
            violations.add(field, "DUPLICATE_ITEM", remedy);
        }
    }
}
