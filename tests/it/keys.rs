//! The life of a key through the API: made, looked at, changed, rotated, revoked.

use http::Method;
use orqit::pb;
use orqit::pb::key_service_client::KeyServiceClient;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::grpc::assert_refused;
use crate::support::rest::{Answer, Rest, send};
use crate::support::server::{Orqit, with_key};

const HOUR: i64 = 3600 * 1000;

pub async fn delete(rest: &Rest, path: &str) -> Answer {
    send(rest.request(Method::DELETE, path)).await
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text: {value}")).to_owned()
}

/// Makes a key with these scopes as `by`; its id and the key.
async fn made(by: &Rest, scopes: &[&str]) -> (String, String) {
    let made = by.post("/keys", json!({"name": "Sales portal", "scopes": scopes})).await.data(201);
    (text(&made["id"]), text(&made["key"]))
}

#[tokio::test]
async fn a_key_is_made_shown_once_and_does_what_it_may() {
    let orqit = Orqit::start().await;
    let admin = orqit.rest_as(&["admin"]).await;
    let body = json!({
        "name": "Sales portal", "description": "Contact form",
        "scopes": ["create-ticket"], "expiresAt": "2026-02-01T00:00:00Z",
    });
    let answer = admin.post("/keys", body).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let key = answer.data(201);
    let whole = text(&key["key"]);
    let expected = json!({
        "id": &whole[4..12], "name": "Sales portal", "description": "Contact form",
        "scopes": ["tickets:create"], "requestedScopes": ["create-ticket"],
        "limits": {"perMinute": 60, "groupPerMinute": 30},
        "expiresAt": "2026-02-01T00:00:00.000Z", "status": "ACTIVE",
        "createdAt": "2026-01-01T00:00:00.000Z", "createdBy": 2, "lastFour": &whole[45..],
        "workspaceId": orqit.workspace.public_id, "lastUsedAt": null, "lastUsedIp": null,
        "revokedAt": null, "rotatedFrom": null, "rotatedTo": null, "rateLimits": [],
        "key": whole, "version": 1, "updatedAt": "2026-01-01T00:00:00.000Z",
    });
    assert_eq!(key, expected);

    let portal = orqit.rest(&whole);
    portal.post("/tickets", crate::support::requests::vpn()).await.data(201);
    let refused = portal.get("/tickets").await.error(403, "INSUFFICIENT_SCOPE");
    assert_eq!(refused["requiredScope"], "tickets:read");

    let shown = admin.get(&format!("/keys/{}", &whole[4..12])).await;
    assert!(!String::from_utf8_lossy(&shown.body).contains(&whole[13..]));
    assert_eq!(shown.data(200)["key"], Value::Null);
    let listed = admin.get("/keys").await;
    assert!(!String::from_utf8_lossy(&listed.body).contains(&whole[13..]));
    assert_eq!(listed.data(200)[0]["id"], whole[4..12]);
    assert_eq!(listed.json()["meta"]["totalCount"], 2);
}

#[tokio::test]
async fn keys_are_listed_newest_first_by_page_cursor_and_status() {
    let orqit = Orqit::start().await;
    let admin = orqit.rest_as(&["admin"]).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.insert(0, made(&admin, &["tickets:read"]).await.0);
    }
    delete(&admin, &format!("/keys/{}", ids[1])).await.data(200);
    let listed = |answer: &Answer| -> Vec<String> {
        answer.data(200).as_array().expect("a list").iter().map(|key| text(&key["id"])).collect()
    };
    let first = admin.get("/keys?perPage=3").await;
    assert_eq!(listed(&first), ids[..3]);
    let cursor = text(&first.json()["meta"]["nextCursor"]);
    let rest = admin.get(&format!("/keys?perPage=3&cursor={cursor}")).await;
    assert_eq!(listed(&rest)[0], ids[3]);
    assert_eq!(
        rest.json()["meta"],
        json!({
            "page": null, "perPage": 3, "totalCount": null, "hasMore": false, "nextCursor": null, "totalIsBound": false,
        })
    );
    assert_eq!(listed(&admin.get("/keys?status=REVOKED").await), [ids[1].clone()]);
    let active = admin.get("/keys?status=ACTIVE").await;
    assert_eq!(active.json()["meta"]["totalCount"], 4);
    let other = admin.get(&format!("/keys?status=ACTIVE&cursor={cursor}")).await;
    other.assert_wrong(
        "a cursor of another list",
        "VALIDATION_FAILED",
        &[("cursor", "INVALID_CURSOR")],
    );
    let both = admin.get(&format!("/keys?page=1&cursor={cursor}")).await;
    assert_eq!(both.status, 400);
}

#[tokio::test]
async fn a_revoked_key_is_refused_on_the_next_request_over_both_protocols() {
    let orqit = Orqit::start().await;
    let admin = orqit.rest_as(&["admin"]).await;
    let (id, key) = made(&admin, &["tickets:read"]).await;
    let portal = orqit.rest(&key);
    portal.get("/tickets").await.data(200);
    // A connection that is open already.
    let mut tickets = orqit.tickets().await;
    let list = || with_key(&key, pb::ListTicketsRequest::default());
    tickets.list_tickets(list()).await.expect("let in");

    let revoked = delete(&admin, &format!("/keys/{id}")).await.data(200);
    assert_eq!(
        (&revoked["status"], &revoked["revokedAt"]),
        (&json!("REVOKED"), &json!("2026-01-01T00:00:00.000Z"))
    );
    portal.get("/tickets").await.error(401, "INVALID_API_KEY");
    let status = tickets.list_tickets(list()).await.expect_err("refused");
    assert_refused(&status, Code::Unauthenticated, "INVALID_API_KEY");
    // It may be repeated, and tells of nothing new.
    let events = orqit.events().await.len();
    assert_eq!(delete(&admin, &format!("/keys/{id}")).await.data(200), revoked);
    assert_eq!(orqit.events().await.len(), events);
    delete(&admin, "/keys/aaaaaaaa").await.error(404, "API_KEY_NOT_FOUND");
}

#[tokio::test]
async fn a_key_is_narrowed_from_the_next_request_on_and_never_widened() {
    let orqit = Orqit::start().await;
    let admin = orqit.rest_as(&["admin"]).await;
    let (id, key) = made(&admin, &["tickets:write", "tickets:read"]).await;
    let path = format!("/keys/{id}");
    let portal = orqit.rest(&key);
    let ticket = portal.post("/tickets", crate::support::requests::vpn()).await.data(201);
    let narrowed =
        json!({"name": "Portal", "scopes": ["ticket-index"], "expiresAt": "2026-01-02T00:00:00Z"});
    let changed = admin.patch(&path, narrowed).await.data(200);
    assert_eq!(changed["scopes"], json!(["tickets:read"]));
    assert_eq!(changed["requestedScopes"], json!(["ticket-index"]));
    assert_eq!(changed["name"], "Portal");
    portal.get(&format!("/tickets/{}", ticket["id"])).await.data(200);
    portal.post("/tickets", crate::support::requests::vpn()).await.error(403, "INSUFFICIENT_SCOPE");

    for (body, field) in [
        (json!({"scopes": ["tickets:read", "tickets:create"]}), "scopes"),
        (json!({"expiresAt": "2026-01-03T00:00:00Z"}), "expiresAt"),
        (json!({"expiresAt": null}), "expiresAt"),
    ] {
        let refused = admin.patch(&path, body.clone()).await;
        refused.assert_wrong(&body.to_string(), "VALIDATION_FAILED", &[(field, "NOT_NARROWER")]);
    }
    for (body, field, code) in [
        (json!({"expiresAt": "2025-12-31T00:00:00Z"}), "expiresAt", "OUT_OF_RANGE"),
        (json!({"scopes": ["tickets:delete"]}), "scopes[0]", "INVALID_SCOPE"),
        (json!({"status": "REVOKED"}), "status", "READ_ONLY"),
    ] {
        let refused = admin.patch(&path, body.clone()).await;
        refused.assert_wrong(&body.to_string(), "VALIDATION_FAILED", &[(field, code)]);
    }
    orqit.clock.advance_millis(24 * HOUR);
    portal.get("/tickets").await.error(401, "API_KEY_EXPIRED");
    assert_eq!(admin.get(&path).await.data(200)["status"], "EXPIRED");
}

#[tokio::test]
async fn rotation_hands_over_at_once_or_after_its_grace() {
    let orqit = Orqit::start().await;
    let admin = orqit.rest_as(&["admin"]).await;
    let (first, key) = made(&admin, &["tickets:read"]).await;
    let grace = json!({"gracePeriodSeconds": 3600});
    let answer = admin.post(&format!("/keys/{first}/rotate"), grace).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let second = answer.data(201);
    assert_eq!(
        (&second["rotatedFrom"], &second["scopes"]),
        (&json!(first), &json!(["tickets:read"]))
    );
    let successor = text(&second["key"]);
    for works in [&key, &successor] {
        orqit.rest(works).get("/tickets").await.data(200);
    }
    let old = admin.get(&format!("/keys/{first}")).await.data(200);
    assert_eq!(
        (&old["expiresAt"], &old["rotatedTo"]),
        (&json!("2026-01-01T01:00:00.000Z"), &second["id"])
    );
    admin.post(&format!("/keys/{first}/rotate"), json!({})).await.error(409, "ALREADY_EXISTS");

    // The successor is rotated: an older grace ends, and without one of its own it stops at once.
    let path = format!("/keys/{}/rotate", text(&second["id"]));
    let third = text(&admin.post(&path, json!({})).await.data(201)["key"]);
    for stopped in [&key, &successor] {
        orqit.rest(stopped).get("/tickets").await.error(401, "API_KEY_EXPIRED");
    }
    orqit.rest(&third).get("/tickets").await.data(200);

    let (revoked, _) = made(&admin, &["tickets:read"]).await;
    delete(&admin, &format!("/keys/{revoked}")).await.data(200);
    let refused = admin.post(&format!("/keys/{revoked}/rotate"), json!({})).await;
    assert_eq!(refused.error(409, "INVALID_STATUS_TRANSITION")["from"], "REVOKED");
    for wrong in [-1, 604_801] {
        let body = json!({"gracePeriodSeconds": wrong});
        let refused = admin.post(&format!("/keys/{revoked}/rotate"), body).await;
        refused.assert_wrong(
            "grace",
            "VALIDATION_FAILED",
            &[("gracePeriodSeconds", "OUT_OF_RANGE")],
        );
    }
}

#[tokio::test]
async fn a_grace_ends_by_itself_and_never_after_the_keys_own_expiry() {
    let orqit = Orqit::start().await;
    let admin = orqit.rest_as(&["admin"]).await;
    let body =
        json!({"name": "Short", "scopes": ["tickets:read"], "expiresAt": "2026-01-01T00:30:00Z"});
    let short = admin.post("/keys", body).await.data(201);
    let path = format!("/keys/{}", text(&short["id"]));
    let new =
        admin.post(&format!("{path}/rotate"), json!({"gracePeriodSeconds": 7200})).await.data(201);
    assert_eq!(new["expiresAt"], "2026-01-01T00:30:00.000Z", "the successor keeps the expiry");
    assert_eq!(admin.get(&path).await.data(200)["expiresAt"], "2026-01-01T00:30:00.000Z");
    let (id, key) = made(&admin, &["tickets:read"]).await;
    admin.post(&format!("/keys/{id}/rotate"), json!({"gracePeriodSeconds": 60})).await.data(201);
    orqit.clock.advance_millis(59_999);
    orqit.rest(&key).get("/tickets").await.data(200);
    orqit.clock.advance_millis(1);
    orqit.rest(&key).get("/tickets").await.error(401, "API_KEY_EXPIRED");
}

#[tokio::test]
async fn every_change_of_a_key_is_told_as_an_event_without_its_secret() {
    let orqit = Orqit::start().await;
    let admin = orqit.rest_as(&["admin"]).await;
    let (id, key) = made(&admin, &["tickets:read"]).await;
    let new = admin.post(&format!("/keys/{id}/rotate"), json!({})).await.data(201);
    delete(&admin, &format!("/keys/{}", text(&new["id"]))).await.data(200);
    let payloads = orqit.payloads().await;
    let types: Vec<_> = payloads.iter().map(|payload| text(&payload["type"])).collect();
    assert_eq!(types, ["api_key.created", "api_key.rotated", "api_key.created", "api_key.revoked"]);
    assert_eq!(
        payloads[1]["data"]["previous"],
        json!({"expiresAt": null, "rotatedTo": null, "status": "ACTIVE"})
    );
    let all = format!("{payloads:?}");
    assert!(!all.contains(&key[13..]) && !all.contains(&text(&new["key"])[13..]));
}

#[tokio::test]
async fn the_same_is_answered_over_grpc() {
    let orqit = Orqit::start().await;
    let admin = orqit.key(&["admin"]).await;
    let mut keys = KeyServiceClient::new(orqit.channel().await);
    let create = pb::CreateKeyRequest {
        name: "By gRPC".to_owned(),
        scopes: vec!["read-only".to_owned()],
        ..Default::default()
    };
    let made = keys.create_key(with_key(&admin, create)).await.expect("made").into_inner();
    let made = made.key.expect("a key");
    let whole = made.key.expect("shown");
    assert_eq!(orqit.rest(&whole).get("/keys/self").await.data(200)["name"], "By gRPC");
    let update = pb::UpdateKeyRequest {
        id: made.id.clone(),
        scopes: vec!["tickets:read".to_owned()],
        ..Default::default()
    };
    let updated = keys.update_key(with_key(&admin, update)).await.expect("narrowed").into_inner();
    assert_eq!(updated.key.expect("a key").scopes, ["tickets:read"]);
    let revoke = pb::RevokeKeyRequest { id: made.id.clone() };
    keys.revoke_key(with_key(&admin, revoke)).await.expect("revoked");
    let status = keys.get_self(with_key(&whole, pb::GetSelfRequest {})).await.expect_err("refused");
    assert_refused(&status, Code::Unauthenticated, "INVALID_API_KEY");
    let get = pb::GetKeyRequest { id: "aaaaaaaa".to_owned() };
    let status = keys.get_key(with_key(&admin, get)).await.expect_err("none");
    assert_refused(&status, Code::NotFound, "API_KEY_NOT_FOUND");
}

#[tokio::test]
async fn a_change_of_nothing_is_a_success_without_effect() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let made = rest.post("/keys", json!({"name": "Portal", "scopes": ["tickets:read"]})).await;
    let id = made.data(201)["id"].as_str().expect("an id").to_owned();
    let before = rest.get(&format!("/keys/{id}")).await.data(200);
    let events = orqit.events().await.len();
    for path in [format!("/keys/{id}"), "/workspace".to_owned()] {
        rest.patch(&path, json!({})).await.data(200);
    }
    assert_eq!(rest.get(&format!("/keys/{id}")).await.data(200), before);
    assert_eq!(orqit.events().await.len(), events);
}
