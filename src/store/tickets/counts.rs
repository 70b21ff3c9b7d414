//! Facets, and how many tickets each has.
//!
//! A ticket's facet packs what lists are filtered by most into one small number: status, priority,
//! type, category, and whether nobody is assigned. A workspace has at most 1,152 of them, so a sum
//! over `ticket_counts` costs the same however many tickets there are. The counts change in the
//! transaction that changes the tickets.

use std::collections::BTreeMap;

use super::filter::TicketFilter;
use super::kinds::{Category, Priority, Status, TicketType};
use super::{Ticket, Tx};
use crate::error::Error;
use crate::store::WorkspaceId;
use crate::store::failure::failed;
use crate::store::sql::Parameters;
use crate::store::transaction::Transaction;

/// The row of `ticket_counts` that counts every ticket; no ticket has this facet.
pub(super) const ALL_TICKETS: i16 = 0;

const STATUS_SHIFT: u32 = 10;
pub(super) const PRIORITY_SHIFT: u32 = 7;
const TYPE_SHIFT: u32 = 4;
const CATEGORY_SHIFT: u32 = 1;

/// The facet of a ticket with these properties.
fn pack(
    status: Status,
    priority: Priority,
    ticket_type: TicketType,
    category: Category,
    unassigned: bool,
) -> i16 {
    status.as_i16() << STATUS_SHIFT
        | priority.as_i16() << PRIORITY_SHIFT
        | ticket_type.as_i16() << TYPE_SHIFT
        | category.as_i16() << CATEGORY_SHIFT
        | i16::from(unassigned)
}

/// The facet of a ticket.
pub(super) fn facet(ticket: &Ticket) -> i16 {
    let unassigned = ticket.assignee_id.is_none();
    pack(ticket.status, ticket.priority, ticket.ticket_type, ticket.category, unassigned)
}

impl Tx {
    pub(super) fn count_inserted(&mut self, ticket: &Ticket) {
        *self.count_changes.entry(ALL_TICKETS).or_default() += 1;
        *self.count_changes.entry(facet(ticket)).or_default() += 1;
    }

    pub(super) fn count_updated(&mut self, before: &Ticket, after: &Ticket) {
        *self.count_changes.entry(facet(before)).or_default() -= 1;
        *self.count_changes.entry(facet(after)).or_default() += 1;
    }
}

/// Adds the changes to the workspace's counts, in one statement.
pub(in crate::store) async fn add_to_counts(
    transaction: &Transaction,
    workspace: WorkspaceId,
    changes: &BTreeMap<i16, i64>,
) -> Result<(), Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut parameters = Parameters::new(transaction.backend());
    let workspace = parameters.bind(workspace.0);
    let rows: Vec<_> = changes
        .iter()
        .map(|(facet, change)| {
            let (facet, change) = (parameters.bind(*facet), parameters.bind(*change));
            format!("({workspace}, {facet}, {change})")
        })
        .collect();
    let text = format!(
        "INSERT INTO ticket_counts (workspace_id, facet, ticket_count) VALUES {} \
         ON CONFLICT (workspace_id, facet) DO UPDATE \
         SET ticket_count = ticket_counts.ticket_count + excluded.ticket_count",
        rows.join(", ")
    );
    transaction.execute(parameters.statement(text)).await.map_err(failed)?;
    Ok(())
}

/// The conditions that `filter` puts on the facet in `column`. They look at its bits, so neither
/// database takes them for a reason to use, or leave, an index.
pub(super) fn facet_conditions(
    parameters: &mut Parameters,
    column: &str,
    filter: &TicketFilter,
) -> Vec<String> {
    let unassigned = filter.unassigned.map(i16::from);
    let dimensions = [
        (STATUS_SHIFT, 7, mask(filter.status.iter().map(|status| status.as_i16()))),
        (PRIORITY_SHIFT, 7, mask(filter.priority.iter().map(|priority| priority.as_i16()))),
        (TYPE_SHIFT, 7, mask(filter.ticket_type.iter().map(|kind| kind.as_i16()))),
        (CATEGORY_SHIFT, 7, mask(filter.category.iter().map(|category| category.as_i16()))),
        (0, 1, mask(unassigned.into_iter())),
    ];
    dimensions
        .into_iter()
        .filter(|(_, _, mask)| *mask != 0)
        .map(|(shift, bits, mask)| {
            let mask = parameters.bind(mask);
            format!("(({mask} >> (({column} >> {shift}) & {bits})) & 1) = 1")
        })
        .collect()
}

/// The rows of `ticket_counts` that `filter` asks for, as the condition of a query on it.
pub(super) fn counted(
    parameters: &mut Parameters,
    workspace: &str,
    filter: &TicketFilter,
) -> String {
    let mut conditions = vec![format!("c.workspace_id = {workspace}")];
    match filter.status.iter().min().zip(filter.status.iter().max()) {
        // The status leads the facet, so that its facets stand together in the key.
        Some((lowest, highest)) => {
            let first = parameters.bind(lowest.as_i16() << STATUS_SHIFT);
            let end = parameters.bind((highest.as_i16() + 1) << STATUS_SHIFT);
            conditions.push(format!("c.facet >= {first} AND c.facet < {end}"));
        }
        None => conditions.push(format!("c.facet > {ALL_TICKETS}")),
    }
    conditions.extend(facet_conditions(parameters, "c.facet", filter));
    conditions.join(" AND ")
}

fn mask(numbers: impl Iterator<Item = i16>) -> i64 {
    numbers.fold(0, |mask, number| mask | 1 << number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_has_a_facet_of_its_own() {
        let mut facets = std::collections::BTreeSet::new();
        for status in Status::ALL {
            for priority in Priority::ALL {
                for ticket_type in TicketType::ALL {
                    for category in Category::ALL {
                        for unassigned in [false, true] {
                            let facet =
                                pack(*status, *priority, *ticket_type, *category, unassigned);
                            assert!(facet > ALL_TICKETS);
                            assert!(facets.insert(facet));
                        }
                    }
                }
            }
        }
        assert_eq!(facets.len(), 1_152);
    }
}
