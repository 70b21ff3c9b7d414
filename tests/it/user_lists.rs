//! Users as a resource: lists by every filter and order, versions, changes, and what is protected.

use std::collections::BTreeSet;

use http::Method;
use orqit::pb;
use orqit::pb::user_service_client::UserServiceClient;
use orqit::store::SYSTEM_USER_ID;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::grpc::assert_refused;
use crate::support::rest::{Rest, send};
use crate::support::server::{Orqit, with_key};

/// Name, address, role, department.
const PEOPLE: [(&str, &str, &str, Option<&str>); 7] = [
    ("Ana Sousa", "ana@example.com", "AGENT", Some("IT")),
    ("ana sousa", "ana2@example.com", "END_USER", Some("it")),
    ("Österreich", "o@example.com", "END_USER", Some("Straße")),
    ("Zoë", "zoe@example.com", "ADMIN", None),
    ("\u{10ffff}", "last@example.com", "END_USER", Some("STRASSE")),
    ("Bo", "bo@example.com", "AGENT", None),
    ("عمر", "omar@example.com", "END_USER", None),
];

/// A workspace with these people, a second apart; those who ask.
async fn people() -> (Orqit, Rest) {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["users:read", "users:write"]).await;
    for (name, email, role, department) in PEOPLE {
        orqit.clock.advance_millis(1000);
        let user =
            json!({"displayName": name, "email": email, "role": role, "department": department});
        rest.post("/users", user).await.data(201);
    }
    (orqit, rest)
}

async fn emails(rest: &Rest, query: &str) -> Vec<String> {
    let answer = rest.get(&format!("/users?perPage=100&{query}")).await;
    let users = answer.data(200);
    let users = users.as_array().expect("a list");
    assert_eq!(answer.json()["meta"]["totalCount"], users.len(), "{query}");
    let name = |user: &Value| user["email"].as_str().expect("text").replace("@example.com", "");
    users.iter().map(name).collect()
}

#[tokio::test]
async fn users_are_found_by_every_filter() {
    let (orqit, rest) = people().await;
    let started = orqit.clock.now().plus_millis(-7000).to_rfc3339();
    let middle = orqit.clock.now().plus_millis(-3000).to_rfc3339();
    for (query, expected) in [
        ("role=AGENT", &["bo", "ana"][..]),
        ("role=AGENT,ADMIN&email=zoe@example.com", &["zoe"]),
        ("email=ANA@Example.com", &["ana"]),
        ("email=nobody@example.com", &[]),
        ("department=it", &["ana2", "ana"]),
        ("department=strasse", &["last", "o"]),
        ("department=strasse&role=AGENT", &[]),
        ("status=SUSPENDED", &[]),
        (&format!("createdAfter={middle}"), &["omar", "bo", "last", "zoe"]),
        (&format!("createdBefore={middle}&createdAfter={started}&role=END_USER"), &["o", "ana2"]),
        (&format!("updatedSince={middle}&sort=updatedAt"), &["zoe", "last", "bo", "omar"]),
    ] {
        assert_eq!(emails(&rest, query).await, expected, "{query}");
    }
    let bad = rest.get("/users?role=BOSS&status=GONE&sort=email&name=ana").await;
    let wrong: BTreeSet<_> = bad.error(400, "VALIDATION_FAILED")["details"]
        .as_array()
        .expect("details")
        .iter()
        .map(|detail| detail["field"].as_str().expect("a field").to_owned())
        .collect();
    assert_eq!(wrong, ["name", "role", "sort", "status"].map(str::to_owned).into());
}

#[tokio::test]
async fn names_are_in_one_order_whatever_their_case() {
    let (_orqit, rest) = people().await;
    // Folded, byte by byte; between equals the id decides.
    let ascending = [
        "admin@default.invalid",
        "ana",
        "ana2",
        "bo",
        "system@default.orqit.invalid",
        "zoe",
        "o",
        "omar",
        "last",
    ];
    let found = emails(&rest, "sort=displayName").await;
    assert_eq!(found, ascending);
    let mut descending = emails(&rest, "sort=-displayName").await;
    descending.reverse();
    assert_eq!(descending, found);
    // By cursor, a row at a time, through texts of every kind.
    for sort in ["displayName", "-displayName", "createdAt", "-updatedAt"] {
        for filter in ["", "&role=END_USER,AGENT,ADMIN,SYSTEM", "&role=END_USER"] {
            let whole = emails(&rest, &format!("sort={sort}{filter}")).await;
            let (mut walked, mut cursor) = (Vec::new(), "start".to_owned());
            while walked.len() <= whole.len() {
                let page = rest
                    .get(&format!("/users?perPage=2&sort={sort}{filter}&cursor={cursor}"))
                    .await;
                let users = page.data(200);
                walked.extend(
                    users.as_array().expect("a list").iter().map(|user| {
                        user["email"].as_str().expect("text").replace("@example.com", "")
                    }),
                );
                match page.json()["meta"]["nextCursor"].as_str() {
                    Some(next) => next.clone_into(&mut cursor),
                    None => break,
                }
            }
            assert_eq!(walked, whole, "{sort}{filter}");
        }
    }
    let other = rest.get("/users?perPage=2&sort=displayName&cursor=start").await.json();
    let cursor = other["meta"]["nextCursor"].as_str().expect("a cursor").to_owned();
    rest.get(&format!("/users?sort=createdAt&cursor={cursor}"))
        .await
        .error(400, "VALIDATION_FAILED");
}

#[tokio::test]
async fn a_user_is_changed_with_version_event_and_audit_entry() {
    let (orqit, rest) = people().await;
    let key = orqit.key(&["users:read", "users:write"]).await;
    let ana = rest.get("/users?email=ana@example.com").await.data(200)[0].clone();
    let path = format!("/users/{}", ana["id"]);
    let answer = rest.get(&path).await;
    assert_eq!((answer.data(200), answer.header("etag")), (ana.clone(), Some("\"1\"")));
    orqit.clock.advance_millis(1000);
    let events = orqit.events().await.len();
    let change =
        json!({"role": "ADMIN", "status": "SUSPENDED", "phone": "+351", "department": null});
    let changed = rest.patch(&path, change.clone()).await;
    assert_eq!(changed.header("etag"), Some("\"2\""));
    let changed = changed.data(200);
    assert_eq!(
        (&changed["role"], &changed["status"], &changed["phone"], &changed["department"]),
        (&json!("ADMIN"), &json!("SUSPENDED"), &json!("+351"), &Value::Null)
    );
    assert_eq!((&changed["version"], &changed["displayName"]), (&json!(2), &ana["displayName"]));
    assert!(changed["updatedAt"].as_str() > ana["updatedAt"].as_str());
    let payload = orqit.payloads().await.pop().expect("an event");
    assert_eq!(payload["type"], "user.updated");
    assert_eq!(payload["data"]["object"], changed);
    assert_eq!(payload["data"]["changedFields"], json!(["role", "status", "phone", "department"]));
    assert_eq!(payload["data"]["previous"]["role"], "AGENT");
    // The same again changes nothing.
    assert_eq!(rest.patch(&path, change).await.data(200), changed);
    assert_eq!(orqit.events().await.len(), events + 1);
    let audit = orqit.rest_as(&["audit:read"]).await;
    let logs = audit.get("/audit-logs?resourceType=user").await.data(200);
    let entry = &logs[0];
    assert_eq!(
        (&entry["action"], &entry["before"]["role"]),
        (&json!("user.update"), &json!("AGENT"))
    );
    assert_eq!(entry["after"], changed);
    // Lists and their totals have moved on with it.
    assert_eq!(emails(&rest, "role=ADMIN&status=SUSPENDED").await, ["ana"]);
    assert_eq!(emails(&rest, "role=AGENT").await, ["bo"]);
    assert_eq!(emails(&rest, "department=it").await, ["ana2"]);

    // A condition that does not hold, by header and by field, over both protocols.
    let stale = rest.request(Method::PATCH, &path).header("if-match", "\"1\"");
    send(stale.json(&json!({"title": "x"}))).await.error(412, "VERSION_CONFLICT");
    let mut users = UserServiceClient::new(orqit.channel().await);
    let id = ana["id"].to_string();
    let update = pb::UpdateUserRequest {
        id,
        version: Some(1),
        title: Some("x".to_owned()),
        ..Default::default()
    };
    let status = users.update_user(with_key(&key, update)).await.expect_err("stale");
    assert_refused(&status, Code::Aborted, "VERSION_CONFLICT");
    // An address that somebody else has, in another case.
    let taken = rest.patch(&path, json!({"email": "BO@example.com"})).await;
    taken.error(409, "ALREADY_EXISTS");
    // One's own in another case is none that is taken.
    let own = send(rest.request(Method::PUT, &path).json(&json!({"email": "ANA@example.com"})))
        .await
        .data(200);
    assert_eq!((&own["email"], &own["version"]), (&json!("ANA@example.com"), &json!(3)));
}

#[tokio::test]
async fn the_system_user_is_neither_made_nor_changed() {
    let (orqit, rest) = people().await;
    let key = orqit.key(&["users:write"]).await;
    let events = orqit.events().await.len();
    for change in [json!({"displayName": "Me"}), json!({"status": "SUSPENDED"}), json!({})] {
        let refused = rest.patch(&format!("/users/{SYSTEM_USER_ID}"), change).await;
        refused.error(409, "SYSTEM_USER");
    }
    let mut users = UserServiceClient::new(orqit.channel().await);
    let (id, title) = (SYSTEM_USER_ID.to_string(), Some("x".to_owned()));
    let update = pb::UpdateUserRequest { id, title, ..Default::default() };
    let status = users.update_user(with_key(&key, update)).await.expect_err("protected");
    assert_refused(&status, Code::FailedPrecondition, "SYSTEM_USER");
    for (method, path) in [(Method::POST, "/users"), (Method::PATCH, "/users/3")] {
        let body = json!({"displayName": "Eve", "email": "eve@example.com", "role": "SYSTEM"});
        let refused = send(rest.request(method, path).json(&body)).await;
        assert_eq!(refused.error(400, "VALIDATION_FAILED")["details"][0]["field"], "role");
    }
    assert_eq!(orqit.events().await.len(), events);
}

#[tokio::test]
async fn what_can_be_no_user_is_not_found() {
    let (_orqit, rest) = people().await;
    for id in ["0", "-1", "abc", "01", "99", "9223372036854775808", "ana@example.com"] {
        rest.get(&format!("/users/{id}")).await.error(404, "USER_NOT_FOUND");
        rest.patch(&format!("/users/{id}"), json!({"title": "x"}))
            .await
            .error(404, "USER_NOT_FOUND");
    }
    for bad in [
        json!({"displayName": null}),
        json!({"displayName": ""}),
        json!({"displayName": "a\nb"}),
        json!({"email": "nowhere"}),
        json!({"status": null}),
        json!({"timezone": "Mars?"}),
        json!({"locale": "x"}),
        json!({"displayName": "x".repeat(256)}),
    ] {
        let refused = rest.patch("/users/3", bad.clone()).await;
        let error = refused.error(400, "VALIDATION_FAILED");
        let field = bad.as_object().and_then(|bad| bad.keys().next()).expect("a field");
        assert_eq!(error["details"][0]["field"], field.as_str(), "{bad}");
    }
    rest.patch("/users/3", json!({"id": 4})).await.error(400, "VALIDATION_FAILED");
}
