//! The deliveries to an endpoint: lists, redelivery and replay.

use tonic::Response;

use super::{Webhooks, check_active, delivery_status, messages};
use crate::config::REPLAYED_EVENTS_MAX;
use crate::error::Error;
use crate::pb;
use crate::resource::Resource;
use crate::service::accept::Accepted;
use crate::service::once::{once, once_on};
use crate::service::{changes, next_milli, number, pages};
use crate::store::CursorKey;
use crate::store::webhooks::{Delivery, DeliveryFilter, Webhook};
use crate::subscription::Subscription;

impl Webhooks {
    pub(super) async fn deliveries(
        &self,
        accepted: &Accepted<pb::ListWebhookDeliveriesRequest>,
    ) -> Result<Response<pb::ListWebhookDeliveriesResponse>, Error> {
        let (workspace, message) = (accepted.caller.workspace(), &accepted.message);
        let webhook = self.store.reader(workspace).find_named::<Webhook>(&message.id).await?;
        let filter = DeliveryFilter {
            status: message.status.map(delivery_status),
            event_type: message.event_type.clone(),
            since: message.since.map(next_milli),
            until: message.until.map(next_milli),
        };
        let list = format!("{workspace:?} deliveries to {} {filter:?}", webhook.id);
        let page = pages::asked(message, |text| CursorKey::decode_in(text, &list))?;
        let reader = self.store.reader(workspace);
        let found = reader.list_deliveries(webhook.id, &filter, &page).await?;
        let shown = |delivery| messages::delivery(delivery, None);
        let listed = pages::fitted(&page, found, Delivery::key, |key| key.encode_in(&list), shown)?;
        let (deliveries, meta) = (listed.messages, Some(listed.meta));
        Ok(Response::new(pb::ListWebhookDeliveriesResponse { deliveries, meta }))
    }

    pub(super) async fn delivery(
        &self,
        accepted: &Accepted<pb::GetWebhookDeliveryRequest>,
    ) -> Result<Response<pb::GetWebhookDeliveryResponse>, Error> {
        let (workspace, message) = (accepted.caller.workspace(), &accepted.message);
        let webhook = self.store.reader(workspace).find_named::<Webhook>(&message.id).await?;
        let reader = self.store.reader(workspace);
        let id = delivery_id(&message.delivery_id)?;
        let found = reader.find_delivery(webhook.id, id).await?.ok_or_else(not_found)?;
        let attempts = reader.list_attempts(found.id).await?;
        let delivery = Some(messages::delivery(found, Some(attempts)));
        Ok(Response::new(pb::GetWebhookDeliveryResponse { delivery }))
    }

    pub(super) async fn redeliver(
        &self,
        accepted: &Accepted<pb::RedeliverWebhookDeliveryRequest>,
    ) -> Result<Response<pb::RedeliverWebhookDeliveryResponse>, Error> {
        let message = &accepted.message;
        // Before the change, which has a connection of its own already.
        let ends = self.store.reader(accepted.caller.workspace()).log_ends().await?;
        let id = &message.id;
        let answered = once_on(&self.store, accepted, id, async |tx, webhook: Webhook| {
            let delivery = delivery_id(&message.delivery_id)?;
            let again = tx.redeliver(webhook.id, delivery).await?.ok_or_else(not_found)?;
            check_active(&webhook)?;
            // Looked at last: nothing of this lasts when it is refused.
            if again.sequence <= ends.expired {
                return Err(ends.refusal());
            }
            let shown = messages::delivery(again, None);
            tx.audit(changes::audit(Resource::Delivery, "redeliver", shown.id, None, Some(&shown)));
            Ok(pb::RedeliverWebhookDeliveryResponse { delivery: Some(shown) })
        });
        answered.await
    }

    pub(super) async fn replay(
        &self,
        accepted: &Accepted<pb::ReplayWebhookRequest>,
    ) -> Result<Response<pb::ReplayWebhookResponse>, Error> {
        let (workspace, message) = (accepted.caller.workspace(), &accepted.message);
        let webhook = self.store.reader(workspace).find_named::<Webhook>(&message.id).await?;
        check_active(&webhook)?;
        let reader = self.store.reader(workspace);
        let since = message.since.map(next_milli).unwrap_or_else(|| self.store.now());
        let until = message.until.map_or_else(|| self.store.now().plus_millis(1), next_milli);
        let ends = reader.log_ends().await?;
        let oldest = reader.oldest_event_at(ends).await?;
        if ends.expired > 0 && oldest.is_none_or(|oldest| since < oldest) {
            return Err(ends.refusal());
        }
        let subscription = Subscription::of_endpoint(&webhook.events);
        let most = REPLAYED_EVENTS_MAX + 1;
        let events = reader.list_event_heads(&subscription, since, until, most).await?;
        if events.len() > REPLAYED_EVENTS_MAX {
            let remedy = "since and until enclose more than 100,000 events: replay a shorter time";
            return Err(Error::invalid_field("since", "TOO_MANY_EVENTS", remedy));
        }
        let answered = once(&self.store, accepted, async |tx| {
            // Not for update: many deliveries take a while, in which others write of the endpoint.
            let found = tx.find::<Webhook>(webhook.id).await?;
            let found = found.ok_or_else(|| Resource::Webhook.not_found())?;
            accepted.precondition.hold(found.version)?;
            check_active(&found)?;
            tx.replay(found.id, &events).await?;
            let count = i32::try_from(events.len()).unwrap_or(i32::MAX);
            let replay = pb::WebhookReplay { count };
            tx.audit(changes::audit(Resource::Webhook, "replay", found.id, None, Some(&replay)));
            Ok(pb::ReplayWebhookResponse { replay: Some(replay) })
        });
        answered.await
    }
}

fn not_found() -> Error {
    Resource::Delivery.not_found()
}

fn delivery_id(text: &str) -> Result<i64, Error> {
    number(text).ok_or_else(not_found)
}
