//! A key never makes, changes or becomes more than itself, and a workspace never more keys than it
//! may have.

use http::Method;
use orqit::auth::scope::{Scope, Scopes};
use orqit::clock::Timestamp;
use orqit::pb;
use orqit::pb::key_service_client::KeyServiceClient;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use tonic::Code;

use crate::keys::delete;
use crate::support::database::START;
use crate::support::grpc::assert_refused;
use crate::support::rest::{Answer, Rest, send};
use crate::support::server::{Orqit, with_key};

const HOUR: i64 = 3600 * 1000;

/// Random scopes, and an expiry of up to ten hours from the start, or none.
fn key_like() -> impl Strategy<Value = (Vec<&'static str>, Option<i64>)> {
    let names: Vec<_> = Scope::ALL.iter().map(|(_, name)| *name).collect();
    let presets = ["read-only", "read-write", "admin", "create-ticket"];
    let names = [names.as_slice(), &presets].concat();
    let scopes = proptest::sample::subsequence(names, 1..6);
    (scopes, proptest::option::of(1..10i64))
}

async fn raise_limits(orqit: &Orqit) {
    let admin = orqit.rest_as(&["admin"]).await;
    let most = json!({"maxActiveKeys": 100_000, "keyCreationsPerHour": 100_000});
    admin.patch("/workspace", most).await.data(200);
}

fn scopes_of(key: &Value) -> Vec<String> {
    key["scopes"]
        .as_array()
        .expect("scopes")
        .iter()
        .map(|s| s.as_str().expect("text").to_owned())
        .collect()
}

#[tokio::test]
async fn no_key_makes_or_becomes_more_than_itself() {
    let orqit = Orqit::start().await;
    raise_limits(&orqit).await;
    let mut runner = TestRunner::deterministic();
    let (mut made, mut refused) = (0, 0);
    for _ in 0..150 {
        let ((own, own_hours), (asked, hours)) =
            (key_like(), key_like()).new_tree(&mut runner).expect("a case").current();
        let own = [own.as_slice(), &["keys:manage"]].concat();
        let expiry = own_hours.map(|hours| START.plus_millis(hours * HOUR));
        let key = orqit.key_with(&orqit.workspace, &own, |new| new.expires_at = expiry).await;
        let rest = orqit.rest(&key);
        let mut body = json!({"name": "More?", "scopes": asked});
        if let Some(hours) = hours {
            body["expiresAt"] = json!(START.plus_millis(hours * HOUR).to_rfc3339());
        }
        let (own_set, asked_set) =
            (Scopes::of_names(&own).expect("scopes"), Scopes::of_names(&asked).expect("scopes"));
        let later = matches!((own_hours, hours), (Some(own), Some(asked)) if asked > own);
        let allowed = asked_set.beyond(own_set).is_none() && !later;
        let answer = rest.post("/keys", body.clone()).await;
        if allowed {
            made += 1;
            let child = answer.data(201);
            assert_eq!(scopes_of(&child), asked_set.names(), "{body}");
            let effective =
                hours.or(own_hours).map(|hours| START.plus_millis(hours * HOUR).to_rfc3339());
            assert_eq!(child["expiresAt"], json!(effective), "an omitted expiry is the caller's");
        } else {
            refused += 1;
            answer.error(403, "INSUFFICIENT_SCOPE");
        }
        // Nor does it become more by changing itself.
        let itself = format!("/keys/{}", &key[4..12]);
        rest.patch(&itself, json!({"scopes": asked})).await;
        if let Some(hours) = hours {
            let expiry = START.plus_millis(hours * HOUR).to_rfc3339();
            rest.patch(&itself, json!({"expiresAt": expiry})).await;
        }
        let now = orqit.rest(&key).get("/keys/self").await.data(200);
        let now_set = Scopes::of_names(&scopes_of(&now)).expect("scopes");
        assert!(now_set.beyond(own_set).is_none(), "{own:?} became {now}");
        let expiry_now = now["expiresAt"].as_str();
        assert!(own_hours.is_none_or(|own| {
            expiry_now.is_some_and(|at| at <= START.plus_millis(own * HOUR).to_rfc3339().as_str())
        }));
    }
    assert!(made > 10 && refused > 10, "both sides: {made} {refused}");
}

#[tokio::test]
async fn keys_that_reach_beyond_the_caller_are_not_its_to_change_or_rotate() {
    let orqit = Orqit::start().await;
    let manager = orqit.rest_as(&["keys:manage", "tickets:read"]).await;
    let wide = orqit.key(&["tickets:write"]).await;
    let lasting = orqit.key(&["tickets:read"]).await;
    let soon = |new: &mut orqit::store::NewKey| new.expires_at = Some(Timestamp(START.0 + HOUR));
    let brief = orqit.key_with(&orqit.workspace, &["keys:manage", "tickets:read"], soon).await;
    let limited = |new: &mut orqit::store::NewKey| new.per_minute = 1000;
    let slow = orqit.key_with(&orqit.workspace, &["keys:manage", "tickets:read"], limited).await;
    let cases = [
        (&manager, &wide, json!("tickets:create")),
        (&orqit.rest(&brief), &lasting, Value::Null),
        (&orqit.rest(&slow), &lasting, Value::Null),
    ];
    for (caller, target, required) in cases {
        let path = format!("/keys/{}", &target[4..12]);
        let changed = caller.patch(&path, json!({"name": "Mine now"})).await;
        assert_eq!(changed.error(403, "INSUFFICIENT_SCOPE")["requiredScope"], required);
        caller.post(&format!("{path}/rotate"), json!({})).await.error(403, "INSUFFICIENT_SCOPE");
    }
    // To revoke one takes nothing but the scope.
    delete(&manager, &format!("/keys/{}", &wide[4..12])).await.data(200);
}

#[tokio::test]
async fn limits_are_set_by_who_manages_the_workspace_and_not_beyond_its_own() {
    let orqit = Orqit::start().await;
    let limits = json!({"perMinute": 100, "groupPerMinute": 0});
    let body = json!({"name": "Fast", "scopes": ["tickets:read"], "limits": limits});
    let manager = orqit.rest_as(&["keys:manage", "tickets:read"]).await;
    let refused = manager.post("/keys", body.clone()).await.error(403, "INSUFFICIENT_SCOPE");
    assert_eq!(refused["requiredScope"], "workspace:manage");
    let unlimited = orqit.rest_as(&["admin"]).await;
    let made = unlimited.post("/keys", body.clone()).await.data(201);
    assert_eq!(made["limits"], limits);
    let path = format!("/keys/{}", made["id"].as_str().expect("text"));
    let changed = unlimited.patch(&path, json!({"limits": {"perMinute": 5}})).await.data(200);
    assert_eq!(changed["limits"], json!({"perMinute": 5, "groupPerMinute": 0}));
    let reset = unlimited.patch(&path, json!({"limits": null})).await.data(200);
    assert_eq!(reset["limits"], json!({"perMinute": 60, "groupPerMinute": 30}));

    let usual = |new: &mut orqit::store::NewKey| (new.per_minute, new.group_per_minute) = (40, 20);
    let usual = orqit.rest(&orqit.key_with(&orqit.workspace, &["admin"], usual).await);
    usual.post("/keys", body).await.error(403, "INSUFFICIENT_SCOPE");
    let made =
        usual.post("/keys", json!({"name": "Same", "scopes": ["tickets:read"]})).await.data(201);
    assert_eq!(made["limits"], json!({"perMinute": 40, "groupPerMinute": 20}));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cap_holds_exactly_under_concurrent_calls() {
    let orqit = Orqit::start().await;
    let admin = orqit.rest_as(&["admin"]).await;
    admin.patch("/workspace", json!({"keyCreationsPerHour": 1000})).await.data(200);
    let answers = concurrently(&admin, 50).await;
    assert_eq!(count(&answers, 201), 9, "the admin's own is the tenth");
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        refused.error(400, "API_KEY_LIMIT_REACHED");
    }
    // At the cap a key can still be rotated, and an old one in its grace does not count.
    let listed = admin.get("/keys?status=ACTIVE").await;
    assert_eq!(listed.json()["meta"]["totalCount"], 10);
    let id = listed.data(200)[0]["id"].as_str().expect("text").to_owned();
    let grace = json!({"gracePeriodSeconds": 600});
    let rotated = admin.post(&format!("/keys/{id}/rotate"), grace).await.data(201);
    admin
        .post("/keys", json!({"name": "11", "scopes": ["kb:read"]}))
        .await
        .error(400, "API_KEY_LIMIT_REACHED");
    delete(&admin, &format!("/keys/{}", rotated["id"].as_str().expect("text"))).await.data(200);
    admin.post("/keys", json!({"name": "10", "scopes": ["kb:read"]})).await.data(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_keys_an_hour_exactly_and_the_sixth_is_told_when() {
    let orqit = Orqit::start().await;
    let admin = orqit.rest_as(&["admin"]).await;
    admin.patch("/workspace", json!({"maxActiveKeys": 1000})).await.data(200);
    let answers = concurrently(&admin, 50).await;
    assert_eq!(count(&answers, 201), 5);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        let error = refused.error(429, "API_KEY_CREATION_LIMITED");
        assert_eq!(error["retryAfterSeconds"], 3600);
        assert_eq!(refused.header("retry-after"), Some("3600"));
    }
    let one = json!({"name": "One", "scopes": ["kb:read"]});
    orqit.clock.advance_millis(HOUR - 1);
    let refused = admin.post("/keys", one.clone()).await;
    assert_eq!(refused.error(429, "API_KEY_CREATION_LIMITED")["retryAfterSeconds"], 1);
    orqit.clock.advance_millis(1);
    let made = admin.post("/keys", one).await.data(201);
    // Rotation is no creation.
    for _ in 0..3 {
        let listed = admin.get("/keys?perPage=1").await.data(200);
        let id = listed[0]["id"].as_str().expect("text").to_owned();
        admin.post(&format!("/keys/{id}/rotate"), json!({})).await.data(201);
    }
    assert_eq!(made["status"], "ACTIVE");
}

async fn concurrently(admin: &Rest, count: usize) -> Vec<Answer> {
    let mut calls = Vec::new();
    for number in 0..count {
        let body = json!({"name": format!("Key {number}"), "scopes": ["tickets:read"]});
        let request = admin.request(Method::POST, "/keys").json(&body);
        calls.push(tokio::spawn(async move { send(request).await }));
    }
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.expect("answered"));
    }
    answers
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

#[tokio::test]
async fn without_the_capability_keys_are_not_managed_but_still_work() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["admin"]).await;
    let admin = orqit.rest(&key);
    admin.get("/keys").await.data(200);
    let off = json!({"capabilities": {"canManageApiKeys": false}});
    assert_eq!(
        admin.patch("/workspace", off.clone()).await.data(200)["capabilities"],
        off["capabilities"]
    );
    admin.get("/keys").await.error(403, "FEATURE_NOT_ENABLED");
    admin.post("/keys", json!({"nonsense": true})).await.error(403, "FEATURE_NOT_ENABLED");
    let mut keys = KeyServiceClient::new(orqit.channel().await);
    let list = with_key(&key, pb::ListKeysRequest::default());
    let status = keys.list_keys(list).await.expect_err("refused");
    assert_refused(&status, Code::PermissionDenied, "FEATURE_NOT_ENABLED");
    admin.get("/keys/self").await.data(200);
    admin.get("/accounts").await.data(200);
    let on = json!({"capabilities": {"can_manage_api_keys": true}});
    admin.patch("/workspace", on).await.data(200);
    admin.get("/keys").await.data(200);
}
