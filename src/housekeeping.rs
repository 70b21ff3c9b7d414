//! Housekeeping: deletes what is past its retention, in small steps that keep nobody waiting.

use std::time::Duration;

use crate::clock::Clock;
use crate::error::causes;
use crate::store::Store;

/// The pause between two rounds.
const ROUND: Duration = Duration::from_secs(60);
/// The pause between two steps, in which others can write.
const PAUSE: Duration = Duration::from_millis(50);
/// The most rows of one step.
pub const ROWS_PER_STEP: i64 = 500;

/// Deletes what is past its retention, round after round, until it is dropped.
pub async fn run(store: &Store, clock: &Clock) {
    loop {
        if let Err(error) = round(store, clock).await {
            let cause = causes(&error);
            tracing::warn!(cause, "cannot delete what is too old; trying again in a minute");
        }
        tokio::time::sleep(ROUND).await;
    }
}

async fn round(store: &Store, clock: &Clock) -> Result<(), crate::error::Error> {
    while store.delete_old_answers(clock.now(), ROWS_PER_STEP).await? == ROWS_PER_STEP as u64 {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
