//! What comes of a claim: when it is tried again, and whether at all.

use super::schedule::Schedule;
use super::sender::Sent;
use crate::clock::Timestamp;
use crate::store::webhooks::{AttemptError, Claim, Outcome, SentAttempt, Trigger};

/// The status by which an endpoint says that it is gone for good.
pub const GONE: i32 = 410;

/// What came of an attempt.
pub fn outcome(claim: &Claim, sent: Sent, schedule: &Schedule, now: Timestamp) -> Outcome {
    let is_manual = claim.trigger == Trigger::Manual;
    let failures = claim.failures + i16::from(!sent.is_success && !is_manual);
    let is_gone = sent.attempt.status_code == Some(GONE);
    let next_at = match (sent.is_success || is_gone, is_manual) {
        (true, _) => None,
        (false, true) => claim.resume_at,
        (false, false) => {
            let failed = usize::try_from(failures).unwrap_or(usize::MAX);
            schedule.next(failed, now, sent.retry_after, rand::random())
        }
    };
    Outcome {
        endpoint: claim.endpoint.key,
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
pub fn forbidden(claim: &Claim, schedule: &Schedule, started_at: Timestamp) -> Outcome {
    let attempt = SentAttempt::unanswered(started_at, 0, AttemptError::ForbiddenAddress);
    let sent = Sent { attempt, is_success: false, retry_after: None };
    outcome(claim, sent, schedule, started_at)
}

/// A claim that is given back.
pub fn given_back(claim: &Claim) -> Outcome {
    Outcome {
        endpoint: claim.endpoint.key,
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
