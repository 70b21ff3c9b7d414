//! A retry is safe: what was done once is answered again, and never done twice.

use std::collections::BTreeMap;

use http::Method;
use orqit::pb;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::grpc::{assert_refused, error_info};
use crate::support::requests::{vpn, vpn_message, vpn_with};
use crate::support::rest::{Answer, Rest, send};
use crate::support::server::{Orqit, with_key};

const HOUR: i64 = 3600 * 1000;

async fn once(rest: &Rest, method: Method, path: &str, key: &str, body: &Value) -> Answer {
    send(rest.request(method, path).header("idempotency-key", key).json(body)).await
}

async fn create(rest: &Rest, key: &str, body: &Value) -> Answer {
    once(rest, Method::POST, "/tickets", key, body).await
}

#[track_caller]
fn assert_replayed(first: &Answer, again: &Answer) {
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.headers.get("content-type"), first.headers.get("content-type"));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(first.header("idempotent-replayed"), None);
    assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
}

async fn total(rest: &Rest) -> Value {
    rest.get("/tickets").await.json()["meta"]["totalCount"].clone()
}

#[tokio::test]
async fn the_same_request_again_gets_the_same_answer_and_has_no_effect() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let first = create(&rest, "order-4711", &vpn()).await;
    first.data(201);
    let again = create(&rest, "order-4711", &vpn()).await;
    assert_replayed(&first, &again);
    // What is decoded alike is alike.
    let spaced = json!({
        "category": "TICKET_CATEGORY_NETWORK", "type": "INCIDENT", "parentId": null,
        "description": "User cannot connect.", "title": "VPN not connecting",
    });
    assert_replayed(&first, &create(&rest, "order-4711", &spaced).await);
    assert_eq!((total(&rest).await, orqit.events().await.len()), (json!(1), 1));
    // Another request under the key, or the same under another.
    create(&rest, "order-4711", &vpn_with(json!({"priority": "HIGH"})))
        .await
        .error(409, "IDEMPOTENCY_KEY_CONFLICT");
    let path = once(&rest, Method::PATCH, "/tickets/1", "order-4711", &json!({"title": "A"})).await;
    path.error(409, "IDEMPOTENCY_KEY_CONFLICT");
    create(&rest, "order-4712", &vpn()).await.data(201);
    assert_eq!(total(&rest).await, 2);
}

#[tokio::test]
async fn a_retry_may_change_the_protocol() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["admin"]).await;
    let rest = orqit.rest(&key);
    let mut tickets = orqit.tickets().await;
    let first = create(&rest, "k1", &vpn()).await.data(201);
    let mut call = with_key(&key, vpn_message());
    call.metadata_mut().insert("idempotency-key", "k1".parse().expect("ASCII"));
    let again = tickets.create_ticket(call).await.expect("replayed");
    assert_eq!(again.metadata().get("idempotent-replayed").expect("a replay"), "true");
    assert_eq!(
        again.into_inner().ticket.expect("a ticket").id,
        first["id"].as_i64().expect("an id")
    );

    // An update: gRPC without a mask, REST with what the body names, in any order.
    let update = pb::UpdateTicketRequest {
        id: "1".to_owned(),
        title: Some("Title".to_owned()),
        priority: Some(pb::Priority::Low.into()),
        ..Default::default()
    };
    let mut call = with_key(&key, update);
    call.metadata_mut().insert("idempotency-key", "k2".parse().expect("ASCII"));
    tickets.update_ticket(call).await.expect("updated");
    let body = json!({"priority": "LOW", "title": "Title"});
    let again = once(&rest, Method::PUT, "/tickets/1", "k2", &body).await;
    assert_eq!((again.status.as_u16(), again.header("idempotent-replayed")), (200, Some("true")));
    assert_eq!(again.header("etag"), Some("\"2\""));
    let conditional = rest.request(Method::PATCH, "/tickets/1").header("if-match", "\"2\"");
    send(conditional.header("idempotency-key", "k2").json(&body))
        .await
        .error(409, "IDEMPOTENCY_KEY_CONFLICT");

    let mut call =
        with_key(&key, pb::CreateTicketRequest { title: "Other".to_owned(), ..vpn_message() });
    call.metadata_mut().insert("idempotency-key", "k1".parse().expect("ASCII"));
    let status = tickets.create_ticket(call).await.expect_err("a conflict");
    assert_refused(&status, Code::AlreadyExists, "IDEMPOTENCY_KEY_CONFLICT");
}

#[tokio::test]
async fn refusals_that_stay_true_are_replayed_and_others_are_not() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["admin"]).await;
    let rest = orqit.rest(&key);
    let cases: [(Method, &str, Value, u16, &str); 3] = [
        (Method::PATCH, "/tickets/1", json!({"title": "A"}), 404, "TICKET_NOT_FOUND"),
        (
            Method::POST,
            "/tickets",
            vpn_with(json!({"assigneeId": 99, "watcherUserIds": [98]})),
            400,
            "INVALID_REFERENCE",
        ),
        (Method::DELETE, "/keys/aaaaaaaa", Value::Null, 404, "API_KEY_NOT_FOUND"),
    ];
    for (at, (method, path, body, status, code)) in cases.into_iter().enumerate() {
        let send = || async {
            let request =
                rest.request(method.clone(), path).header("idempotency-key", format!("r{at}"));
            send(if body.is_null() { request } else { request.json(&body) }).await
        };
        let first = send().await;
        first.error(status, code);
        let again = send().await;
        assert_replayed(&first, &again);
    }
    // What was missing is there by now; the answer stays what it was, over gRPC too.
    rest.post("/tickets", vpn()).await.data(201);
    let again = once(&rest, Method::PATCH, "/tickets/1", "r0", &json!({"title": "A"})).await;
    assert_eq!((again.status.as_u16(), again.header("idempotent-replayed")), (404, Some("true")));
    let update = pb::UpdateTicketRequest {
        id: "1".to_owned(),
        title: Some("A".to_owned()),
        ..Default::default()
    };
    let mut call = with_key(&key, update);
    call.metadata_mut().insert("idempotency-key", "r0".parse().expect("ASCII"));
    let status = orqit.tickets().await.update_ticket(call).await.expect_err("refused");
    assert_refused(&status, Code::NotFound, "TICKET_NOT_FOUND");
    assert_eq!(status.metadata().get("idempotent-replayed").expect("a replay"), "true");
    assert_eq!(error_info(&status).metadata["requestId"], again.json()["error"]["requestId"]);

    let close = json!({"status": "CANCELLED"});
    once(&rest, Method::PATCH, "/tickets/1", "t0", &close).await.data(200);
    let resolve = json!({"status": "RESOLVED"});
    let first = once(&rest, Method::PATCH, "/tickets/1", "t1", &resolve).await;
    let told = first.error(409, "INVALID_STATUS_TRANSITION");
    assert_eq!(
        (&told["from"], &told["to"], &told["allowed"]),
        (&json!("CANCELLED"), &json!("RESOLVED"), &json!(["OPEN"]))
    );
    assert_replayed(&first, &once(&rest, Method::PATCH, "/tickets/1", "t1", &resolve).await);

    // Wrong input is not remembered: put right, it may go on under the same key.
    create(&rest, "w", &json!({"title": ""})).await;
    create(&rest, "w", &vpn()).await.data(201);
}

#[tokio::test]
async fn a_secret_is_not_stored_and_its_replay_has_none() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let body = json!({"name": "Portal", "scopes": ["tickets:read"]});
    let first = once(&rest, Method::POST, "/keys", "new", &body).await.data(201);
    let again = once(&rest, Method::POST, "/keys", "new", &body).await;
    assert_eq!(again.header("cache-control"), Some("no-store"));
    let again = again.data(201);
    assert_eq!((&again["id"], &again["key"]), (&first["id"], &Value::Null));
    let path = format!("/keys/{}/rotate", first["id"].as_str().expect("text"));
    let rotated = once(&rest, Method::POST, &path, "turn", &json!({})).await.data(201);
    let again = once(&rest, Method::POST, &path, "turn", &json!({})).await.data(201);
    assert_eq!((&again["id"], &again["key"]), (&rotated["id"], &Value::Null));
    assert_eq!(rest.get("/keys").await.json()["meta"]["totalCount"], 3);
}

#[tokio::test]
async fn a_bad_key_is_refused_before_the_body_and_a_read_ignores_it() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:read", "tickets:create"]).await;
    let rest = orqit.rest(&key);
    let long = "x".repeat(256);
    for bad in ["", "two words", &long, key.as_str(), "é"] {
        let request =
            rest.request(Method::POST, "/tickets").header("idempotency-key", bad.as_bytes());
        send(request.body("{")).await.error(400, "INVALID_IDEMPOTENCY_KEY");
        let request =
            rest.request(Method::GET, "/tickets").header("idempotency-key", bad.as_bytes());
        send(request).await.data(200);
    }
    let twice = rest.request(Method::POST, "/tickets");
    let twice = twice.header("idempotency-key", "a").header("idempotency-key", "a");
    send(twice.json(&vpn())).await.error(400, "INVALID_IDEMPOTENCY_KEY");
    create(&rest, &"x".repeat(255), &vpn()).await.data(201);
    // Scope is told first.
    let reader = orqit.rest_as(&["tickets:read"]).await;
    create(&reader, "two words", &vpn()).await.error(403, "INSUFFICIENT_SCOPE");
}

#[tokio::test]
async fn a_key_is_known_to_its_line_of_rotations_alone_and_for_a_day() {
    let orqit = Orqit::start().await;
    let admin = orqit.rest_as(&["admin"]).await;
    let body = json!({"name": "Portal", "scopes": ["tickets:write", "tickets:read"]});
    let made = admin.post("/keys", body).await.data(201);
    let portal = orqit.rest(made["key"].as_str().expect("text"));
    let first = create(&portal, "k", &vpn()).await;
    first.data(201);
    // To another key it is another one.
    assert_eq!(create(&admin, "k", &vpn()).await.data(201)["id"], 2);
    let path = format!("/keys/{}", made["id"].as_str().expect("text"));
    let new = admin
        .post(&format!("{path}/rotate"), json!({"gracePeriodSeconds": 600_000}))
        .await
        .data(201);
    let successor = orqit.rest(new["key"].as_str().expect("text"));
    assert_replayed(&first, &create(&successor, "k", &vpn()).await);
    assert_replayed(&first, &create(&portal, "k", &vpn()).await);
    // Narrowed: no replay. Revoked: none either.
    let new_path = format!("/keys/{}", new["id"].as_str().expect("text"));
    admin.patch(&new_path, json!({"scopes": ["tickets:read"]})).await.data(200);
    create(&successor, "k", &vpn()).await.error(403, "INSUFFICIENT_SCOPE");
    crate::keys::delete(&admin, &new_path).await.data(200);
    create(&successor, "k", &vpn()).await.error(401, "INVALID_API_KEY");

    orqit.clock.advance_millis(24 * HOUR - 1);
    assert_replayed(&first, &create(&portal, "k", &vpn()).await);
    orqit.clock.advance_millis(1);
    assert_eq!(create(&portal, "k", &vpn()).await.data(201)["id"], 3);
    assert_eq!(create(&portal, "k", &vpn_with(json!({"tags": ["x"]}))).await.status, 409);

    orqit.clock.advance_millis(24 * HOUR);
    let now = orqit.clock.now();
    let deleted = [
        orqit.store.delete_old_answers(now, 1).await,
        orqit.store.delete_old_answers(now, 500).await,
    ];
    assert_eq!(deleted.map(|count| count.expect("deleted")), [1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_at_once_have_one_effect() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let request = rest.request(Method::POST, "/tickets").header("idempotency-key", "one");
            let request = request.json(&vpn());
            tokio::spawn(async move { send(request).await })
        })
        .collect();
    let mut answers: BTreeMap<u16, Vec<Answer>> = BTreeMap::new();
    for call in calls {
        let answer = call.await.expect("answered");
        answers.entry(answer.status.as_u16()).or_default().push(answer);
    }
    let stored = answers.remove(&201).expect("an effect");
    assert!(stored.iter().all(|answer| answer.body == stored[0].body));
    let first = stored.iter().filter(|answer| answer.header("idempotent-replayed").is_none());
    assert_eq!(first.count(), 1);
    for waiting in answers.remove(&409).unwrap_or_default() {
        waiting.error(409, "IDEMPOTENCY_IN_PROGRESS");
        assert_eq!(waiting.header("retry-after"), Some("1"));
    }
    assert!(answers.is_empty(), "{answers:?}");
    assert_eq!(total(&rest).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_too_long_for_the_first_is_told_so() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    // Neither can go on until this is dropped; which of them is the first does not matter.
    let held = orqit.hold_writes().await;
    let calls = [(); 2].map(|()| {
        let request = rest.request(Method::POST, "/tickets").header("idempotency-key", "one");
        let request = request.json(&vpn());
        Box::pin(tokio::spawn(async move { send(request).await }))
    });
    let (told, _, other) = futures_util::future::select_all(calls).await;
    told.expect("answered").error(409, "IDEMPOTENCY_IN_PROGRESS");
    drop(held);
    for first in other {
        first.await.expect("answered").data(201);
    }
    assert_eq!(create(&rest, "one", &vpn()).await.header("idempotent-replayed"), Some("true"));
}
