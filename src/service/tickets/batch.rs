//! Batches of tickets, made or changed in one change, with a result for each.
//!
//! Everything that a batch locks is locked before its first item: the parents, then the tickets by
//! ascending id. So items may stand in any order, and batches cannot wait for each other crosswise.

use std::collections::BTreeMap;

use rest::Mask;

use super::references::{self, Named};
use super::{ticket_name, writes};
use crate::error::Error;
use crate::id;
use crate::pb;
use crate::preconditions::Precondition;
use crate::resource::Resource;
use crate::service::accept::Accepted;
use crate::service::batch::{self, Done};
use crate::store::tickets::Ticket;
use crate::store::{Begun, Locking, Tx};

/// Makes the tickets of a batch.
pub async fn create(
    locking: Locking<Begun>,
    accepted: &Accepted<pb::BatchCreateTicketsRequest>,
) -> Result<(Vec<pb::ItemResult>, Tx), Error> {
    let (message, by) = (&accepted.message, accepted.caller.key.system_user_id);
    let have_parents = message.items.iter().any(|item| item.parent_id.is_some());
    let mut tx = locking.lock_parents_if(have_parents).await?.done();
    // Before the first is made: whoever makes tickets waits from then on until the batch has ended.
    let keys = message.items.iter().flat_map(|item| item.custom_fields.keys());
    let fields = references::fields_of(&tx, keys).await?;
    let mut checked = Vec::with_capacity(message.items.len());
    for (index, item) in message.items.iter().enumerate() {
        checked.push(match batch::judge(&accepted.items, index) {
            Ok(()) => references::check_new(&mut tx, &fields, item).await,
            Err(refusal) => Err(refusal),
        });
    }
    let results = batch::all(&mut tx, message.atomic, async |tx, results| {
        for (item, checked) in message.items.iter().zip(checked) {
            results.push(match checked {
                Ok(named) => create_one(tx, item, named, by).await,
                Err(refusal) => Err(refusal),
            })?;
        }
        Ok(())
    });
    Ok((results.await?, tx))
}

async fn create_one(
    tx: &mut Tx,
    item: &pb::CreateTicketRequest,
    named: Named,
    by: i64,
) -> Result<Done, Error> {
    let made = tx.attempt(async |tx| writes::create(tx, item.clone(), named, by).await).await?;
    Ok(Done { id: made.id, version: made.version, outcome: pb::BatchOutcome::Created })
}

/// Changes the tickets of a batch; `masks` are the fields that its items name.
pub async fn update(
    locking: Locking<Begun>,
    accepted: &Accepted<pb::BatchUpdateTicketsRequest>,
    masks: &[Mask],
) -> Result<(Vec<pb::ItemResult>, Tx), Error> {
    let (message, by) = (&accepted.message, accepted.caller.key.system_user_id);
    let move_tickets = masks.iter().any(|mask| mask.has("parent_id"));
    let locking = locking.lock_parents_if(move_tickets).await?;
    let ids: Vec<_> = message.items.iter().filter_map(|item| ticket_id(&item.id)).collect();
    let (tickets, locking) = locking.find_all_for_update::<Ticket>(&ids).await?;
    let mut tx = locking.done();
    let mut tickets: BTreeMap<_, _> = tickets.into_iter().map(|it| (it.id, it)).collect();
    let results = batch::all(&mut tx, message.atomic, async |tx, results| {
        for (index, (item, mask)) in message.items.iter().zip(masks).enumerate() {
            let changed = match batch::judge(&accepted.items, index) {
                Ok(()) => update_one(tx, &mut tickets, item, mask, by).await,
                Err(refusal) => Err(refusal),
            };
            results.push(changed)?;
        }
        Ok(())
    });
    Ok((results.await?, tx))
}

async fn update_one(
    tx: &mut Tx,
    tickets: &mut BTreeMap<i64, Ticket>,
    item: &pb::UpdateTicketRequest,
    mask: &Mask,
    by: i64,
) -> Result<Done, Error> {
    let before = ticket_id(&item.id).and_then(|id| tickets.get(&id));
    let before = before.ok_or_else(|| Resource::Ticket.not_found())?;
    Precondition::of_version(item.version).hold(before.version)?;
    let after = tx.attempt(async |tx| writes::update(tx, before, item, mask, by).await).await?;
    let outcome = match after.version == before.version {
        true => pb::BatchOutcome::Unchanged,
        false => pb::BatchOutcome::Updated,
    };
    let done = Done { id: after.id, version: after.version, outcome };
    // A later item changes what this one has left.
    tickets.insert(after.id, after);
    Ok(done)
}

/// The id of the ticket that an item names. What can be no id is simply not found.
fn ticket_id(name: &str) -> Option<i64> {
    id::number(ticket_name(name))
}
