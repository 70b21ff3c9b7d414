//! What comes of a claim: when it is tried again, and whether at all.

use std::time::Duration;

use super::schedule::Schedule;
use crate::clock::Timestamp;
use crate::store::webhooks::{AttemptError, Claim, Outcome, SentAttempt, Trigger};

/// What came of an attempt.
pub struct Sent {
    /// The attempt.
    pub attempt: SentAttempt,
    /// Whether what was sent has arrived.
    pub is_success: bool,
    /// Whether whoever refused it said that it is for good.
    pub is_final: bool,
    /// How long the receiver wants to be left alone.
    pub retry_after: Option<Duration>,
}

impl Sent {
    /// An attempt that got no answer, and is made again.
    pub fn failure(attempt: SentAttempt) -> Self {
        Self { attempt, is_success: false, is_final: false, retry_after: None }
    }
}

/// What came of an attempt, with what follows.
pub fn outcome(claim: &Claim, sent: Sent, schedule: &Schedule, now: Timestamp) -> Outcome {
    let is_manual = claim.trigger == Trigger::Manual;
    let failures = claim.failures + i16::from(!sent.is_success && !is_manual);
    let next_at = match (sent.is_success || sent.is_final, is_manual) {
        (true, _) => None,
        (false, true) => claim.resume_at,
        (false, false) => {
            let failed = usize::try_from(failures).unwrap_or(usize::MAX);
            schedule.next(failed, now, sent.retry_after, rand::random())
        }
    };
    Outcome {
        endpoint: claim.endpoint,
        delivery: claim.id,
        token: claim.token,
        number: claim.attempt_count + 1,
        trigger: claim.trigger,
        is_success: sent.is_success,
        failures,
        next_at,
        attempt: Some(sent.attempt),
    }
}

/// An attempt that ends before anything is sent.
pub fn unsent(claim: &Claim, error: AttemptError, schedule: &Schedule, at: Timestamp) -> Outcome {
    outcome(claim, Sent::failure(SentAttempt::unanswered(at, 0, error)), schedule, at)
}

/// The end of what five have claimed and not finished.
pub fn worn_out(claim: &Claim, at: Timestamp) -> Outcome {
    let attempt = SentAttempt::unanswered(at, 0, AttemptError::WorkerLost);
    let sent = Sent { is_final: true, ..Sent::failure(attempt) };
    outcome(claim, sent, &Schedule::default(), at)
}

/// A claim that is given back.
pub fn given_back(claim: &Claim) -> Outcome {
    Outcome {
        endpoint: claim.endpoint,
        delivery: claim.id,
        token: claim.token,
        number: claim.attempt_count,
        trigger: claim.trigger,
        is_success: false,
        failures: claim.failures,
        next_at: None,
        attempt: None,
    }
}
