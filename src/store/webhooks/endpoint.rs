//! Endpoints as they are sent to.

use super::{EndpointKey, SealedSecret, WebhookStatus};
use crate::error::Error;
use crate::event::RecordedEvent;
use crate::event_type::EventType;
use crate::store::row::Row;
use crate::store::{WorkspaceId, from_json};
use crate::subscription::Subscription;

/// An endpoint, as it is sent to.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The workspace and the id.
    pub key: EndpointKey,
    /// The URL.
    pub url: String,
    /// The secrets that sign.
    pub secrets: Vec<SealedSecret>,
    /// The subscription.
    subscription: Subscription,
    pub(super) from_sequence: i64,
}

impl Endpoint {
    pub(super) fn wants(&self, event: &RecordedEvent) -> bool {
        if event.sequence <= self.from_sequence {
            return false;
        }
        if event.event_type == EventType::WebhookTest.name() {
            // A test is for the endpoint that it shows, whatever that subscribes to.
            return event.shown_id() == Some(self.key.1);
        }
        self.subscription.matches(&event.topics)
    }
}

/// The columns that [`endpoint`] takes.
pub(super) const ENDPOINT_COLUMNS: &str =
    "workspace_id, id, url, events, secrets, status, from_sequence, void_up_to";

/// An endpoint as it is stored.
pub(super) struct StoredEndpoint {
    pub(super) endpoint: Endpoint,
    pub(super) is_active: bool,
    pub(super) void_up_to: i64,
}

pub(super) fn endpoint(row: &Row<'_>) -> Result<StoredEndpoint, Error> {
    let events: Vec<String> = from_json(&row.get::<String>(3)?)?;
    Ok(StoredEndpoint {
        endpoint: Endpoint {
            key: (WorkspaceId(row.get(0)?), row.get(1)?),
            url: row.get(2)?,
            subscription: Subscription::of_endpoint(&events),
            secrets: from_json(&row.get::<String>(4)?)?,
            from_sequence: row.get(6)?,
        },
        is_active: row.get::<i16>(5)? == WebhookStatus::Active.as_i16(),
        void_up_to: row.get(7)?,
    })
}
