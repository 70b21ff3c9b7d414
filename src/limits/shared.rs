//! Windows that several replicas count together, in Redis or Valkey.
//!
//! A request costs one round trip: a script counts both windows in one step, by Redis's own clock.
//! What it answers is kept here too. So a window that is known to be exhausted refuses without
//! asking, a Redis that lost its data learns anew what was spent, and while it is away the same
//! windows go on here, within this replica's share of each limit.
//!
//! Redis is taken to be away when it does not answer in time or answers wrongly. From then on no
//! request tries it: a task of its own does, over a new connection, since one that was cut
//! somewhere on its way would look well for minutes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, Script};

use super::counters::{Counters, Outcome, Tally, share};
use super::window::{Key, Window};
use crate::clock::Timestamp;
use crate::config::REDIS_RETRY_EVERY;
use crate::error::causes;

/// The id against which the trial of a connection counts; no key has it.
const TRIAL_ID: &str = "--------";

/// The windows that several replicas count together.
pub struct Shared {
    client: Client,
    /// The connection; none while Redis is away.
    connection: Mutex<Option<MultiplexedConnection>>,
    script: Script,
    timeout: Duration,
    replicas: u32,
    /// The counts that are known here: those that Redis answered, and those that were spent without
    /// it.
    known: Counters,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the client: its URL may hold a password.
        f.debug_struct("Shared").field("replicas", &self.replicas).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) async fn start(
        client: Client,
        timeout: Duration,
        replicas: u32,
        known: Counters,
    ) -> Arc<Self> {
        let (connection, script) = (Mutex::new(None), Script::new(include_str!("spend.lua")));
        let shared = Arc::new(Self { client, connection, script, timeout, replicas, known });
        match shared.connect().await {
            Ok(connection) => *shared.connection() = Some(connection),
            Err(failure) => shared.without(&failure),
        }
        shared
    }

    pub(super) fn names(&self) -> &[&'static str] {
        self.known.names()
    }

    pub(super) async fn spend(
        self: &Arc<Self>,
        key: Key<'_>,
        amount: u32,
        tallies: &mut [Tally],
    ) -> Outcome {
        if let Some(window) = self.exhausted(key, amount, tallies) {
            return Outcome { admitted: false, window };
        }
        match self.ask(key, tallies, amount).await {
            Some(outcome) => outcome,
            None => {
                metrics::counter!("orqit_rate_limit_fallback_total").increment(1);
                share(tallies, self.replicas);
                self.known.spend(key, amount, tallies)
            }
        }
    }

    pub(super) async fn peek(self: &Arc<Self>, key: Key<'_>, tallies: &mut [Tally]) -> Window {
        match self.ask(key, tallies, 0).await {
            Some(outcome) => outcome.window,
            None => {
                share(tallies, self.replicas);
                self.known.peek(key, tallies)
            }
        }
    }

    /// Returns the window if it is known not to admit so many and is certainly not over.
    fn exhausted(&self, key: Key<'_>, amount: u32, tallies: &mut [Tally]) -> Option<Window> {
        let window = self.known.peek(key, tallies);
        // Our idea of Redis's time may be behind by as long as its answer took.
        let by_then = self.known.now().plus(self.timeout);
        let lasts = key.window(by_then).number == window.number;
        (lasts && tallies.iter().any(|tally| !tally.admits(amount))).then_some(window)
    }

    /// Asks Redis; none while it is away.
    async fn ask(
        self: &Arc<Self>,
        key: Key<'_>,
        tallies: &mut [Tally],
        amount: u32,
    ) -> Option<Outcome> {
        let connection = self.connection().clone()?;
        match self.run(connection, key, tallies, amount).await {
            Ok(outcome) => Some(outcome),
            Err(failure) => {
                self.lost(&failure);
                None
            }
        }
    }

    /// Runs the script, which spends so many, or with 0 only reads, and puts the counts into
    /// `tallies`.
    async fn run(
        &self,
        mut connection: MultiplexedConnection,
        key: Key<'_>,
        tallies: &mut [Tally],
        amount: u32,
    ) -> Result<Outcome, RedisError> {
        let known = self.known.peek(key, tallies);
        let mut call = self.script.prepare_invoke();
        call.arg(key.phase_ms()).arg(amount).arg(known.number);
        for tally in tallies.iter() {
            // The braces put all counters of a key on one node of a cluster.
            let name = format!("orqit:limit:{{{}}}:{}", key.id, self.names()[tally.slot]);
            call.key(name).arg(tally.limit).arg(tally.spent);
        }
        let answered = tokio::time::timeout(self.timeout, call.invoke_async(&mut connection));
        let answer: Vec<i64> = answered.await.map_err(|_| late())??;
        let [now, admitted, spent @ ..] = answer.as_slice() else {
            return Err((redis::ErrorKind::UnexpectedReturnType, "an answer without a time").into());
        };
        let now = Timestamp(*now);
        self.known.set_now(now);
        for (tally, spent) in tallies.iter_mut().zip(spent) {
            tally.spent = u32::try_from(*spent).unwrap_or(u32::MAX);
        }
        let window = key.window(now);
        self.known.learn(key, window, tallies);
        Ok(Outcome { admitted: *admitted == 1, window })
    }

    /// A new connection that has proven to count.
    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        // A host that drops packets would hold a connection up for minutes; a request waits for none.
        let within = REDIS_RETRY_EVERY.max(self.timeout);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(within))
            .set_response_timeout(Some(within));
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let connection = tokio::time::timeout(within, connecting).await.map_err(|_| late())??;
        let mut trial = [Tally { slot: 0, limit: u32::MAX, spent: 0 }];
        self.run(connection.clone(), Key::of(TRIAL_ID), &mut trial, 1).await?;
        Ok(connection)
    }

    /// Goes on without Redis after a failure, and says so once.
    fn lost(self: &Arc<Self>, failure: &RedisError) {
        // Only the first of those that wait for an answer finds a connection to give up.
        if self.connection().take().is_some() {
            self.without(failure);
        }
    }

    fn without(self: &Arc<Self>, failure: &RedisError) {
        tracing::warn!(
            redis = %self.client.get_connection_info().addr(),
            cause = causes(failure),
            "Redis does not answer: until it does, this replica admits 1/{} of every rate limit by \
             itself; check that ORQIT_REDIS_URL can be reached from here and that ORQIT_REPLICAS is \
             the number of replicas",
            self.replicas,
        );
        // The task ends with the limiter, or once Redis is back.
        let shared = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(REDIS_RETRY_EVERY).await;
                let Some(shared) = shared.upgrade() else { return };
                if let Ok(connection) = shared.connect().await {
                    *shared.connection() = Some(connection);
                    tracing::info!("Redis answers again: the replicas share their rate limits");
                    return;
                }
            }
        });
    }

    fn connection(&self) -> MutexGuard<'_, Option<MultiplexedConnection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn late() -> RedisError {
    (redis::ErrorKind::Io, "no answer in time").into()
}
