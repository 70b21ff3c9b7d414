//! WebhookService: the endpoints that get events, their secrets, and their deliveries.
//!
//! Nothing is sent here: what a change leaves in the database is what whoever sends goes by.

mod deliveries;
mod messages;

use std::sync::Arc;

use rest::Merge;
use serde_json::Value;
use tonic::{Request, Response, Status};

use super::events::check_types;
use super::once::{Answer, kept_by_nobody, once_locking, once_on};
use super::pages;
use super::{accept, accept_update, changes, from_number, no_more, stored};
use crate::config::{WEBHOOK_SECRETS_MAX, WEBHOOKS_MAX};
use crate::dispatch::{Disable, context};
use crate::error::{Error, Kind};
use crate::event::Actor;
use crate::event_type::EventType;
use crate::pb;
use crate::resource::Resource;
use crate::store::nouns::Condition;
use crate::store::webhooks::{
    DeliveryStatus, DisabledReason, EndpointKey, STATUS, SealedSecret, Webhook, WebhookStatus,
};
use crate::store::{Store, Tx, WorkspaceId};
use crate::subscription::EVERYTHING;
use crate::webhooks::address::Allowed;
use crate::webhooks::signature::{SECRET_BYTES, secret_text};
use crate::webhooks::target::Target;
use crate::webhooks::vault::{Vault, random};

/// Answers for webhooks.
#[derive(Clone)]
pub struct Webhooks {
    /// The store.
    pub store: Store,
    /// Keeps their secrets.
    pub vault: Arc<Vault>,
    /// The addresses at which endpoints may be beside public ones.
    pub allowed: Arc<Allowed>,
}

/// The time for which older secrets sign beside a new one, unless the caller says otherwise.
const OVERLAP_SECONDS: i32 = 24 * 3600;

from_number! {
    webhook_status -> WebhookStatus,
    delivery_status -> DeliveryStatus,
}

#[tonic::async_trait]
impl pb::webhook_service_server::WebhookService for Webhooks {
    async fn list_webhooks(
        &self,
        request: Request<pb::ListWebhooksRequest>,
    ) -> Result<Response<pb::ListWebhooksResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let status = accepted.message.status.map(stored);
        let list = pages::query::<Webhook>(None, None, [Condition::dimension(&STATUS, status)]);
        let listed = pages::list(&self.store, &accepted, &list, messages::webhook).await?;
        let (webhooks, meta) = (listed.messages, Some(listed.meta));
        Ok(Response::new(pb::ListWebhooksResponse { webhooks, meta }))
    }

    async fn get_webhook(
        &self,
        request: Request<pb::GetWebhookRequest>,
    ) -> Result<Response<pb::GetWebhookResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let reader = self.store.reader(accepted.caller.workspace());
        let webhook = Some(messages::webhook(reader.find_named(&accepted.message.id).await?));
        Ok(Response::new(pb::GetWebhookResponse { webhook }))
    }

    async fn create_webhook(
        &self,
        request: Request<pb::CreateWebhookRequest>,
    ) -> Result<Response<pb::CreateWebhookResponse>, Status> {
        let accepted = accept(request, |message: &pb::CreateWebhookRequest, violations| {
            check_types("events", &message.events, violations);
        })?;
        let message = accepted.message.clone();
        Target::parse(&message.url, &self.allowed)?;
        let workspace = accepted.caller.workspace();
        let answered = once_locking(&self.store, &accepted, async |locking| {
            // First, so that nobody else makes one meanwhile.
            let mut tx = locking.endpoints_changed().await?;
            let id = tx.next_id::<Webhook>().await?;
            if tx.count_webhooks().await? >= WEBHOOKS_MAX {
                return Err(too_many());
            }
            let (secret, sealed) = self.new_secret(workspace, id)?;
            let events = match message.events.is_empty() {
                true => vec![EVERYTHING.to_owned()],
                false => message.events,
            };
            // What tells of the endpoint is the last event that it does not get.
            let from_sequence = tx.last_sequence(1).await?;
            let new = Webhook {
                id,
                url: message.url,
                description: message.description.unwrap_or_default(),
                events,
                status: WebhookStatus::Active,
                disabled_reason: None,
                failing_since: None,
                last_delivery_at: None,
                secrets: vec![sealed],
                from_sequence,
                void_up_to: 0,
                created_at: tx.now(),
                updated_at: tx.now(),
                version: 1,
            };
            let mut made = messages::webhook(tx.insert(new).await?);
            changes::record_created(&mut tx, Resource::Webhook, id, &made);
            made.secret = Some(secret);
            Ok((pb::CreateWebhookResponse { webhook: Some(made) }, tx))
        });
        Ok(kept_by_nobody(answered.await?))
    }

    async fn update_webhook(
        &self,
        request: Request<pb::UpdateWebhookRequest>,
    ) -> Result<Response<pb::UpdateWebhookResponse>, Status> {
        let (accepted, mask) =
            accept_update(request, |message: &pb::UpdateWebhookRequest, violations| {
                check_types("events", &message.events, violations);
            })?;
        let message = &accepted.message;
        if let Some(url) = &message.url {
            Target::parse(url, &self.allowed)?;
        }
        let answered = once_locking(&self.store, &accepted, async |locking| {
            let (before, locking) =
                locking.find_for_update::<Webhook>(&message.id, &accepted.precondition).await?;
            let mut wanted = messages::webhook(before.clone());
            message.merge(&mask, &mut wanted);
            let after = Webhook {
                url: wanted.url,
                description: wanted.description,
                events: wanted.events,
                status: webhook_status(wanted.status),
                ..before.clone()
            };
            if after == before {
                let webhook = Some(messages::webhook(before));
                return Ok((pb::UpdateWebhookResponse { webhook }, locking.done()));
            }
            let mut tx = locking.endpoints_changed().await?;
            let after = change(&mut tx, &before, after, DisabledReason::Manual).await?;
            let webhook = told(&mut tx, EventType::WebhookUpdated, "update", before, after);
            Ok((pb::UpdateWebhookResponse { webhook: Some(webhook) }, tx))
        });
        Ok(answered.await?)
    }

    async fn delete_webhook(
        &self,
        request: Request<pb::DeleteWebhookRequest>,
    ) -> Result<Response<pb::DeleteWebhookResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let id = &accepted.message.id;
        let answered = once_locking(&self.store, &accepted, async |locking| {
            let (before, locking) =
                locking.find_for_update::<Webhook>(id, &accepted.precondition).await?;
            let mut tx = locking.endpoints_changed().await?;
            let was = messages::webhook(before.clone());
            tx.delete_webhook(&before).await?;
            tx.record(changes::created_as(EventType::WebhookDeleted, &was));
            tx.audit(changes::audit(Resource::Webhook, "delete", was.id, Some(&was), None));
            Ok((pb::DeleteWebhookResponse { webhook: Some(was) }, tx))
        });
        Ok(answered.await?)
    }

    async fn rotate_webhook_secret(
        &self,
        request: Request<pb::RotateWebhookSecretRequest>,
    ) -> Result<Response<pb::RotateWebhookSecretResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let workspace = accepted.caller.workspace();
        let overlap = accepted.message.overlap_seconds.unwrap_or(OVERLAP_SECONDS);
        let id = &accepted.message.id;
        let answered = once_locking(&self.store, &accepted, async |locking| {
            let (before, locking) =
                locking.find_for_update::<Webhook>(id, &accepted.precondition).await?;
            let mut tx = locking.endpoints_changed().await?;
            let (secret, sealed) = self.new_secret(workspace, before.id)?;
            let (now, until) = (tx.now().0, tx.now().plus_millis(i64::from(overlap) * 1000).0);
            let mut secrets = vec![sealed];
            secrets.extend(before.secrets.iter().cloned().filter_map(|old| {
                // None signs for longer than it was promised.
                let until = old.until.map_or(until, |promised| promised.min(until));
                (until > now).then_some(SealedSecret { until: Some(until), ..old })
            }));
            secrets.truncate(WEBHOOK_SECRETS_MAX);
            let after = Webhook { secrets, ..before.clone() };
            let after = change(&mut tx, &before, after, DisabledReason::Manual).await?;
            let mut webhook =
                told(&mut tx, EventType::WebhookUpdated, "rotate_secret", before, after);
            webhook.secret = Some(secret);
            Ok((pb::RotateWebhookSecretResponse { webhook: Some(webhook) }, tx))
        });
        Ok(kept_by_nobody(answered.await?))
    }

    async fn test_webhook(
        &self,
        request: Request<pb::TestWebhookRequest>,
    ) -> Result<Response<pb::TestWebhookResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let id = &accepted.message.id;
        let answered = once_on(&self.store, &accepted, id, async |tx, found: Webhook| {
            check_active(&found)?;
            let shown = messages::webhook(found);
            let event_id = tx.record(changes::created_as(EventType::WebhookTest, &shown));
            tx.audit(changes::audit(Resource::Webhook, "test", shown.id, None, Some(&shown)));
            Ok(pb::TestWebhookResponse { test: Some(pb::WebhookTest { event_id }) })
        });
        Ok(answered.await?)
    }

    async fn replay_webhook(
        &self,
        request: Request<pb::ReplayWebhookRequest>,
    ) -> Result<Response<pb::ReplayWebhookResponse>, Status> {
        let accepted = accept(request, no_more)?;
        Ok(self.replay(&accepted).await?)
    }

    async fn list_webhook_deliveries(
        &self,
        request: Request<pb::ListWebhookDeliveriesRequest>,
    ) -> Result<Response<pb::ListWebhookDeliveriesResponse>, Status> {
        let accepted = accept(request, no_more)?;
        Ok(self.deliveries(&accepted).await?)
    }

    async fn get_webhook_delivery(
        &self,
        request: Request<pb::GetWebhookDeliveryRequest>,
    ) -> Result<Response<pb::GetWebhookDeliveryResponse>, Status> {
        let accepted = accept(request, no_more)?;
        Ok(self.delivery(&accepted).await?)
    }

    async fn redeliver_webhook_delivery(
        &self,
        request: Request<pb::RedeliverWebhookDeliveryRequest>,
    ) -> Result<Response<pb::RedeliverWebhookDeliveryResponse>, Status> {
        let accepted = accept(request, no_more)?;
        Ok(self.redeliver(&accepted).await?)
    }
}

impl Webhooks {
    /// A new secret, as its owner gets it and as it is stored.
    fn new_secret(
        &self,
        workspace: WorkspaceId,
        webhook: i64,
    ) -> Result<(String, SealedSecret), Error> {
        let secret = secret_text(&random::<SECRET_BYTES>());
        let sealed = self.vault.seal(&context(workspace, webhook), secret.as_bytes())?;
        Ok((secret, SealedSecret { sealed, until: None }))
    }
}

impl Answer for pb::CreateWebhookResponse {
    fn forget_secrets(&mut self) {
        forget(&mut self.webhook);
    }
}

impl Answer for pb::RotateWebhookSecretResponse {
    fn forget_secrets(&mut self) {
        forget(&mut self.webhook);
    }
}

impl Answer for pb::UpdateWebhookResponse {}
impl Answer for pb::DeleteWebhookResponse {}
impl Answer for pb::TestWebhookResponse {}
impl Answer for pb::ReplayWebhookResponse {}
impl Answer for pb::RedeliverWebhookDeliveryResponse {}

fn forget(webhook: &mut Option<pb::Webhook>) {
    if let Some(webhook) = webhook {
        webhook.secret = None;
    }
}

/// Makes the function that disables endpoints that are gone or have failed for too long.
pub fn disable(store: &Store) -> Disable {
    let store = store.clone();
    Box::new(move |key, reason| {
        let store = store.clone();
        Box::pin(async move { disable_one(&store, key, reason).await })
    })
}

async fn disable_one(
    store: &Store,
    (workspace, id): EndpointKey,
    reason: DisabledReason,
) -> Result<(), Error> {
    let actor = Actor::system("webhooks", "Webhook delivery");
    let locking = store.begin_locking(workspace, actor).await?;
    let (found, locking) = locking.find_all_for_update::<Webhook>(&[id]).await?;
    let found = found.into_iter().next();
    let Some(before) = found.filter(|found| found.status == WebhookStatus::Active) else {
        return Ok(());
    };
    let mut tx = locking.endpoints_changed().await?;
    let wanted = Webhook { status: WebhookStatus::Disabled, ..before.clone() };
    let after = change(&mut tx, &before, wanted, reason).await?;
    told(&mut tx, EventType::WebhookDisabled, "disable", before, after);
    tx.commit().await
}

/// Changes an endpoint, with all that follows from its status; `reason` is why it is disabled, if it
/// is.
async fn change(
    tx: &mut Tx,
    before: &Webhook,
    mut after: Webhook,
    reason: DisabledReason,
) -> Result<Webhook, Error> {
    let disabled = after.status == WebhookStatus::Disabled;
    if after.status != before.status {
        after.disabled_reason = disabled.then_some(reason);
        if disabled {
            tx.void_deliveries(before.id).await?;
            after.void_up_to = tx.last_delivery().await?;
        } else {
            after.failing_since = None;
            after.from_sequence = tx.last_sequence(1).await?;
        }
    }
    tx.update(before, after).await
}

/// Records a change of an endpoint, and shows the endpoint.
fn told(
    tx: &mut Tx,
    event_type: EventType,
    verb: &str,
    before: Webhook,
    after: Webhook,
) -> pb::Webhook {
    let has_new_secret = before.secrets != after.secrets;
    let (was, is) = (messages::webhook(before), messages::webhook(after));
    let mut event = changes::changed(event_type, &was, &is, []);
    if has_new_secret {
        // It is never shown, so it differs in nothing that is.
        event.changed_fields.push("secret".to_owned());
        event.previous.insert("secret".to_owned(), Value::Null);
    }
    tx.record(event);
    tx.audit(changes::audit(Resource::Webhook, verb, is.id, Some(&was), Some(&is)));
    is
}

fn check_active(webhook: &Webhook) -> Result<(), Error> {
    match webhook.status {
        WebhookStatus::Active => Ok(()),
        WebhookStatus::Disabled => {
            let message = "The webhook endpoint is DISABLED, so nothing is sent to it. Change its status to ACTIVE first.";
            Err(Error::new(Kind::WebhookDisabled, message))
        }
    }
}

fn too_many() -> Error {
    let message = format!(
        "The workspace has {WEBHOOKS_MAX} webhook endpoints, which is as many as it may have. Delete one first."
    );
    Error::new(Kind::ResourceLimitReached, message)
}
