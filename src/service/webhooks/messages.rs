//! The translation between the messages of the contract and the endpoints and deliveries of the
//! store.

use crate::pb;
use crate::store::webhooks::{Attempt, Delivery, Webhook};

/// An endpoint as the contract shows it, without its secret.
pub fn webhook(webhook: Webhook) -> pb::Webhook {
    pb::Webhook {
        id: webhook.id,
        url: webhook.url,
        description: webhook.description,
        events: webhook.events,
        status: webhook.status.as_i16().into(),
        disabled_reason: webhook.disabled_reason.map(|reason| reason.as_i16().into()),
        failing_since: webhook.failing_since.map(Into::into),
        last_delivery_at: webhook.last_delivery_at.map(Into::into),
        secret: None,
        created_at: Some(webhook.created_at.into()),
        updated_at: Some(webhook.updated_at.into()),
        version: webhook.version,
    }
}

/// A delivery as the contract shows it, with its attempts where they are asked for.
pub fn delivery(delivery: Delivery, attempts: Option<Vec<Attempt>>) -> pb::WebhookDelivery {
    let attempts = attempts
        .map(|attempts| pb::AttemptList { attempts: attempts.into_iter().map(attempt).collect() });
    pb::WebhookDelivery {
        id: delivery.id,
        endpoint_id: delivery.endpoint_id,
        event_id: delivery.event_id,
        event_type: delivery.event_type,
        sequence: delivery.sequence,
        status: delivery.status.as_i16().into(),
        attempt_count: delivery.attempt_count,
        next_attempt_at: delivery.next_attempt_at.map(Into::into),
        created_at: Some(delivery.created_at.into()),
        attempts,
    }
}

fn attempt(attempt: Attempt) -> pb::DeliveryAttempt {
    pb::DeliveryAttempt {
        number: attempt.number,
        started_at: Some(attempt.started_at.into()),
        duration_ms: attempt.duration_ms,
        status_code: attempt.status_code,
        error: attempt.error.map(|error| error.as_i16().into()),
        response_headers: attempt.response_headers,
        response_body: attempt.response_body,
        trigger: attempt.trigger.as_i16().into(),
    }
}
