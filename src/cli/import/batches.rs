//! The import of tickets by batches of a hundred, each ticket with the events that become its
//! history.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prost::Message;
use tonic::Status;
use tonic_types::StatusExt;

use super::Import;
use super::calls::{call, code, reasons};
use super::items::BETWEEN;
use super::mapping::Reason;
use super::progress::Progress;
use super::sending::{Answered, Outcome, Outgoing, Sender};
use super::spool::Waiting;
use crate::cli::client::Client;
use crate::pb;

/// The most tickets of a call, and the bytes that they have together: half of what a call may have.
const BATCH_MAX: usize = 100;
const BATCH_BYTES_MAX: usize = 512 * 1024;

/// Sends tickets by ImportTickets.
#[derive(Clone)]
pub struct Batches {
    client: Client,
    progress: Progress,
    /// The number of tickets in a call, which is lowered where the limits of the key admit no more.
    batch: Arc<AtomicUsize>,
    from: Reached,
}

/// The state of the sending.
#[derive(Clone, Default)]
struct Reached {
    /// The stages that are still to be sent, the next one last; none before they are known.
    stages: Option<Vec<i64>>,
    stage: Option<i64>,
    /// The record that was sent last, and the ticket whose events were.
    after: i64,
    after_key: String,
}

impl Batches {
    pub fn new(client: Client, progress: Progress) -> Self {
        let batch = Arc::new(AtomicUsize::new(BATCH_MAX));
        Self { client, progress, batch, from: Reached::default() }
    }
}

impl Sender for Batches {
    type Batch = Vec<(pb::TicketImport, Outgoing)>;

    fn next(&mut self, import: &mut Import) -> Result<Option<Self::Batch>, String> {
        let most = self.batch.load(Ordering::Relaxed);
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < most && bytes < BATCH_BYTES_MAX {
            let Some((item, outgoing)) = self.next_item(import)? else { break };
            bytes += item.encoded_len();
            batch.push((item, outgoing));
        }
        Ok(Some(batch).filter(|batch| !batch.is_empty()))
    }

    fn advance(&mut self, import: &mut Import) -> Result<bool, String> {
        let stages = match &mut self.from.stages {
            Some(stages) => stages,
            None => {
                let stages = import.spool.stages()?.into_iter().rev().collect();
                self.from.stages.insert(stages)
            }
        };
        (self.from.stage, self.from.after) = (stages.pop(), 0);
        self.from.after_key.clear();
        // Behind all records come the events that did not go with one.
        Ok(self.from.stage.is_some() || import.spool.next_with_events("")?.is_some())
    }

    async fn send(self, batch: Self::Batch) -> Result<Answered, String> {
        let mut answered = Vec::with_capacity(batch.len());
        let mut left = vec![batch];
        while let Some(mut batch) = left.pop() {
            let items: Vec<_> = batch.iter().map(|(item, _)| item.clone()).collect();
            let request = pb::ImportTicketsRequest { items };
            let sent = call(&self.progress, || {
                let (mut client, request) = (self.client.tickets(), request.clone());
                async move { client.import_tickets(request).await }
            });
            match sent.await {
                Ok(answer) => {
                    let results = answer.into_inner().results;
                    if results.len() != batch.len() {
                        return Err("the service has not answered for each ticket".to_owned());
                    }
                    let all = batch.into_iter().zip(results);
                    answered.extend(all.map(|((_, outgoing), result)| told(outgoing, result)));
                }
                Err(status) if batch.len() > 1 && is_too_much(&status) => {
                    let second = batch.split_off(batch.len() / 2);
                    if has_too_many(&status) {
                        // Fewer at a time, from now on.
                        self.batch.fetch_min(batch.len(), Ordering::Relaxed);
                    }
                    left.extend([second, batch]);
                }
                Err(status) => {
                    let reasons = reasons(&status)?;
                    answered.extend(batch.into_iter().map(|(_, it)| (it, Err(reasons.clone()))));
                }
            }
        }
        Ok(answered)
    }
}

/// Returns true if half of a call may be accepted where the whole was not.
fn is_too_much(status: &Status) -> bool {
    has_too_many(status) || code(status) == "PAYLOAD_TOO_LARGE"
}

/// Returns true if a call has more tickets than the limits of the key admit.
fn has_too_many(status: &Status) -> bool {
    let wrong = status.get_details_bad_request().map(|wrong| wrong.field_violations);
    wrong.into_iter().flatten().any(|wrong| wrong.reason == "TOO_MANY_ITEMS")
}

impl Batches {
    fn next_item(
        &mut self,
        import: &Import,
    ) -> Result<Option<(pb::TicketImport, Outgoing)>, String> {
        if let Some(stage) = self.from.stage {
            let Some(waiting) = import.spool.next(stage, self.from.after)? else { return Ok(None) };
            self.from.after = waiting.id;
            let mut item = pb::TicketImport::decode(waiting.item.as_slice())
                .map_err(|error| format!("a record is broken: {error}"))?;
            let mut ids = Vec::new();
            if item.history.is_empty() && !waiting.is_part {
                let (entries, with) = import.events_of(&waiting.key)?;
                (item.history, ids) = (entries, with);
                name_history(&mut item);
            }
            return Ok(Some((item, Outgoing { waiting, events: ids, is_bare: false })));
        }
        if self.from.stages.is_none() {
            return Ok(None);
        }
        let Some(key) = import.spool.next_with_events(&self.from.after_key)? else {
            return Ok(None);
        };
        self.from.after_key.clone_from(&key);
        let (source, id) = key.split_once(BETWEEN).unwrap_or_default();
        let (history, ids) = import.events_of(&key)?;
        let mut item = pb::TicketImport {
            external_source: source.to_owned(),
            external_id: id.to_owned(),
            history,
            ..pb::TicketImport::default()
        };
        name_history(&mut item);
        let waiting = Waiting { id: 0, file: 0, line: 0, key, is_part: false, item: Vec::new() };
        Ok(Some((item, Outgoing { waiting, events: ids, is_bare: true })))
    }
}

/// Adds the history to what the item says, where it has some.
fn name_history(item: &mut pb::TicketImport) {
    if !item.history.is_empty() {
        let mask = item.update_mask.get_or_insert_default();
        mask.paths.push("history".to_owned());
    }
}

/// Translates the result of a ticket into an outcome of the import.
fn told(outgoing: Outgoing, result: pb::ItemResult) -> (Outgoing, Result<Outcome, Vec<Reason>>) {
    let Some(error) = result.error else {
        let outcome = result.data.map(|data| data.outcome());
        let outcome = match outcome {
            Some(pb::BatchOutcome::Created) => Outcome::Created,
            Some(pb::BatchOutcome::Updated) => Outcome::Updated,
            _ => Outcome::Unchanged,
        };
        return (outgoing, Ok(outcome));
    };
    if outgoing.is_bare && error.details.iter().any(|wrong| wrong.field == "title") {
        let id = outgoing.waiting.key.rsplit(BETWEEN).next().unwrap_or_default();
        let message = format!("there is no ticket `{id}`, neither in the files nor in the service");
        return (outgoing, Err(vec![Reason::new("ticket", "NOT_FOUND", message)]));
    }
    let reasons = error.details.into_iter();
    let reasons = reasons.map(|it| Reason { field: it.field, code: it.code, message: it.message });
    let reasons: Vec<_> = reasons.collect();
    match reasons.is_empty() {
        true => (outgoing, Err(vec![Reason::new("", &error.code, error.message)])),
        false => (outgoing, Err(reasons)),
    }
}
