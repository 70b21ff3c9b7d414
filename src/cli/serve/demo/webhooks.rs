//! The webhooks of the demo: two endpoints at an address that nobody has, which show how deliveries
//! fail.

use std::sync::Arc;

use super::{by, refused};
use crate::auth::caller::Caller;
use crate::error::Error;
use crate::pb;
use crate::pb::webhook_service_server::WebhookService;
use crate::service::webhooks::Webhooks;
use crate::store::Store;
use crate::webhooks::Settings;

/// The endpoints: description and subscription of each.
const ENDPOINTS: [(&str, &str); 2] =
    [("Chat of the on-call team", "*"), ("Old inventory, to be switched off", "asset.*")];

/// Loads the endpoints.
pub async fn load(store: &Store, settings: &Settings, caller: &Arc<Caller>) -> Result<(), Error> {
    let webhooks = Webhooks {
        store: store.clone(),
        vault: Arc::clone(&settings.vault),
        allowed: Arc::clone(&settings.allowed),
    };
    if !settings.vault.is_open() {
        // On PostgreSQL without a key there is a demo all the same.
        return Ok(());
    }
    for (number, (description, events)) in (1..).zip(ENDPOINTS) {
        let new = pb::CreateWebhookRequest {
            url: format!("https://desk.example/hooks/{number}"),
            description: Some(description.to_owned()),
            events: vec![events.to_owned()],
        };
        webhooks.create_webhook(by(caller, new)).await.map_err(refused)?;
    }
    Ok(())
}
