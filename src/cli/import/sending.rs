//! The sending of checked records, several calls at a time, with a count of the outcomes.

use std::collections::BTreeMap;

use tokio::task::JoinSet;

use super::Import;
use super::mapping::Reason;
use super::progress::{Progress, plain};
use super::spool::Waiting;

/// The most refusals that are shown; the file has all of them.
const SHOWN_MAX: u64 = 10;
/// The number of left-out members whose names are kept.
const LEFT_OUT_MAX: usize = 1_000;

/// The outcome of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Created,
    Updated,
    Unchanged,
}

/// The figures of an import.
#[derive(Debug, Default)]
pub struct Tally {
    what: &'static str,
    pub read: u64,
    pub created: u64,
    pub updated: u64,
    pub unchanged: u64,
    pub refused: u64,
    pub has_events: bool,
    pub events_read: u64,
    pub events_sent: u64,
    pub events_refused: u64,
    shown: u64,
    /// The members that are left out, with the number of records that have them.
    left_out: BTreeMap<String, u64>,
}

impl Tally {
    pub fn new(what: &'static str) -> Self {
        Self { what, ..Self::default() }
    }

    /// Counts a record that was taken.
    pub fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Created => self.created += 1,
            Outcome::Updated => self.updated += 1,
            Outcome::Unchanged => self.unchanged += 1,
        }
    }

    /// Counts the members of a record that are left out.
    pub fn leave_out(&mut self, members: Vec<String>) {
        for member in members {
            if self.left_out.len() < LEFT_OUT_MAX || self.left_out.contains_key(&member) {
                *self.left_out.entry(member).or_default() += 1;
            }
        }
    }

    /// Tells which members are left out: they are lost, and nobody should find that out later.
    pub fn tell_left_out(&self) {
        let left_out = self.left_out.iter().map(|(member, count)| format!("{member} ({count})"));
        let left_out: Vec<_> = left_out.collect();
        if !left_out.is_empty() {
            let members = plain(&left_out.join(", "));
            eprintln!("left out, as the preset or the mapping has it: {members}");
        }
    }

    /// Shows one of the first refusals.
    pub fn show(&mut self, line: u64, known_by: Option<&str>, reasons: &[Reason]) {
        self.shown += 1;
        if self.shown == SHOWN_MAX + 1 {
            eprintln!("… further refusals are only in the file");
        }
        if self.shown <= SHOWN_MAX {
            let known_by = known_by.map(|known_by| format!(" ({known_by})")).unwrap_or_default();
            let reasons: Vec<_> = reasons.iter().map(|reason| reason.message.as_str()).collect();
            eprintln!("{}", plain(&format!("line {line}{known_by}: {}", reasons.join("; "))));
        }
    }

    /// The figures, in words.
    pub fn report(&self) -> String {
        let Self { what, created, updated, unchanged, refused, .. } = self;
        let mut report = format!(
            "{what}: {created} created, {updated} updated, {unchanged} unchanged, {refused} refused"
        );
        let left = self.read.saturating_sub(created + updated + unchanged + refused);
        if left > 0 {
            report += &format!(", {left} not sent");
        }
        if self.has_events {
            let Self { events_read, events_sent, events_refused, .. } = self;
            report += &format!(
                "\nevents: {events_sent} of {events_read} are in, {events_refused} refused"
            );
        }
        report
    }
}

/// The ids of events that wait, and the lines on which they stand.
pub type EventIds = Vec<(i64, u64)>;

/// A record on its way, with the events that go with it.
pub struct Outgoing {
    pub waiting: Waiting,
    pub events: EventIds,
    /// True if the item brings nothing but events.
    pub is_bare: bool,
}

/// The outcomes of the records of a call.
pub type Answered = Vec<(Outgoing, Result<Outcome, Vec<Reason>>)>;

/// A sender of the records that an import holds.
pub trait Sender: Clone + Send + 'static {
    /// The content of one call.
    type Batch: Send + 'static;

    /// The next call, if there is one that does not need the answer to one before it.
    fn next(&mut self, import: &mut Import) -> Result<Option<Self::Batch>, String>;

    /// Goes on to the records that need the answers to all before them; false where there is
    /// nothing more.
    fn advance(&mut self, import: &mut Import) -> Result<bool, String>;

    /// Makes the call.
    fn send(self, batch: Self::Batch) -> impl Future<Output = Result<Answered, String>> + Send;
}

impl Import {
    /// Sends everything. What is under way is ended also where it is interrupted, or fails.
    pub async fn send<S: Sender>(
        &mut self,
        mut sender: S,
        parallel: usize,
        progress: &Progress,
    ) -> Result<(), String> {
        let mut running = JoinSet::new();
        let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
        let mut stop: Option<String> = None;
        loop {
            while stop.is_none() && running.len() < parallel {
                match sender.next(self) {
                    Ok(Some(batch)) => {
                        running.spawn(sender.clone().send(batch));
                    }
                    Ok(None) if running.is_empty() && sender.advance(self)? => {}
                    Ok(None) => break,
                    Err(sentence) => stop = Some(sentence),
                }
            }
            let done = tokio::select! {
                done = running.join_next() => done,
                _ = &mut interrupted, if stop.is_none() => {
                    progress.note("stopping: what is under way is finished first; Ctrl-C again ends it at once");
                    tokio::spawn(async {
                        if tokio::signal::ctrl_c().await.is_ok() {
                            std::process::exit(1);
                        }
                    });
                    stop = Some("interrupted: the same command goes on".to_owned());
                    continue;
                }
            };
            let Some(done) = done else { break };
            let answered = done.map_err(|error| error.to_string()).and_then(|answered| answered);
            let noted = answered.and_then(|answered| self.note(answered, progress));
            if let Err(sentence) = noted {
                stop.get_or_insert(sentence);
            }
        }
        progress.end();
        stop.map_or(Ok(()), Err)
    }

    fn note(&mut self, answered: Answered, progress: &Progress) -> Result<(), String> {
        let events_file = self.rejected.len() - 1;
        for (Outgoing { waiting, events, is_bare }, result) in answered {
            progress.add(1);
            let Err(reasons) = result else {
                self.tally.events_sent += events.len() as u64;
                if let (false, false, Ok(outcome)) = (is_bare, waiting.is_part, result) {
                    self.tally.add(outcome);
                }
                continue;
            };
            let known_by = waiting.key.rsplit('\u{1f}').next();
            if !is_bare && let Some(raw) = self.spool.refuse(&waiting)? {
                self.refuse(waiting.file, waiting.line, known_by, &reasons, &raw)?;
            }
            for (id, line) in events {
                let raw = self.spool.raw_event(id)?;
                self.refuse(events_file, line, known_by, &reasons, &raw)?;
            }
        }
        Ok(())
    }
}
