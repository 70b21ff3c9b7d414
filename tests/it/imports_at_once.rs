//! Imports of tickets beside each other and beside others, as large as they may be, and who is told.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use crate::batches::told;
use crate::support::receiver::Receiver;
use crate::support::requests::vpn_with;
use crate::support::server::{Options, Orqit};
use crate::ticket_imports::{all, import, item, printer};

/// The same tickets, people, comments and history from two servers at the same moment, while others make
/// users and tickets.
#[tokio::test(flavor = "multi_thread")]
async fn two_imports_at_once_bring_everything_once() {
    let orqit = Orqit::start().await;
    let replica = orqit.replica(Options::default()).await;
    let key = orqit.key(&["admin"]).await;
    let items: Vec<_> = (0..20)
        .map(|id| {
            let person = |n: u32| json!({"email": format!("p{n}@example.com")});
            item(&id.to_string(), json!({"requester": person(id), "assignee": person(id / 2),
                "comments": [{"externalId": "c", "body": "Said.", "author": person(id + 1)}],
                "history": [{"externalId": "h", "field": "status", "from": "OPEN", "to": "PENDING"}]}))
        })
        .collect();
    let mut running = JoinSet::new();
    for round in 0..8 {
        let server = if round % 2 == 0 { &orqit } else { &replica };
        let (rest, items) = (server.rest(&key), items.clone());
        running.spawn(async move { told(&import(&rest, json!(items)).await) });
        let rest = server.rest(&key);
        running.spawn(async move {
            let user =
                json!({"displayName": "Other", "email": format!("other{round}@example.com")});
            rest.post("/users", user).await.data(201);
            rest.post("/tickets", vpn_with(json!({"parentId": null}))).await.data(201);
            Vec::new()
        });
    }
    let mut created = 0;
    while let Some(lines) = running.join_next().await {
        let lines = lines.expect("results");
        assert!(
            lines.iter().all(|line| line.contains("CREATED") || line.contains("UNCHANGED")),
            "{lines:?}"
        );
        created += lines.iter().filter(|line| line.contains("CREATED")).count();
    }
    assert_eq!(created, 20);
    let rest = orqit.rest(&key);
    assert_eq!(rest.get("/tickets?externalSource=old").await.json()["meta"]["totalCount"], 20);
    assert_eq!(rest.get("/users?role=END_USER").await.json()["meta"]["totalCount"], 21 + 8);
    let tickets =
        rest.get("/tickets?externalSource=old&perPage=100&include=history").await.data(200);
    assert!(all(&tickets, "commentCount").iter().all(|count| *count == 1));
    assert!(
        all(&tickets, "history").iter().all(|history| history.as_array().map(Vec::len) == Some(1))
    );
}

/// More of everything than one statement of a database takes.
#[tokio::test]
async fn a_call_brings_as_much_as_its_bounds_admit() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let one = |item: u32, n: u32| json!({"externalId": n.to_string(), "body": "a", "author": {"email": format!("{item}.{n}@b.c")}});
    let entry = |n: u32| json!({"externalId": n.to_string(), "field": "status"});
    let of = |id: u32| {
        let comments: Vec<_> = (0..1000).map(|n| one(id, n)).collect();
        let history: Vec<_> = (0..1000).map(entry).collect();
        item(&id.to_string(), json!({"comments": comments, "history": history}))
    };
    let results = import(&rest, json!([of(1), of(2), of(3)])).await;
    assert_eq!(told(&results), ["1 CREATED 1", "2 CREATED 1", "3 CREATED 1"]);
    assert_eq!(rest.get("/users?role=END_USER").await.json()["meta"]["totalCount"], 3_000);
    assert_eq!(rest.get("/tickets/3/comments").await.json()["meta"]["totalCount"], 1_000);
    let more: Vec<_> = (0..1001).map(entry).collect();
    let results = import(&rest, json!([item("4", json!({"history": more}))])).await;
    assert_eq!(told(&results), ["400 VALIDATION_FAILED history"]);
}

#[tokio::test]
async fn webhooks_get_an_import_only_where_they_name_it() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let (named, all_of_it) = (Receiver::start().await, Receiver::start().await);
    rest.post("/webhooks", json!({"url": named.url(), "events": ["ticket.imported"]}))
        .await
        .data(201);
    rest.post("/webhooks", json!({"url": all_of_it.url(), "events": ["*", "ticket.*", "user.*"]}))
        .await
        .data(201);
    import(&rest, json!([printer()])).await;
    rest.post("/tickets", vpn_with(json!({}))).await.data(201);
    let received = named.wait(1).await;
    assert_eq!(received[0].json()["type"], "ticket.imported");
    let others = all_of_it.wait(1).await;
    assert_eq!(others[0].json()["type"], "ticket.created");
    let replay = json!({"since": "2020-01-01T00:00:00Z"});
    let replayed = async |id: u32| {
        rest.post(&format!("/webhooks/{id}/replay"), replay.clone()).await.data(202)
    };
    assert_eq!(replayed(1).await["count"], 1);
    let streamed = rest.get("/events?types=ticket.*").await.data(200);
    assert_eq!(all(&streamed, "type"), ["ticket.imported", "ticket.created"]);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(
        all_of_it
            .received()
            .iter()
            .all(|one| !one.json()["type"].as_str().expect("text").ends_with(".imported"))
    );
}
