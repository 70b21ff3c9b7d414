//! What comes of a claim: when it is tried again, and whether at all.

use std::sync::Arc;

use super::schedule::Schedule;
use super::sender::Sent;
use crate::clock::Timestamp;
use crate::event_type::EventType;
use crate::store::webhooks::{AttemptError, Claim, Due, FanOut, Outcome, SentAttempt, Trigger};

/// The status by which an endpoint says that it is gone for good.
pub const GONE: i32 = 410;

/// The claim with which a delivery was made.
pub fn claimed(of: &FanOut, due: Due, id: i64, token: i64) -> Claim {
    let event = Arc::clone(&of.events[due.event]);
    let is_test = event.event_type == EventType::WebhookTest.name();
    Claim {
        id,
        endpoint: Arc::clone(&of.endpoints[due.endpoint]),
        event,
        token,
        attempt_count: 0,
        failures: 0,
        resume_at: None,
        trigger: if is_test { Trigger::Test } else { Trigger::Schedule },
    }
}

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
    let attempt = SentAttempt {
        started_at,
        duration_ms: 0,
        status_code: None,
        error: Some(AttemptError::ForbiddenAddress),
        response_headers: "{}".to_owned(),
        response_body: String::new(),
    };
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
