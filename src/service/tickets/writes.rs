//! The making and changing of a ticket, by itself or as an item among others.

use rest::{Mask, Patch, Violations};

use super::references::{self, Named};
use super::{changes, messages};
use crate::error::Error;
use crate::pb;
use crate::resource::Resource;
use crate::service;
use crate::store::Tx;
use crate::store::tickets::Ticket;

/// The rules of a new ticket across its fields.
pub fn check_new(message: &pb::CreateTicketRequest, violations: &mut Violations) {
    match (message.category, message.category_config_id) {
        (0, None) => {
            let remedy = "category is required, or categoryConfigId in place of it";
            violations.add("category", "REQUIRED", remedy);
        }
        (1.., Some(_)) => refuse_both_categories("categoryConfigId", violations),
        _ => {}
    }
    changes::check_external(
        message.external_source.is_some(),
        message.external_id.is_some(),
        violations,
    );
}

/// The rules of an update across its fields, and the fields that it names.
pub fn check_update(message: &pb::UpdateTicketRequest, violations: &mut Violations) -> Mask {
    let mask = message.mask(violations);
    if mask.has("category") && message.category_config_id.is_some() {
        refuse_both_categories("categoryConfigId", violations);
    }
    mask
}

/// Refuses a category beside one of the workspace's own, which stands in `field`.
pub fn refuse_both_categories(field: &str, violations: &mut Violations) {
    let remedy = format!("{field} gives the category: send one of the two");
    violations.add(field, "INVALID_COMBINATION", remedy);
}

/// Makes a ticket whose references were checked (see [`references::check_new`]), and returns it as the
/// contract shows it.
pub async fn create(
    tx: &mut Tx,
    message: pb::CreateTicketRequest,
    named: Named,
    by: i64,
) -> Result<pb::Ticket, Error> {
    let ticket = tx.insert_ticket(messages::new_ticket(message, named, by)).await?;
    let ticket = messages::ticket(ticket);
    tx.record(service::changes::created(Resource::Ticket, &ticket));
    Ok(ticket)
}

/// Changes a ticket that is locked, and returns it as it is then: `before` itself where nothing
/// changes. Where the mask has `parent_id`, the parents are locked.
pub async fn update(
    tx: &mut Tx,
    before: &Ticket,
    message: &pb::UpdateTicketRequest,
    mask: &Mask,
    by: i64,
) -> Result<Ticket, Error> {
    let mut after = wanted(tx, before, message, mask).await?;
    if after != *before {
        after.updated_by = by;
        after = tx.update(before, after).await?;
        tx.record_update(&after, changes::updated(before, &after));
    }
    Ok(after)
}

/// Returns a ticket as a change makes it, with checked references and values.
pub async fn wanted(
    tx: &mut Tx,
    before: &Ticket,
    message: &pb::UpdateTicketRequest,
    mask: &Mask,
) -> Result<Ticket, Error> {
    let mut after = changes::apply(before, message, mask, tx.now())?;
    let mut violations = Violations::default();
    if after.category_config_id != before.category_config_id {
        let config = references::category(tx, after.category_config_id, &mut violations).await?;
        after.category = config.map_or(after.category, |config| config.base_category);
    }
    if mask.has("custom_fields") {
        let (was, sent) = (&before.custom_fields, &message.custom_fields);
        after.custom_fields = references::custom_fields(tx, was, sent, &mut violations).await?;
    }
    references::check_changed(tx, before, &after, violations).await?;
    Ok(after)
}
