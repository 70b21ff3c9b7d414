//! Runs the way of webhooks: a loop that turns new events into deliveries, claims what is due, sends it
//! and writes down what came of it.
//!
//! The state is in the database. What is kept here are hints: which workspaces have new events, which
//! endpoints have something due. What is lost of them is found again by looking every few seconds.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::address::Allowed;
use super::outcome::{GONE, forbidden, given_back, outcome};
use super::schedule::Schedule;
use super::sender::{Message, Sender};
use super::signature::secret;
use super::slots::Slots;
use super::target::Target;
use super::vault::{Vault, random};
use crate::clock::{Clock, Timestamp};
use crate::config::{CLAIM_STARTS_WITHIN, DISPATCH_POLLED, FAILING_FOR};
use crate::error::{Error, causes};
use crate::store::webhooks::{Claim, DisabledReason, EndpointKey, Outcome};
use crate::store::{Store, WorkspaceId};

/// What disables an endpoint.
pub type Disable = Box<
    dyn Fn(EndpointKey, DisabledReason) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>
        + Send
        + Sync,
>;

/// The most outcomes that are written in one transaction.
const OUTCOMES_MAX: usize = 256;
/// How long until what failed for the database is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// See the module.
pub struct Dispatcher {
    pub store: Store,
    pub clock: Clock,
    pub sender: Sender,
    pub vault: Arc<Vault>,
    pub allowed: Arc<Allowed>,
    pub schedule: Schedule,
    pub disable: Disable,
}

/// What the loop knows.
struct State {
    slots: Slots,
    /// Workspaces whose logs have grown.
    grown: HashSet<WorkspaceId>,
    /// What came of attempts, and is not written down yet.
    outcomes: Vec<Outcome>,
    /// The number of this process among those that turn events into deliveries.
    holder: i64,
    public_ids: HashMap<WorkspaceId, Arc<str>>,
    results: mpsc::UnboundedSender<Outcome>,
    look_at: Instant,
    /// When the database may be tried again, after it has failed.
    retry_at: Option<Instant>,
}

impl Dispatcher {
    /// Runs until `stop` resolves, and then until what is being sent is sent, or `drain` has passed.
    pub async fn run(self, stop: impl Future<Output = ()>, drain: Duration) {
        if !self.vault.is_open() {
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
        loop {
            let wake_at = self.wake_at(&state);
            tokio::select! {
                biased;
                () = &mut stop => break,
                _ = arriving.recv_many(&mut state.outcomes, OUTCOMES_MAX) => {}
                grown = self.store.wakes().everywhere().next() => state.grown.extend(grown),
                due = self.store.wakes().due().next() => self.note_due(&mut state, due),
                () = tokio::time::sleep_until(wake_at) => {}
            }
            // Whatever woke it, the others may have something too.
            state.grown.extend(self.store.wakes().everywhere().take());
            let due = self.store.wakes().due().take();
            self.note_due(&mut state, due);
            while state.outcomes.len() < OUTCOMES_MAX {
                let Ok(outcome) = arriving.try_recv() else { break };
                state.outcomes.push(outcome);
            }
            if state.retry_at.is_some_and(|at| Instant::now() < at) {
                continue;
            }
            state.retry_at = None;
            if let Err(error) = self.step(&mut state).await {
                let cause = causes(&error);
                tracing::warn!(cause, "webhooks wait for the database; trying again");
                state.retry_at = Some(Instant::now() + RETRY_AFTER);
            }
        }
        self.finish(state, arriving, drain).await;
    }

    fn note_due(&self, state: &mut State, due: HashSet<EndpointKey>) {
        let now = self.clock.now();
        due.into_iter().for_each(|key| state.slots.note_due(key, now));
    }

    /// When to go on though nothing has come.
    fn wake_at(&self, state: &State) -> Instant {
        let until = |at: Timestamp| {
            let millis = at.0.saturating_sub(self.clock.now().0).max(0).unsigned_abs();
            Instant::now() + Duration::from_millis(millis)
        };
        let wake_at = state.slots.next_due().map_or(state.look_at, until).min(state.look_at);
        state.retry_at.map_or(wake_at, |at| at.max(wake_at))
    }

    /// One step: what came of attempts is written down, what is due claimed, what has happened turned
    /// into deliveries, and all that was claimed is sent.
    async fn step(&self, state: &mut State) -> Result<(), Error> {
        if Instant::now() >= state.look_at {
            self.look(state).await?;
        }
        self.record(state, true).await?;
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

    /// Looks for what nothing has told of.
    async fn look(&self, state: &mut State) -> Result<(), Error> {
        state.look_at = Instant::now() + DISPATCH_POLLED;
        let horizon = self.clock.now().plus(DISPATCH_POLLED);
        for (key, at) in self.store.due_endpoints(horizon).await? {
            state.slots.note_due(key, at);
        }
        state.grown.extend(self.store.workspaces_behind().await?);
        Ok(())
    }

    /// Writes down what came of attempts; and, unless it stops, claims and sends what is due.
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
            tracing::warn!(
                workspace = workspace.0,
                delivery,
                "the result of an attempt came late: somebody else has taken it up by now"
            );
        }
        let outcomes = std::mem::take(&mut state.outcomes);
        for outcome in &outcomes {
            let is_success = outcome.attempt.as_ref().map(|_| outcome.is_success);
            state.slots.free(outcome.endpoint, is_success);
            let again = if outcome.attempt.is_none() { Some(now) } else { outcome.next_at };
            if let Some(at) = again {
                state.slots.note_due(outcome.endpoint, at);
            }
        }
        let mut claimed: HashMap<EndpointKey, usize> = HashMap::new();
        for claim in &recorded.claims {
            *claimed.entry(claim.endpoint.key).or_default() += 1;
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
            state.slots.take(claim.endpoint.key);
            self.start(state, claim, began).await;
        }
        self.disable_failing(&outcomes, &recorded.failing).await
    }

    /// Disables the endpoints that are gone, and those that have failed for too long.
    async fn disable_failing(
        &self,
        outcomes: &[Outcome],
        failing: &std::collections::BTreeMap<EndpointKey, Timestamp>,
    ) -> Result<(), Error> {
        let code = |outcome: &Outcome| outcome.attempt.as_ref().and_then(|it| it.status_code);
        let gone = outcomes.iter().filter(|outcome| code(outcome) == Some(GONE));
        for key in gone.map(|outcome| outcome.endpoint).collect::<HashSet<_>>() {
            (self.disable)(key, DisabledReason::Gone).await?;
        }
        for (key, since) in failing {
            if since.plus(FAILING_FOR) <= self.clock.now() {
                (self.disable)(*key, DisabledReason::Failing).await?;
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
            state.slots.take(claim.endpoint.key);
            self.start(state, claim, began).await;
        }
        Ok(())
    }

    /// Begins to send what was claimed, which was not before `began`. What cannot be sent is left to time,
    /// and parked in the end.
    async fn start(&self, state: &mut State, claim: Claim, began: Instant) {
        let started_at = self.clock.now();
        let key = claim.endpoint.key;
        let message = match self.message(state, &claim).await {
            Ok(message) => message,
            Err(error) => {
                let cause = causes(&error);
                let delivery = claim.id;
                tracing::error!(cause, delivery, "a delivery cannot be sent");
                state.slots.free(key, None);
                return;
            }
        };
        let (sender, results) = (self.sender.clone(), state.results.clone());
        let (schedule, clock) = (self.schedule.clone(), self.clock.clone());
        tokio::spawn(async move {
            let outcome = match message {
                // There would be no time left for it, as after this process stood still.
                Some(_) if began.elapsed() > CLAIM_STARTS_WITHIN => given_back(&claim),
                Some(message) => {
                    let sent = sender.send(message, started_at).await;
                    let came_of_it = if sent.is_success { "success" } else { "failure" };
                    metrics::counter!("orqit_webhook_attempts_total", "outcome" => came_of_it)
                        .increment(1);
                    outcome(&claim, sent, &schedule, clock.now())
                }
                None => forbidden(&claim, &schedule, started_at),
            };
            // Nobody takes it once the dispatcher has ended: the claim runs out then.
            let _ = results.send(outcome);
        });
    }

    /// What is sent; none where the endpoint's URL is not allowed any more.
    async fn message(&self, state: &mut State, claim: &Claim) -> Result<Option<Message>, Error> {
        let Ok(target) = Target::parse(&claim.endpoint.url, &self.allowed) else {
            return Ok(None);
        };
        let (workspace, endpoint) = claim.endpoint.key;
        let now = self.clock.now();
        let mut secrets = Vec::new();
        for sealed in &claim.endpoint.secrets {
            if sealed.until.is_none_or(|until| until > now.0) {
                let plain = self.vault.open(&context(workspace, endpoint), &sealed.sealed)?;
                let plain = String::from_utf8(plain).map_err(Error::internal)?;
                let plain =
                    secret(&plain).ok_or_else(|| Error::internal("no secret was sealed"))?;
                secrets.push(plain);
            }
        }
        let public_id = match state.public_ids.get(&workspace) {
            Some(id) => Arc::clone(id),
            None => {
                let found = self.store.reader(workspace).find_workspace().await?;
                let found = found.ok_or_else(|| Error::internal("an event of no workspace"))?;
                let id: Arc<str> = found.public_id.into();
                state.public_ids.insert(workspace, Arc::clone(&id));
                id
            }
        };
        Ok(Some(Message {
            uri: target.uri,
            secrets,
            event_id: claim.event.id.clone(),
            event_type: claim.event.event_type.clone(),
            delivery: claim.id,
            number: claim.attempt_count + 1,
            body: Bytes::from(claim.event.payload(&public_id)),
        }))
    }

    /// Waits for what is being sent, and writes down what comes of it.
    async fn finish(
        &self,
        mut state: State,
        mut arriving: mpsc::UnboundedReceiver<Outcome>,
        drain: Duration,
    ) {
        let until = Instant::now() + drain;
        while state.slots.taken() > 0 && Instant::now() < until {
            if state.outcomes.is_empty() {
                let arrived = arriving.recv_many(&mut state.outcomes, OUTCOMES_MAX);
                let _ = tokio::time::timeout_at(until, arrived).await;
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

/// Where the secrets of an endpoint belong.
pub fn context(workspace: WorkspaceId, endpoint: i64) -> String {
    format!("webhook {} {endpoint}", workspace.0)
}

/// A number that no other process and no other claim has.
fn number() -> i64 {
    (i64::from_be_bytes(random()) & i64::MAX).max(1)
}
