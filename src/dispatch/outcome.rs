//! The outcome of a claim: whether it is tried again, and when.

use crate::attempt::{Schedule, Sent};
use crate::clock::Timestamp;
use crate::store::webhooks::{AttemptError, Claim, Outcome, SentAttempt, Trigger};

/// Returns the outcome of an attempt, with the time of the next one.
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
pub fn worn_out(claim: &Claim, schedule: &Schedule, at: Timestamp) -> Outcome {
    let attempt = SentAttempt::unanswered(at, 0, AttemptError::WorkerLost);
    let sent = Sent { is_final: true, ..Sent::failure(attempt) };
    outcome(claim, sent, schedule, at)
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
