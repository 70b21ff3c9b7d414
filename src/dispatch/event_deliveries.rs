//! The sending of webhooks: their connections, and the keys of their secrets.

use std::sync::Arc;

use bytes::Bytes;

use super::Disable;
use crate::clock::{Clock, Timestamp};
use crate::error::Error;
use crate::event::RecordedEvent;
use crate::store::WorkspaceId;
use crate::store::webhooks::{Claim, Endpoint};
use crate::webhooks;
use crate::webhooks::address::Allowed;
use crate::webhooks::connect::Connector;
use crate::webhooks::sender::{Message, Sender};
use crate::webhooks::signature::secret;
use crate::webhooks::target::Target;
use crate::webhooks::vault::Vault;

/// The sender of webhooks, with its connections and the keys of their secrets.
pub struct EventDeliveries {
    /// Sends one.
    pub sender: Sender,
    /// Keeps the secrets that sign.
    pub vault: Arc<Vault>,
    /// The networks that may be sent to beside public addresses.
    pub allowed: Arc<Allowed>,
    /// The function that disables an endpoint.
    pub disable: Disable,
}

impl EventDeliveries {
    /// Makes the sender by these settings; endpoints are disabled by `disable`. None without a
    /// master key.
    pub fn new(settings: &webhooks::Settings, clock: &Clock, disable: Disable) -> Option<Self> {
        let (allowed, resolver) = (Arc::clone(&settings.allowed), Arc::clone(&settings.resolver));
        let connector = Connector::new(Arc::clone(&allowed), resolver, &settings.roots);
        settings.vault.is_open().then(|| Self {
            sender: Sender::new(connector, clock.clone()),
            vault: Arc::clone(&settings.vault),
            allowed,
            disable,
        })
    }

    /// Returns the message that tells an endpoint of an event at `now`; none where the endpoint's
    /// URL is not allowed any more. `public_id` is the workspace's.
    pub(super) fn message(
        &self,
        claim: &Claim,
        (endpoint, event): (&Endpoint, &RecordedEvent),
        public_id: &str,
        now: Timestamp,
    ) -> Result<Option<Message>, Error> {
        let Ok(target) = Target::parse(&endpoint.url, &self.allowed) else {
            return Ok(None);
        };
        let (workspace, id) = endpoint.key;
        let mut secrets = Vec::new();
        for sealed in &endpoint.secrets {
            if sealed.until.is_none_or(|until| until > now.0) {
                let plain = self.vault.open(&context(workspace, id), &sealed.sealed)?;
                let plain = String::from_utf8(plain).map_err(Error::internal)?;
                let plain =
                    secret(&plain).ok_or_else(|| Error::internal("no secret was sealed"))?;
                secrets.push(plain);
            }
        }
        Ok(Some(Message {
            uri: target.uri,
            secrets,
            event_id: event.id.clone(),
            event_type: event.event_type.clone(),
            delivery: claim.id,
            number: claim.attempt_count + 1,
            body: Bytes::from(event.payload(public_id)),
        }))
    }
}

/// Returns the context to which the secrets of an endpoint are bound.
pub fn context(workspace: WorkspaceId, endpoint: i64) -> String {
    format!("webhook {} {endpoint}", workspace.0)
}
