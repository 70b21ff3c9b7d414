//! The counters of a workspace begin with their first use.

use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;

use crate::keys::delete;
use crate::support::server::Orqit;

const CREATORS: i64 = 8;

/// The counters that have a row, in order of their names.
async fn counters(orqit: &Orqit) -> Vec<String> {
    let database = orqit.connect().await;
    let query =
        Statement::from_string(database.get_database_backend(), "SELECT name FROM counters");
    let rows = database.query_all_raw(query).await.unwrap();
    let mut names: Vec<_> = rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn every_change_works_in_a_workspace_without_the_counters_that_it_needs() {
    let orqit = Orqit::start().await;
    assert_eq!(counters(&orqit).await, ["audit_logs", "events", "users"]);
    let admin = orqit.rest_as(&["admin"]).await;
    admin.post("/users", json!({"displayName": "Ines", "email": "i@x.example"})).await.data(201);
    for _ in 0..2 {
        admin.post("/tickets", crate::support::requests::vpn()).await.data(201);
    }
    admin.patch("/tickets/2", json!({"parentId": 1})).await.data(200);
    admin.post("/tickets/1/comments", json!({"body": "On it."})).await.data(201);
    admin.patch("/workspace", json!({"name": "Desk"})).await.data(200);
    let key = admin.post("/keys", json!({"name": "Portal", "scopes": ["read-only"]})).await;
    let key = format!("/keys/{}", key.data(201)["id"].as_str().expect("an id"));
    admin.patch(&key, json!({"name": "Sales portal"})).await.data(200);
    let rotated = admin.post(&format!("{key}/rotate"), json!({})).await.data(201);
    let successor = format!("/keys/{}", rotated["id"].as_str().expect("an id"));
    delete(&admin, &successor).await.data(200);
    orqit.flush_usage().await;
    let all = [
        "api_keys",
        "audit_logs",
        "comments",
        "events",
        "history",
        "request_logs",
        "ticket_parents",
        "tickets",
        "users",
    ];
    assert_eq!(counters(&orqit).await, all);
    let sequences: Vec<_> = orqit.events().await.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=sequences.len() as i64).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_use_a_counter_first_at_once_take_turns() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write"]).await;
    let created: Vec<_> = (0..CREATORS)
        .map(|_| {
            let rest = rest.clone();
            tokio::spawn(
                async move { rest.post("/tickets", crate::support::requests::vpn()).await },
            )
        })
        .collect();
    let mut ids = Vec::new();
    for answer in created {
        ids.push(answer.await.unwrap().data(201)["id"].as_i64().expect("a number"));
    }
    ids.sort_unstable();
    assert_eq!(ids, (1..=CREATORS).collect::<Vec<_>>());
    let sequences: Vec<_> = orqit.events().await.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=CREATORS).collect::<Vec<_>>());
}
