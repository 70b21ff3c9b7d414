//! The second step: apply the changes of status, those of one ticket in their order.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use rest::Steps;
use tokio::task::JoinSet;
use tonic::Code;

use super::records::{self, EventRecord};
use super::tickets::Loaded;
use super::{Import, progress};
use crate::cli::client::patiently;
use crate::pb;

/// A number that no status has: what stands for a state that the file has corrupted.
const CORRUPT: i32 = -100;

/// What became of the changes.
#[derive(Debug, Default)]
struct Outcome {
    changed: usize,
    unchanged: usize,
    /// Refused because the ticket cannot go there.
    refused: usize,
    /// Refused because there is no such status.
    unknown: usize,
    /// Applied by an earlier run.
    applied_before: usize,
    /// Of incidents that have no ticket.
    orphaned: usize,
    /// Tickets by the status they end in.
    ends: BTreeMap<&'static str, usize>,
}

/// Applies every line, and tells what became of them.
pub async fn apply(
    import: &Import,
    file: &Path,
    prefix: &str,
    tickets: HashMap<String, Loaded>,
) -> Result<String, String> {
    let records: Vec<EventRecord> = records::read(file)?;
    let bar = progress("events", records.len());
    let mut outcome = Outcome::default();
    let mut running = JoinSet::new();
    for (incident, states) in by_incident(records) {
        let Some(ticket) = tickets.get(&format!("{prefix}{incident}")).cloned() else {
            outcome.orphaned += states.len();
            continue;
        };
        let slot =
            import.slots.clone().acquire_owned().await.expect("the semaphore is never closed");
        let (import, bar) = (import.clone(), bar.clone());
        running.spawn(async move {
            let one = apply_to_one(&import, &ticket, &states, &bar).await;
            drop(slot);
            one
        });
        while let Some(done) = running.try_join_next() {
            outcome.add(done.map_err(|error| error.to_string())??);
        }
    }
    while let Some(done) = running.join_next().await {
        outcome.add(done.map_err(|error| error.to_string())??);
    }
    bar.finish_and_clear();
    Ok(outcome.report())
}

/// The states of each incident in file order, incidents in the order they first appear: changes
/// of different tickets do not depend on each other.
fn by_incident(records: Vec<EventRecord>) -> Vec<(String, Vec<String>)> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut incidents: Vec<(String, Vec<String>)> = Vec::new();
    for EventRecord { incident, state } in records {
        let place = *places.entry(incident.clone()).or_insert_with(|| {
            incidents.push((incident, Vec::new()));
            incidents.len() - 1
        });
        incidents[place].1.push(state);
    }
    incidents
}

/// The status number that a state of the other system stands for.
fn status(state: &str) -> i32 {
    let status = match state {
        "New" => pb::TicketStatus::Open,
        "Active" => pb::TicketStatus::InProgress,
        "Resolved" => pb::TicketStatus::Resolved,
        "Closed" => pb::TicketStatus::Closed,
        awaiting if awaiting.starts_with("Awaiting") => pb::TicketStatus::Pending,
        // Sent as it is: to refuse it is the service's business.
        corrupt => return corrupt.parse().unwrap_or(CORRUPT),
    };
    status.into()
}

/// How many of the leading `states` an earlier run has applied to a ticket of this version: all
/// before the first that would make a further version.
fn applied_before(states: &[String], version: i64) -> usize {
    let (mut at, mut now) = (1, pb::TicketStatus::Open.into());
    let next_change = states.iter().position(|state| {
        let to = status(state);
        if !pb::TicketStatus::next(now).contains(&to) {
            return false;
        }
        if at == version {
            return true;
        }
        now = to;
        at += 1;
        false
    });
    next_change.unwrap_or(states.len())
}

async fn apply_to_one(
    import: &Import,
    ticket: &Loaded,
    states: &[String],
    bar: &indicatif::ProgressBar,
) -> Result<Outcome, String> {
    let skipped = if ticket.created { 0 } else { applied_before(states, ticket.version) };
    let mut outcome = Outcome { applied_before: skipped, ..Outcome::default() };
    bar.inc(skipped as u64);
    let mut version = ticket.version;
    let mut end = ticket.status;
    for state in &states[skipped..] {
        let request = pb::UpdateTicketRequest {
            id: ticket.id.to_string(),
            status: Some(status(state)),
            ..Default::default()
        };
        let updated = patiently(|| {
            let (mut client, request) = (import.client.tickets(), request.clone());
            async move { client.update_ticket(request).await }
        });
        match updated.await {
            Ok(answer) => {
                let now =
                    answer.into_inner().ticket.ok_or("the service answered without a ticket")?;
                let changed = now.version > version;
                outcome.changed += usize::from(changed);
                outcome.unchanged += usize::from(!changed);
                version = now.version;
                end = now.status();
            }
            Err(status) if status.code() == Code::FailedPrecondition => outcome.refused += 1,
            Err(status) if status.code() == Code::InvalidArgument => outcome.unknown += 1,
            Err(status) => return Err(super::client::sentence(&status)),
        }
        bar.inc(1);
    }
    outcome.ends.insert(end.as_str_name(), 1);
    Ok(outcome)
}

impl Outcome {
    fn add(&mut self, one: Self) {
        self.changed += one.changed;
        self.unchanged += one.unchanged;
        self.refused += one.refused;
        self.unknown += one.unknown;
        self.applied_before += one.applied_before;
        for (end, count) in one.ends {
            *self.ends.entry(end).or_default() += count;
        }
    }

    fn report(&self) -> String {
        let ends = self
            .ends
            .iter()
            .map(|(end, count)| format!("{count} {}", end.trim_start_matches("TICKET_STATUS_")));
        let ends = ends.collect::<Vec<_>>().join(", ");
        format!(
            "events: {} changed, {} unchanged, {} refused as a transition, {} refused as an unknown value, \
             {} applied before, {} without a ticket\ntickets end: {ends}",
            self.changed,
            self.unchanged,
            self.refused,
            self.unknown,
            self.applied_before,
            self.orphaned
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_broke_off_is_taken_up_where_it_stood() {
        let states = ["New", "Active", "-100", "Active", "Resolved", "Awaiting Vendor", "Closed"];
        let states = states.map(str::to_owned);
        assert_eq!(applied_before(&states, 1), 1);
        assert_eq!(applied_before(&states, 2), 4);
        assert_eq!(applied_before(&states, 3), 6);
        assert_eq!(applied_before(&states, 4), 7);
    }
}
