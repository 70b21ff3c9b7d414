//! Webhook endpoints: registered, changed, disabled, deleted, and their secrets.

use http::Method;
use orqit::pb;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::grpc::assert_refused;
use crate::support::rest::{Rest, send};
use crate::support::server::{Options, Orqit, Webhooks, with_key};

const URL: &str = "https://desk.example/hooks";

async fn register(rest: &Rest, body: Value) -> Value {
    rest.post("/webhooks", body).await.data(201)
}

async fn delete(rest: &Rest, path: &str) -> crate::support::rest::Answer {
    send(rest.request(Method::DELETE, path)).await
}

#[tokio::test]
async fn an_endpoint_is_registered_changed_and_deleted() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["webhooks:manage"]).await;
    let answer = rest.post("/webhooks", json!({"url": URL})).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let mut made = answer.data(201);
    let secret = made["secret"].take();
    let secret =
        secret.as_str().and_then(|secret| secret.strip_prefix("whsec_")).expect("a secret");
    let expected = json!({
        "id": 1,
        "url": URL,
        "description": "",
        "events": ["*"],
        "status": "ACTIVE",
        "disabledReason": null,
        "failingSince": null,
        "lastDeliveryAt": null,
        "secret": null,
        "createdAt": "2026-01-01T00:00:00.000Z",
        "updatedAt": "2026-01-01T00:00:00.000Z",
        "version": 1,
    });
    assert_eq!(made, expected);
    assert_eq!(secret.len(), 44, "32 bytes as base64");
    assert_eq!(rest.get("/webhooks/1").await.data(200), expected);

    let change = json!({"events": ["ticket.*", "asset.assigned"], "description": "Chat"});
    let changed = rest.patch("/webhooks/1", change).await.data(200);
    assert_eq!((&changed["version"], &changed["description"]), (&json!(2), &json!("Chat")));
    let same = rest.patch("/webhooks/1", json!({"description": "Chat"})).await.data(200);
    assert_eq!(same["version"], 2);
    let request = rest.request(Method::PATCH, "/webhooks/1").header("If-Match", "\"1\"");
    send(request.json(&json!({"description": "x"}))).await.error(412, "VERSION_CONFLICT");
    let off = rest.patch("/webhooks/1", json!({"status": "DISABLED"})).await.data(200);
    assert_eq!(off["disabledReason"], "MANUAL");
    let on = rest.patch("/webhooks/1", json!({"status": "ACTIVE"})).await.data(200);
    assert_eq!((&on["status"], &on["disabledReason"]), (&json!("ACTIVE"), &Value::Null));

    register(&rest, json!({"url": URL})).await;
    let listed = rest.get("/webhooks").await;
    assert_eq!(listed.json()["meta"]["totalCount"], 2);
    assert_eq!(listed.data(200)[0]["id"], 2);
    assert_eq!(rest.get("/webhooks?status=DISABLED").await.json()["meta"]["totalCount"], 0);
    assert_eq!(delete(&rest, "/webhooks/1").await.data(200), on);
    rest.get("/webhooks/1").await.error(404, "WEBHOOK_NOT_FOUND");
    delete(&rest, "/webhooks/1").await.error(404, "WEBHOOK_NOT_FOUND");
    assert_eq!(rest.get("/webhooks").await.json()["meta"]["totalCount"], 1);

    let types: Vec<_> = orqit.events().await.into_iter().map(|it| it.event_type).collect();
    let updated = "webhook.updated";
    let created = "webhook.created";
    let expected = [created, updated, updated, updated, created, "webhook.deleted"];
    assert_eq!(types, expected);
    let log = orqit.rest_as(&["audit:read"]).await;
    let log = log.get("/audit-logs?resourceType=webhook").await.data(200);
    assert_eq!(log.as_array().expect("a list").len(), 6);
    assert!(!log.to_string().contains(secret));
}

#[tokio::test]
async fn a_url_that_nothing_may_be_sent_to_is_refused() {
    let webhooks = Webhooks { allowed: Vec::new(), ..Webhooks::default() };
    let orqit = Orqit::start_with(Options { webhooks, ..Options::default() }).await;
    let rest = orqit.rest_as(&["webhooks:manage"]).await;
    for url in ["http://desk.example/", "https://127.0.0.1/", "https://0x7f.1/", "https://[::1]/"] {
        let refused = rest.post("/webhooks", json!({"url": url})).await;
        refused.error(400, "WEBHOOK_URL_FORBIDDEN");
        assert_eq!(refused.wrong_fields(), ["url"], "{url}");
    }
    for url in ["", "desk.example", "https://", "https://desk.example/#x"] {
        let refused = rest.post("/webhooks", json!({"url": url})).await;
        refused.error(400, "VALIDATION_FAILED");
        assert_eq!(refused.wrong_fields(), ["url"], "{url}");
    }
    register(&rest, json!({"url": URL})).await;
    let refused = rest.patch("/webhooks/1", json!({"url": "https://10.0.0.1/"})).await;
    refused.error(400, "WEBHOOK_URL_FORBIDDEN");
    let refused = rest.post("/webhooks", json!({"url": URL, "events": ["ticket.gone", "*"]})).await;
    assert_eq!(refused.wrong_fields(), ["events[0]"]);
    let refused = rest.patch("/webhooks/1", json!({"events": [], "secret": "x"})).await;
    assert_eq!(refused.wrong_fields(), ["secret", "events"]);
    let key = orqit.key(&["webhooks:manage"]).await;
    let mut grpc = pb::webhook_service_client::WebhookServiceClient::new(orqit.channel().await);
    let new =
        pb::CreateWebhookRequest { url: "https://10.0.0.1/".to_owned(), ..Default::default() };
    let status = grpc.create_webhook(with_key(&key, new)).await.expect_err("forbidden");
    assert_refused(&status, Code::InvalidArgument, "WEBHOOK_URL_FORBIDDEN");
}

#[tokio::test]
async fn a_workspace_has_fifty_endpoints_at_most() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["webhooks:manage"]).await;
    for _ in 0..49 {
        register(&rest, json!({"url": URL})).await;
    }
    // Two at once, for one place.
    let (one, other) = tokio::join!(
        rest.post("/webhooks", json!({"url": URL})),
        rest.post("/webhooks", json!({"url": URL})),
    );
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    rest.post("/webhooks", json!({"url": URL})).await.error(409, "RESOURCE_LIMIT_REACHED");
    delete(&rest, "/webhooks/7").await.data(200);
    register(&rest, json!({"url": URL})).await;
}

#[tokio::test]
async fn a_secret_is_told_once_and_stored_encrypted() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["webhooks:manage"]).await;
    let request = rest.request(Method::POST, "/webhooks").header("Idempotency-Key", "1");
    let request = request.json(&json!({"url": URL}));
    let again = request.try_clone().expect("a request");
    let first = send(request).await.data(201)["secret"].clone();
    assert!(first.is_string());
    assert_eq!(send(again).await.data(201)["secret"], Value::Null);
    let rotated = rest.post("/webhooks/1/rotate-secret", json!({"overlapSeconds": 60})).await;
    assert_eq!(rotated.header("cache-control"), Some("no-store"));
    let second = rotated.data(200)["secret"].clone();
    assert!(second.is_string() && second != first);
    let refused = rest.post("/webhooks/1/rotate-secret", json!({"overlapSeconds": 604_801})).await;
    assert_eq!(refused.wrong_fields(), ["overlapSeconds"]);
    let event = orqit.payloads().await.pop().expect("an event");
    assert_eq!(event["data"]["changedFields"], json!(["secret"]));
    let stored = orqit.store.reader(orqit.workspace.id);
    let stored = stored.find::<orqit::store::webhooks::Webhook>(1).await.expect("read");
    let stored = format!("{stored:?}");
    for secret in [first, second] {
        let secret = secret.as_str().expect("text").trim_start_matches("whsec_").to_owned();
        assert!(!stored.contains(&secret), "{stored}");
    }
}

#[tokio::test]
async fn without_a_master_key_secrets_are_neither_made_nor_used() {
    let webhooks = Webhooks { has_key: false, ..Webhooks::default() };
    let orqit = Orqit::start_with(Options { webhooks, ..Options::default() }).await;
    let rest = orqit.rest_as(&["webhooks:manage"]).await;
    let refused = rest.post("/webhooks", json!({"url": URL})).await;
    let message = refused.error(503, "SERVICE_UNAVAILABLE")["message"].clone();
    assert!(message.as_str().expect("text").contains("ORQIT_MASTER_KEY"), "{message}");
}

/// Changes of endpoints and of everything else at the same moment: none waits for another crosswise,
/// which would end in a refusal after seconds.
#[tokio::test(flavor = "multi_thread")]
async fn endpoints_change_at_once_and_nobody_is_refused() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    for _ in 0..3 {
        register(&rest, json!({"url": URL})).await;
    }
    let mut changing = tokio::task::JoinSet::new();
    for worker in 0..12 {
        let rest = orqit.rest(&orqit.key(&["admin"]).await);
        changing.spawn(async move {
            for round in 0..12 {
                let hook = format!("/webhooks/{}", worker % 3 + 1);
                match worker / 3 {
                    0 => {
                        let made = register(&rest, json!({"url": URL})).await;
                        delete(&rest, &format!("/webhooks/{}", made["id"])).await.data(200);
                    }
                    1 => {
                        let change = json!({"description": format!("{worker} {round}")});
                        rest.patch(&hook, change).await.data(200);
                        let status = if round % 2 == 0 { "DISABLED" } else { "ACTIVE" };
                        rest.patch(&hook, json!({"status": status})).await.data(200);
                    }
                    2 => {
                        let replay = json!({"since": "2026-01-01T00:00:00Z"});
                        let replayed = rest.post(&format!("{hook}/replay"), replay).await;
                        assert!([202, 409].contains(&replayed.status.as_u16()), "{replayed:?}");
                        rest.post(&format!("{hook}/rotate-secret"), json!({})).await.data(200);
                    }
                    _ => {
                        rest.post("/tickets", crate::support::requests::vpn()).await.data(201);
                    }
                }
            }
        });
    }
    while let Some(changed) = changing.join_next().await {
        changed.expect("no refusal");
    }
}
