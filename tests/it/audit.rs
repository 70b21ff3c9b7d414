//! The audit log, the settings of a workspace, and its users: who changed what, and who tried to.

use orqit::event::Actor;
use orqit::preconditions::Precondition;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::keys::delete;
use crate::support::rest::Rest;
use crate::support::server::Orqit;

async fn entries(rest: &Rest, query: &str) -> Vec<Value> {
    rest.get(&format!("/audit-logs{query}")).await.data(200).as_array().expect("a list").clone()
}

#[tokio::test]
async fn every_change_of_a_key_is_in_the_log_with_before_and_after() {
    let orqit = Orqit::start().await;
    let admin = orqit.rest_as(&["admin"]).await;
    let made = admin.post("/keys", json!({"name": "Portal", "scopes": ["read-only"]})).await;
    let request_id = made.header("x-request-id").expect("an id").to_owned();
    let made = made.data(201);
    let (id, secret) = (made["id"].as_str().expect("text"), made["key"].as_str().expect("text"));
    admin.patch(&format!("/keys/{id}"), json!({"scopes": ["kb:read"]})).await.data(200);
    delete(&admin, &format!("/keys/{id}")).await.data(200);
    let log = entries(&admin, &format!("?resourceType=api_key&resourceId={id}")).await;
    let actions: Vec<_> = log.iter().map(|entry| entry["action"].as_str().expect("text")).collect();
    assert_eq!(actions, ["api_key.revoke", "api_key.update", "api_key.create"]);
    assert_eq!(log[2]["requestId"], json!(request_id));
    assert_eq!((&log[2]["before"], &log[2]["after"]["name"]), (&Value::Null, &json!("Portal")));
    assert_eq!(log[2]["clientIp"], "127.0.0.1");
    assert_eq!(log[2]["actor"]["type"], "KEY");
    assert_eq!(log[1]["before"]["scopes"].as_array().expect("scopes").len(), 5);
    assert_eq!(log[1]["after"]["scopes"], json!(["kb:read"]));
    assert!(log.iter().all(|entry| entry["outcome"] == "SUCCESS"));
    assert!(!format!("{log:?}").contains(&secret[13..]));
    // Another workspace sees nothing of it.
    let other = orqit.workspace("other").await;
    let stranger = orqit.rest(&orqit.key_of(&other, &["admin"]).await);
    assert_eq!(
        entries(&stranger, &format!("?resourceType=api_key&resourceId={id}")).await,
        [] as [Value; 0]
    );
}

#[tokio::test]
async fn a_rotation_is_in_the_log_of_both_its_keys() {
    let orqit = Orqit::start().await;
    let admin = orqit.rest_as(&["admin"]).await;
    let key = json!({"name": "Portal", "scopes": ["tickets:read"]});
    let old = admin.post("/keys", key).await.data(201);
    let rotate = format!("/keys/{}/rotate", old["id"].as_str().expect("text"));
    let new = admin.post(&rotate, json!({"gracePeriodSeconds": 60})).await.data(201);
    let log = async |key: &Value| {
        let id = key["id"].as_str().expect("text");
        entries(&admin, &format!("?resourceType=api_key&resourceId={id}")).await
    };
    let log_of_old = log(&old).await;
    assert_eq!(log_of_old[0]["action"], "api_key.rotate");
    let expiries = ["before", "after"].map(|side| log_of_old[0][side]["expiresAt"].is_null());
    assert_eq!(expiries, [true, false]);
    assert_eq!(log_of_old[0]["after"]["rotatedTo"], new["id"]);
    let log_of_new = log(&new).await;
    assert_eq!(log_of_new.len(), 1, "{log_of_new:?}");
    assert_eq!(log_of_new[0]["action"], "api_key.create");
    assert_eq!(log_of_new[0]["after"]["rotatedFrom"], old["id"]);
    assert_eq!(log_of_new[0]["after"]["key"], Value::Null);
}

#[tokio::test]
async fn every_denied_attempt_to_manage_keys_is_in_the_log() {
    let orqit = Orqit::start().await;
    let admin = orqit.rest_as(&["admin"]).await;
    let reader = orqit.rest_as(&["tickets:read"]).await;
    let manager = orqit.rest_as(&["keys:manage"]).await;
    reader.get("/keys").await.error(403, "INSUFFICIENT_SCOPE");
    delete(&reader, "/keys/aaaaaaaa").await.error(403, "INSUFFICIENT_SCOPE");
    manager
        .post("/keys", json!({"name": "X", "scopes": ["admin"]}))
        .await
        .error(403, "INSUFFICIENT_SCOPE");
    admin.patch("/workspace", json!({"keyCreationsPerHour": 0})).await.data(200);
    manager
        .post("/keys", json!({"name": "X", "scopes": ["keys:manage"]}))
        .await
        .error(429, "API_KEY_CREATION_LIMITED");
    // What is no attempt of this kind, and what is no denial, is not there.
    reader.get("/audit-logs").await.error(403, "INSUFFICIENT_SCOPE");
    manager.post("/keys", json!({})).await;
    delete(&manager, "/keys/aaaaaaaa").await.error(404, "API_KEY_NOT_FOUND");
    let log = entries(&admin, "?resourceType=api_key").await;
    let told: Vec<_> = log
        .iter()
        .map(|entry| {
            (entry["action"].as_str(), entry["reason"].as_str(), entry["outcome"].as_str())
        })
        .collect();
    let denied = |action, reason| (Some(action), Some(reason), Some("DENIED"));
    assert_eq!(
        told,
        [
            denied("api_key.create", "API_KEY_CREATION_LIMITED"),
            denied("api_key.create", "INSUFFICIENT_SCOPE"),
            denied("api_key.revoke", "INSUFFICIENT_SCOPE"),
            denied("api_key.list", "INSUFFICIENT_SCOPE"),
        ]
    );
    assert_eq!(log[2]["resourceId"], "aaaaaaaa");
    for entry in &log {
        assert_eq!(entry["clientIp"], "127.0.0.1", "{entry}");
        assert!(entry["requestId"].as_str().is_some_and(|id| id.starts_with("req_")), "{entry}");
    }
}

#[tokio::test]
async fn a_denial_names_what_is_in_the_way_and_only_what_can_be_a_key() {
    let orqit = Orqit::start().await;
    let admin = orqit.rest_as(&["admin"]).await;
    let key = orqit.key(&["keys:manage"]).await;
    let (manager, reader) = (orqit.rest(&key), orqit.rest_as(&["tickets:read"]).await);
    let new = || json!({"name": "X", "scopes": ["keys:manage"]});
    admin.patch("/workspace", json!({"maxActiveKeys": 3})).await.data(200);
    manager.post("/keys", new()).await.error(400, "API_KEY_LIMIT_REACHED");
    let switch = |on: bool| json!({"capabilities": {"canManageApiKeys": on}});
    admin.patch("/workspace", switch(false)).await.data(200);
    let rotate = format!("/keys/{}/rotate", &key[4..12]);
    manager.post(&rotate, json!({})).await.error(403, "FEATURE_NOT_ENABLED");
    admin.patch("/workspace", switch(true)).await.data(200);
    let stranger = format!("/keys/{}", &orqit.key(&["users:read"]).await[4..12]);
    manager.patch(&stranger, json!({"name": "Y"})).await.error(403, "INSUFFICIENT_SCOPE");
    // Nobody should find these there.
    for odd in [key.as_str(), "%00", "aaaaaaa%00", "aaaaaaaaa", "aaaaaaa-"] {
        delete(&reader, &format!("/keys/{odd}")).await.error(403, "INSUFFICIENT_SCOPE");
    }
    let log = entries(&admin, "?resourceType=api_key").await;
    let told = log.iter().map(|entry| {
        let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        (text("action"), text("reason"), text("resourceId"))
    });
    let own = key[4..12].to_owned();
    let denied = |action: &str, reason: &str, id: &str| {
        (format!("api_key.{action}"), reason.to_owned(), id.to_owned())
    };
    let mut expected = vec![denied("revoke", "INSUFFICIENT_SCOPE", ""); 5];
    expected.extend([
        denied("update", "INSUFFICIENT_SCOPE", &stranger[6..]),
        denied("rotate", "FEATURE_NOT_ENABLED", &own),
        denied("create", "API_KEY_LIMIT_REACHED", ""),
    ]);
    assert_eq!(told.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn the_log_is_paged_and_filtered_and_the_database_refuses_to_change_it() {
    let orqit = Orqit::start().await;
    let admin = orqit.rest_as(&["admin"]).await;
    for name in ["A", "B", "C"] {
        admin.patch("/workspace", json!({"name": name})).await.data(200);
    }
    let first = admin.get("/audit-logs?perPage=2").await;
    assert_eq!(first.data(200)[0]["after"]["name"], "C");
    assert_eq!(first.json()["meta"]["totalCount"], 4, "the workspace's own beginning too");
    let cursor = first.json()["meta"]["nextCursor"].as_str().expect("a cursor").to_owned();
    let rest = entries(&admin, &format!("?perPage=2&cursor={cursor}")).await;
    assert_eq!((rest.len(), &rest[1]["action"]), (2, &json!("workspace.create")));
    assert_eq!(rest[1]["actor"]["type"], "OPERATOR");
    admin.get("/audit-logs?resourceId=x").await.assert_wrong(
        "alone",
        "VALIDATION_FAILED",
        &[("resourceType", "REQUIRED")],
    );
    admin.get("/audit-logs?resourceType=ticket").await.assert_wrong(
        "kind",
        "VALIDATION_FAILED",
        &[("resourceType", "INVALID_VALUE")],
    );

    let database = orqit.connect().await;
    for change in ["UPDATE audit_logs SET action = 'x'", "DELETE FROM audit_logs"] {
        let error = database.execute_unprepared(change).await.expect_err("refused").to_string();
        assert!(error.contains("only appended to"), "{error}");
    }
}

#[tokio::test]
async fn a_workspace_is_changed_by_who_may_and_within_bounds() {
    let orqit = Orqit::start().await;
    let admin = orqit.rest_as(&["workspace:manage"]).await;
    let expected = json!({
        "id": orqit.workspace.public_id, "slug": "default", "name": "DEFAULT",
        "maxActiveKeys": 10, "keyCreationsPerHour": 5,
        "capabilities": {"canManageApiKeys": true},
        "createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-01-01T00:00:00.000Z", "version": 1,
        "notifyByEmail": false,
    });
    assert_eq!(admin.get("/workspace").await.data(200), expected);
    for (body, field) in [
        (json!({"maxActiveKeys": 0}), "maxActiveKeys"),
        (json!({"maxActiveKeys": 100_001}), "maxActiveKeys"),
        (json!({"keyCreationsPerHour": -1}), "keyCreationsPerHour"),
    ] {
        admin.patch("/workspace", body).await.assert_wrong(
            field,
            "VALIDATION_FAILED",
            &[(field, "OUT_OF_RANGE")],
        );
    }
    assert_eq!(admin.patch("/workspace", json!({"slug": "other"})).await.status, 400);
    assert_eq!(admin.patch("/workspace", json!({"name": null})).await.status, 400);
    orqit.clock.advance_millis(1000);
    let changed = admin.patch("/workspace", json!({"maxActiveKeys": 20})).await.data(200);
    assert_eq!(
        (&changed["maxActiveKeys"], &changed["updatedAt"]),
        (&json!(20), &json!("2026-01-01T00:00:01.000Z"))
    );
    assert_eq!(admin.get("/workspace").await.data(200), changed);
}

#[tokio::test]
async fn a_user_is_created_once_per_address() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["users:write", "audit:read"]).await;
    let body = json!({
        "displayName": "Ana Sousa", "email": "Ana@example.com", "role": "AGENT", "phone": "+351 21",
        "title": "Engineer", "department": "IT", "timezone": "Europe/Lisbon", "locale": "pt-PT",
    });
    let user = rest.post("/users", body.clone()).await.data(201);
    let mut expected = body.clone();
    let more = json!({
        "id": 3, "status": "ACTIVE", "version": 1, "createdAt": "2026-01-01T00:00:00.000Z",
        "updatedAt": "2026-01-01T00:00:00.000Z",
    });
    expected
        .as_object_mut()
        .expect("an object")
        .extend(more.as_object().expect("an object").clone());
    assert_eq!(user, expected);
    assert_eq!(orqit.payloads().await[0]["data"]["object"], user);
    assert_eq!(
        entries(&rest, "?resourceType=user&resourceId=3").await[0]["after"]["email"],
        "Ana@example.com"
    );
    let again = json!({"displayName": "Another", "email": "ana@EXAMPLE.com"});
    rest.post("/users", again).await.error(409, "ALREADY_EXISTS");
    let plain = rest.post("/users", json!({"displayName": "B", "email": "b@x"})).await.data(201);
    assert_eq!(
        (&plain["id"], &plain["role"], &plain["phone"]),
        (&json!(4), &json!("END_USER"), &Value::Null)
    );
    for (more, field, code) in [
        (json!({"role": "SYSTEM"}), "role", "INVALID_ENUM"),
        (json!({"email": "nobody"}), "email", "INVALID_EMAIL"),
        (json!({"email": "a b@c"}), "email", "INVALID_EMAIL"),
        (json!({"timezone": "Mars Base"}), "timezone", "INVALID_VALUE"),
        (json!({"locale": "p"}), "locale", "TOO_SHORT"),
        (json!({"locale": "pt_PT"}), "locale", "INVALID_VALUE"),
        (json!({"displayName": "a\nb"}), "displayName", "INVALID_VALUE"),
    ] {
        let mut wrong = json!({"displayName": "C", "email": "c@example.com"});
        wrong
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        let told = rest.post("/users", wrong.clone()).await.told();
        assert_eq!((told.0, told.2.len()), (400, 1), "{wrong}");
        assert_eq!(told.2[0].0, field);
        assert!(field == "locale" || told.2[0].1 == code, "{told:?}");
    }
}

#[tokio::test]
async fn an_operator_is_named_as_the_actor() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["audit:read"]).await;
    let begun = orqit.store.begin_locking(orqit.workspace.id, Actor::operator()).await;
    let any = Precondition::default();
    let found = begun.expect("begun").find_key_for_update(&key[4..12], &any);
    let (before, mut tx) = found.await.expect("a key");
    orqit::service::keys::revoke(&mut tx, before).await.expect("revoked");
    tx.commit().await.expect("committed");
    let reader = orqit.rest_as(&["audit:read"]).await;
    let entry = &entries(&reader, "?resourceType=api_key").await[0];
    assert_eq!((&entry["actor"]["type"], &entry["requestId"]), (&json!("OPERATOR"), &Value::Null));
}
