//! Imports of tickets from another system, each made or changed by the ids that it has there.
//!
//! An import holds the parents of the workspace's tickets from its beginning, also where it names none:
//! so two imports of one workspace take turns, and the second finds what the first has made. What items
//! name is looked up once for all of them; then each item is done, or refused, by itself.

mod check;
mod item;
mod known;
mod life;
mod names;
mod past;
mod people;

use std::collections::BTreeMap;

use prost_types::FieldMask;
use rest::{Mask, Patch, Violations};

use self::item::Item;
use self::known::Known;
use self::life::Life;
use self::names::{Named, Names};
use self::past::Past;
use super::{messages, references, writes};
use crate::error::Error;
use crate::event_type::EventType;
use crate::pb;
use crate::service::accept::Accepted;
use crate::service::batch::{self, Done};
use crate::service::changes::{changed, created_as};
use crate::service::references::refuse;
use crate::store::tickets::{Status, Ticket};
use crate::store::{Begun, Locking, Tx, User};

pub use check::check;

/// Imports the tickets of a request; `masks` are the fields that its items name, and `by` is the
/// user to whom all of it is attributed.
pub async fn import(
    locking: Locking<Begun>,
    accepted: &Accepted<pb::ImportTicketsRequest>,
    masks: &[Mask],
    by: i64,
) -> Result<(Vec<pb::ItemResult>, Tx), Error> {
    let items = &accepted.message.items;
    let locking = locking.lock_parents().await?;
    let names = Names::find(&locking, items, by).await?;
    let mut import = Import { names, tickets: BTreeMap::new() };
    let ids: Vec<_> = items.iter().filter_map(|item| import.names.ticket(item)).collect();
    let (found, locking) = locking.find_all_for_update::<Ticket>(&ids).await?;
    let mut tx = locking.done();
    let makes_tickets = found.len() < items.len();
    import.tickets = found.into_iter().map(|ticket| (ticket.id, ticket)).collect();
    if makes_tickets || import.names.people.are_new() {
        // Both at once: items make users and tickets by turns.
        tx.lock_ids::<User>().await?;
        tx.lock_ids::<Ticket>().await?;
    }
    let results = batch::all(&mut tx, false, async |tx, results| {
        for (index, (item, mask)) in items.iter().zip(masks).enumerate() {
            let wrong = accepted.items.get(&index).cloned().unwrap_or_default();
            let mut said = item.clone();
            said.keep_only(mask);
            let item = Item { item: &said, mask, by };
            results.push(import.one(tx, &item, wrong).await)?;
        }
        Ok(())
    });
    Ok((results.await?, tx))
}

/// An import under way.
struct Import {
    names: Names,
    /// The tickets that were there before, which are locked, by their ids.
    tickets: BTreeMap<i64, Ticket>,
}

impl Import {
    /// Imports one item, unless there are violations: those that it has by itself, and those of the
    /// workspace and the time.
    async fn one(
        &mut self,
        tx: &mut Tx,
        item: &Item<'_>,
        mut violations: Violations,
    ) -> Result<Done, Error> {
        let before = self.names.ticket(item.item).and_then(|id| self.tickets.get(&id)).cloned();
        let is_known = !item.item.external_source.is_empty() && !item.item.external_id.is_empty();
        if before.is_none() && is_known {
            check::check_new(item.item, item.mask, &mut violations);
        }
        let life = Life::of(item, before.as_ref(), tx.now(), &mut violations);
        let named = self.names.of(item.item, &mut violations);
        past::check(item.item, tx.now(), &mut violations);
        refuse(violations)?;
        let done = tx.attempt(async |tx| self.write(tx, item, before, life, named).await).await;
        match &done {
            Ok(done) => self.names.keep(item.item, done.id),
            Err(_) => self.names.people.forget_new(),
        }
        done.map_err(in_its_words)
    }

    async fn write(
        &mut self,
        tx: &mut Tx,
        item: &Item<'_>,
        before: Option<Ticket>,
        life: Life,
        named: Named,
    ) -> Result<Done, Error> {
        let known = Known::find(tx, item.item, before.as_ref()).await?;
        let people = self.names.people.of(tx, item.item, &known).await?;
        let past = Past::new(item, known, &people, tx.now());
        match before {
            None => {
                let message = new_ticket(item.item, named, people);
                let named = references::check_new(tx, &self.names.fields, &message).await?;
                let mut ticket = messages::new_ticket(message, named, item.by).at(tx.now());
                ticket.pending_reason = item.item.pending_reason.clone();
                ticket.resolution = item.item.resolution.clone();
                ticket.comment_count = past.comment_count();
                life.put_on(&mut ticket);
                let ticket = tx.insert(ticket).await?;
                past.write(tx, ticket.id).await?;
                let shown = messages::ticket(ticket);
                tx.record(created_as(EventType::TicketImported, &shown));
                let (id, version) = (shown.id, shown.version);
                Ok(Done { id, version, outcome: pb::BatchOutcome::Created })
            }
            Some(before) => {
                let after = update(tx, item, &before, life, (named, people), past).await?;
                let outcome = match after.version == before.version {
                    true => pb::BatchOutcome::Unchanged,
                    false => pb::BatchOutcome::Updated,
                };
                Ok(Done { id: after.id, version: after.version, outcome })
            }
        }
    }
}

/// Makes of a ticket, which is locked, what an item says, and returns it as it is then.
async fn update(
    tx: &mut Tx,
    item: &Item<'_>,
    before: &Ticket,
    life: Life,
    (named, people): (Named, people::Ids),
    past: Past,
) -> Result<Ticket, Error> {
    let (message, mask) = change(item, before, named, people)?;
    let mut after = writes::wanted(tx, before, &message, &mask).await?;
    if item.mask.has("source") {
        after.source = messages::source(item.item.source.unwrap_or_default());
    }
    let leaves_pending = before.status == Status::Pending && life.status != Status::Pending;
    if leaves_pending && !item.mask.has("pending_reason") {
        after.pending_reason = None;
    }
    after.comment_count += past.comment_count();
    let updated_at = life.updated_at;
    life.put_on(&mut after);
    if after == *before && past.is_empty() {
        return Ok(after);
    }
    after.updated_by = item.by;
    let after = tx.update_as_of(before, after, updated_at.unwrap_or(tx.now())).await?;
    let (was, is) = (messages::ticket(before.clone()), messages::ticket(after.clone()));
    let event = changed(EventType::TicketImported, &was, &is, []);
    let is_told = |field: &str| field == "commentCount" || past.tells(field, event.now(field));
    tx.remember(&after, &event, |field| !is_told(field));
    tx.record(event);
    past.write(tx, after.id).await?;
    Ok(after)
}

/// The new ticket that an item is.
fn new_ticket(
    item: &pb::TicketImport,
    named: Named,
    people: people::Ids,
) -> pb::CreateTicketRequest {
    let item = item.clone();
    pb::CreateTicketRequest {
        title: item.title.unwrap_or_default(),
        description: item.description.unwrap_or_default(),
        r#type: item.r#type.unwrap_or_default(),
        category: item.category.unwrap_or_default(),
        priority: item.priority,
        impact: item.impact,
        urgency: item.urgency,
        requester_id: people.requester,
        assignee_id: people.assignee,
        watcher_user_ids: people.watchers,
        parent_id: named.parent,
        tags: item.tags,
        due_at: item.due_at,
        source: item.source,
        external_source: Some(item.external_source),
        external_id: Some(item.external_id),
        category_config_id: named.category_config,
        custom_fields: people.custom_fields,
        asset_ids: named.assets,
    }
}

/// The fields of an item that an update has too, by the names that they have there.
const FIELDS: [(&str, &str); 16] = [
    ("title", "title"),
    ("description", "description"),
    ("type", "type"),
    ("category", "category"),
    ("category_config", "category_config_id"),
    ("priority", "priority"),
    ("impact", "impact"),
    ("urgency", "urgency"),
    ("pending_reason", "pending_reason"),
    ("resolution", "resolution"),
    ("requester", "requester_id"),
    ("assignee", "assignee_id"),
    ("watchers", "watcher_user_ids"),
    ("parent", "parent_id"),
    ("asset_tags", "asset_ids"),
    ("due_at", "due_at"),
];

/// The update of a ticket that an item is, but for its status and its times.
fn change(
    Item { item, mask, .. }: &Item<'_>,
    before: &Ticket,
    named: Named,
    people: people::Ids,
) -> Result<(pb::UpdateTicketRequest, Mask), Error> {
    let same = ["tags", "custom_fields"].map(|field| (field, field));
    let by_config = |field: &str| field == "category" && item.category.is_none();
    let fields = FIELDS.into_iter().chain(same);
    let fields = fields.filter(|(field, _)| mask.has(field) && !by_config(field));
    let paths = fields.map(|(_, field)| field.to_owned()).collect();
    let item = (*item).clone();
    let message = pb::UpdateTicketRequest {
        id: before.id.to_string(),
        update_mask: Some(FieldMask { paths }),
        title: item.title,
        description: item.description,
        r#type: item.r#type,
        category: item.category,
        priority: item.priority,
        impact: item.impact,
        urgency: item.urgency,
        pending_reason: item.pending_reason,
        resolution: item.resolution,
        requester_id: people.requester,
        assignee_id: people.assignee,
        watcher_user_ids: people.watchers,
        parent_id: named.parent,
        tags: item.tags,
        due_at: item.due_at,
        category_config_id: named.category_config,
        custom_fields: people.custom_fields,
        asset_ids: named.assets,
        ..pb::UpdateTicketRequest::default()
    };
    let mut violations = Violations::default();
    let mask = message.mask(&mut violations);
    refuse(violations).map(|()| (message, mask))
}

/// A refusal by the fields of an item, which names tickets, categories and assets by other means than ids.
fn in_its_words(mut error: Error) -> Error {
    const OTHERS: [(&str, &str); 3] =
        [("parentId", "parent"), ("categoryConfigId", "categoryConfig"), ("assetIds", "assetTags")];
    for (id, name) in OTHERS {
        error.message = error.message.replace(id, name);
        for wrong in &mut error.details {
            wrong.field = wrong.field.replace(id, name);
            wrong.message = wrong.message.replace(id, name);
        }
    }
    error
}
