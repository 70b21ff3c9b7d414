//! The dispatcher's loop: it turns new events into deliveries, claims what is due, has it sent and
//! records the outcomes.
//!
//! The state is in the database. What is kept here are hints: which workspaces have new events, which
//! endpoints have something due. What is lost of them is found again by looking every few seconds.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::slots::Slots;
use super::{EmailDeliveries, EventDeliveries};
use crate::attempt::Schedule;
use crate::clock::{Clock, Timestamp};
use crate::config::{DISPATCH_POLLED, EMAILS_MAX, FAILING_FOR};
use crate::error::{Error, causes};
use crate::store::webhooks::{DisabledReason, EndpointKey, MAIL, Outcome};
use crate::store::{Store, WorkspaceId};
use crate::webhooks::sender::GONE;
use crate::webhooks::vault::random;

/// The most outcomes that are written in one transaction.
const OUTCOMES_MAX: usize = 256;
/// The pause before work that failed for the database is tried again.
pub(super) const RETRY_AFTER: Duration = Duration::from_millis(250);
/// The number of due e-mails whose workspaces are looked up at a time.
const EMAILS_LOOKED_AT: usize = 64 * EMAILS_MAX;

/// The loop that turns events into deliveries, claims what is due, has it sent and records the
/// outcomes.
pub struct Dispatcher {
    pub store: Store,
    pub clock: Clock,
    /// The schedule of retries.
    pub schedule: Schedule,
    /// The sender of webhooks; none without the key of their secrets.
    pub events: Option<EventDeliveries>,
    /// The sender of e-mails; none without an SMTP server.
    pub emails: Option<EmailDeliveries>,
}

/// The state of the dispatcher's loop.
pub(super) struct State {
    pub(super) slots: Slots,
    /// The workspaces whose logs have grown.
    grown: HashSet<WorkspaceId>,
    /// The outcomes of attempts to reach webhooks that are not recorded yet.
    outcomes: Vec<Outcome>,
    /// The number of this process among those that turn events into deliveries.
    holder: i64,
    pub(super) public_ids: HashMap<WorkspaceId, Arc<str>>,
    pub(super) results: mpsc::UnboundedSender<Ended>,
    look_at: Instant,
    /// The time of the next try of the database, after it has failed.
    retry_at: Option<Instant>,
}

/// An attempt that has ended.
pub(super) enum Ended {
    /// An attempt has ended, and its outcome must be recorded.
    Attempt(Outcome),
    /// An outcome is recorded and told; `is_well` is true if the receiver answers.
    Settled { outcome: Outcome, is_well: bool },
}

impl Dispatcher {
    /// Runs until `stop` resolves, and then until what is being sent is sent, or `drain` has passed.
    pub async fn run(self, stop: impl Future<Output = ()>, drain: Duration) {
        if self.events.is_none() && self.emails.is_none() {
            stop.await;
            return;
        }
        // As many as there are attempts, which the slots bound.
        let (results, mut arriving) = mpsc::unbounded_channel();
        let mut state = State {
            slots: Slots::default(),
            grown: HashSet::new(),
            outcomes: Vec::new(),
            holder: number(),
            public_ids: HashMap::new(),
            results,
            look_at: Instant::now(),
            retry_at: None,
        };
        let mut stop = std::pin::pin!(stop);
        let mut ended = Vec::new();
        loop {
            let wake_at = self.wake_at(&state);
            tokio::select! {
                biased;
                () = &mut stop => break,
                _ = arriving.recv_many(&mut ended, OUTCOMES_MAX) => {}
                grown = self.store.wakes().everywhere().next() => state.grown.extend(grown),
                due = self.store.wakes().due().next() => self.note_due(&mut state, due),
                () = tokio::time::sleep_until(wake_at) => {}
            }
            // Whatever woke it, the others may have something too.
            state.grown.extend(self.store.wakes().everywhere().take());
            let due = self.store.wakes().due().take();
            self.note_due(&mut state, due);
            state.note_ended(&mut ended);
            while state.outcomes.len() < OUTCOMES_MAX {
                let Ok(one) = arriving.try_recv() else { break };
                ended.push(one);
                state.note_ended(&mut ended);
            }
            if state.retry_at.is_some_and(|at| Instant::now() < at) {
                continue;
            }
            state.retry_at = None;
            if let Err(error) = self.step(&mut state).await {
                let cause = causes(&error);
                tracing::warn!(cause, "deliveries wait for the database; trying again");
                state.retry_at = Some(Instant::now() + RETRY_AFTER);
            }
        }
        self.finish(state, arriving, drain).await;
    }

    fn note_due(&self, state: &mut State, due: HashSet<EndpointKey>) {
        let now = self.clock.now();
        let is_sent = |key: &EndpointKey| match key.1 {
            MAIL => self.emails.is_some(),
            _ => self.events.is_some(),
        };
        due.into_iter().filter(is_sent).for_each(|key| state.slots.note_due(key, now));
    }

    /// Returns the time at which the loop goes on if nothing wakes it.
    fn wake_at(&self, state: &State) -> Instant {
        let until = |at: Timestamp| {
            let millis = at.0.saturating_sub(self.clock.now().0).max(0).unsigned_abs();
            Instant::now() + Duration::from_millis(millis)
        };
        let wake_at = state.slots.next_due().map_or(state.look_at, until).min(state.look_at);
        state.retry_at.map_or(wake_at, |at| at.max(wake_at))
    }

    /// Takes one step: records outcomes, claims what is due, turns events into deliveries, and
    /// sends what was claimed.
    async fn step(&self, state: &mut State) -> Result<(), Error> {
        if Instant::now() >= state.look_at {
            self.look(state).await?;
        }
        self.record(state, true).await?;
        if self.events.is_none() {
            state.grown.clear();
        }
        let mut failed = Ok(());
        // What fails for one workspace holds up no other.
        for workspace in std::mem::take(&mut state.grown) {
            if let Err(error) = self.fan_out(state, workspace).await {
                state.grown.insert(workspace);
                failed = Err(error);
            }
        }
        failed
    }

    /// Looks for work that nothing has woken the loop for.
    async fn look(&self, state: &mut State) -> Result<(), Error> {
        state.look_at = Instant::now() + DISPATCH_POLLED;
        let horizon = self.clock.now().plus(DISPATCH_POLLED);
        if self.emails.is_some() {
            for (key, at) in self.store.due_emails(horizon, EMAILS_LOOKED_AT).await? {
                state.slots.note_due(key, at);
            }
        }
        if self.events.is_some() {
            for (key, at) in self.store.due_endpoints(horizon).await? {
                state.slots.note_due(key, at);
            }
            state.grown.extend(self.store.workspaces_behind().await?);
        }
        Ok(())
    }

    /// Records the outcomes of attempts; and, unless it stops, claims and sends what is due.
    async fn record(&self, state: &mut State, claims: bool) -> Result<(), Error> {
        let now = self.clock.now();
        let wanted = if claims { state.slots.take_due(now) } else { Vec::new() };
        if state.outcomes.is_empty() && wanted.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let recorded = self.store.record_attempts(&state.outcomes, &wanted, number()).await;
        let recorded = match recorded {
            Ok(recorded) => recorded,
            Err(error) => {
                for (key, _) in wanted {
                    state.slots.note_due(key, now);
                }
                return Err(error);
            }
        };
        for (workspace, delivery) in recorded.late {
            warn_late(workspace, delivery);
        }
        let outcomes = std::mem::take(&mut state.outcomes);
        for outcome in &outcomes {
            let is_well = outcome.attempt.as_ref().map(|_| outcome.is_success);
            let next_at = if outcome.attempt.is_none() { Some(now) } else { outcome.next_at };
            state.free(outcome.endpoint, is_well, next_at);
        }
        let mut claimed: HashMap<EndpointKey, usize> = HashMap::new();
        for claim in &recorded.claims {
            *claimed.entry(claim.endpoint).or_default() += 1;
        }
        for (key, most) in wanted {
            match claimed.get(&key) {
                // There may be more.
                Some(count) if *count == most => state.slots.note_due(key, now),
                Some(_) => {}
                None => state.slots.tidy(key),
            }
        }
        for claim in recorded.claims {
            state.slots.take(claim.endpoint);
            self.start(state, claim, began).await;
        }
        self.disable_failing(&outcomes, &recorded.failing).await
    }

    /// Disables the endpoints that are gone, and those that have failed for too long.
    async fn disable_failing(
        &self,
        outcomes: &[Outcome],
        failing: &BTreeMap<EndpointKey, Timestamp>,
    ) -> Result<(), Error> {
        let Some(events) = &self.events else { return Ok(()) };
        let code = |outcome: &Outcome| outcome.attempt.as_ref().and_then(|it| it.status_code);
        let gone = outcomes.iter().filter(|outcome| code(outcome) == Some(GONE));
        for key in gone.map(|outcome| outcome.endpoint).collect::<HashSet<_>>() {
            (events.disable)(key, DisabledReason::Gone).await?;
        }
        for (key, since) in failing {
            if since.plus(FAILING_FOR) <= self.clock.now() {
                (events.disable)(*key, DisabledReason::Failing).await?;
            }
        }
        Ok(())
    }

    /// Turns the next events of a workspace into deliveries, and sends as many as there is room for.
    async fn fan_out(&self, state: &mut State, workspace: WorkspaceId) -> Result<(), Error> {
        let Some(next) = self.store.next_fan_out(workspace, state.holder).await? else {
            return Ok(());
        };
        let mut deliveries = next.deliveries();
        let mut taken: HashMap<EndpointKey, usize> = HashMap::new();
        let mut left = state.slots.room_of_workspace(workspace);
        for due in &mut deliveries {
            let key = next.endpoints[due.endpoint].key;
            let of_endpoint = taken.entry(key).or_default();
            // What waits for the same endpoint goes first.
            due.is_claimed = left > 0
                && *of_endpoint < state.slots.room(key)
                && !state.slots.has_due(key, self.clock.now());
            left -= usize::from(due.is_claimed);
            *of_endpoint += usize::from(due.is_claimed);
        }
        let began = Instant::now();
        let made = self.store.fan_out(&next, &deliveries, state.holder, number()).await?;
        let Some(claims) = made else {
            // Somebody else was quicker, or an endpoint has changed: what is there now?
            state.grown.insert(workspace);
            return Ok(());
        };
        if next.has_more {
            state.grown.insert(workspace);
        }
        let now = self.clock.now();
        for due in deliveries.iter().filter(|due| !due.is_claimed) {
            state.slots.note_due(next.endpoints[due.endpoint].key, now);
        }
        for claim in claims {
            state.slots.take(claim.endpoint);
            self.start(state, claim, began).await;
        }
        Ok(())
    }

    /// Waits for the attempts under way, and records their outcomes.
    async fn finish(
        &self,
        mut state: State,
        mut arriving: mpsc::UnboundedReceiver<Ended>,
        drain: Duration,
    ) {
        let until = Instant::now() + drain;
        while state.slots.taken() > 0 && Instant::now() < until {
            if state.outcomes.is_empty() {
                let mut ended = Vec::new();
                let arrived = arriving.recv_many(&mut ended, OUTCOMES_MAX);
                let _ = tokio::time::timeout_at(until, arrived).await;
                state.note_ended(&mut ended);
            }
            if let Err(error) = self.record(&mut state, false).await {
                let cause = causes(&error);
                tracing::warn!(cause, "what was sent last cannot be written down; trying again");
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
        if let Err(error) = self.store.release_dispatch(state.holder).await {
            let cause = causes(&error);
            tracing::debug!(cause, "others take up the events of this process in ten seconds");
        }
    }
}

impl State {
    /// Takes note of attempts that have ended.
    fn note_ended(&mut self, ended: &mut Vec<Ended>) {
        for one in ended.drain(..) {
            match one {
                Ended::Attempt(outcome) => self.outcomes.push(outcome),
                Ended::Settled { outcome, is_well } => {
                    self.free(outcome.endpoint, Some(is_well), outcome.next_at);
                }
            }
        }
    }

    /// Frees the slot of an attempt; `is_well` is whether the receiver answers, if that is known.
    fn free(&mut self, key: EndpointKey, is_well: Option<bool>, next_at: Option<Timestamp>) {
        self.slots.free(key, is_well);
        if let Some(at) = next_at {
            self.slots.note_due(key, at);
        }
    }
}

pub(super) fn warn_late(workspace: WorkspaceId, delivery: i64) {
    tracing::warn!(
        workspace = workspace.0,
        delivery,
        "the result of an attempt came late: somebody else has taken it up by now"
    );
}

/// A number that no other process and no other claim has.
fn number() -> i64 {
    (i64::from_be_bytes(random()) & i64::MAX).max(1)
}
