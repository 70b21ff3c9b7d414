//! The feed of changes of tickets: every change once, in order.

use orqit::event_type::EventType;
use orqit::pb;
use serde_json::{Value, json};

use crate::support::database::actor;
use crate::support::requests::{vpn, vpn_with};
use crate::support::rest::{Answer, Rest};
use crate::support::server::{Orqit, with_key};
use crate::support::tickets::event;

const SCOPES: &[&str] =
    &["tickets:create", "tickets:read", "tickets:write", "users:read", "users:write"];
const FEED: &str = "/tickets/changes";

/// A page of the feed, and the cursor behind it.
async fn page(rest: &Rest, cursor: Option<&str>, more: &str) -> (Answer, String) {
    let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
    let answer = rest.get(&format!("{FEED}?perPage=3{cursor}{more}")).await;
    let next = answer.json()["meta"]["nextCursor"].as_str().expect("always").to_owned();
    (answer, next)
}

/// The sequences and types of what follows, up to the end of the feed; and the cursor there.
async fn follow(rest: &Rest, mut cursor: Option<String>) -> (Vec<(i64, String)>, String) {
    let mut seen = Vec::new();
    loop {
        let (answer, next) = page(rest, cursor.as_deref(), "").await;
        for change in answer.data(200).as_array().expect("a list") {
            let sequence = change["sequence"].as_i64().expect("a number");
            seen.push((sequence, change["type"].as_str().expect("a type").to_owned()));
        }
        if answer.json()["meta"]["endOfFeed"] == true {
            return (seen, next);
        }
        cursor = Some(next);
    }
}

#[tokio::test]
async fn a_follower_sees_every_change_once_and_goes_on_where_it_stopped() {
    let orqit = Orqit::start().await;
    let key = orqit.key(SCOPES).await;
    let rest = orqit.rest(&key);
    let (seen, cursor) = follow(&rest, None).await;
    assert_eq!(seen, []);
    let user = json!({"displayName": "Ana", "email": "ana@example.com"});
    rest.post("/users", user).await.data(201);
    let with = vpn_with(json!({"requesterId": 3}));
    let created = rest.post("/tickets", with).await.data(201);
    rest.patch("/tickets/1", json!({"status": "RESOLVED"})).await.data(200);
    rest.patch("/tickets/1", json!({"status": "RESOLVED"})).await.data(200);
    let comment = json!({"body": "Again", "authorId": 3});
    rest.post("/tickets/1/comments", comment).await.data(201);
    let (seen, end) = follow(&rest, Some(cursor)).await;
    let types: Vec<_> = seen.iter().map(|(_, name)| name.as_str()).collect();
    let expected = ["ticket.created", "ticket.updated", "ticket.comment.created", "ticket.updated"];
    assert_eq!(types, expected);
    assert_eq!(follow(&rest, None).await, (seen.clone(), end.clone()));
    assert_eq!(follow(&rest, Some("start".to_owned())).await.0, seen);
    assert_eq!(follow(&rest, Some(end.clone())).await, (Vec::new(), end.clone()));
    rest.post("/tickets", vpn()).await.data(201);
    let (more, _) = follow(&rest, Some(end)).await;
    assert_eq!(more.len(), 1);

    // As the events tell it, key for key; by gRPC alike.
    let (first, _) = page(&rest, None, "").await;
    let payloads = orqit.payloads().await;
    let payload = payloads.iter().find(|it| it["type"] == "ticket.created").expect("an event");
    assert_eq!(&first.data(200)[0], payload);
    assert_eq!(payload["data"]["object"], created);
    let request = pb::ListTicketChangesRequest { per_page: Some(1), cursor: None };
    let mut tickets = orqit.tickets().await;
    let page = tickets.list_ticket_changes(with_key(&key, request)).await.unwrap().into_inner();
    assert_eq!((page.changes.len(), page.changes[0].sequence), (1, seen[0].0));
    assert!(!page.meta.unwrap().end_of_feed);
}

#[tokio::test]
async fn what_is_no_place_in_the_feed_is_refused() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(SCOPES).await;
    rest.post("/tickets", vpn()).await.data(201);
    let (_, cursor) = follow(&rest, None).await;
    let other = orqit.workspace("other").await;
    let of_other = orqit.rest(&orqit.key_of(&other, SCOPES).await);
    let lists = rest.get("/tickets?perPage=1&cursor=start").await;
    assert_eq!(lists.json()["meta"]["nextCursor"], Value::Null);
    for (rest, query, field) in [
        (&of_other, format!("cursor={cursor}"), "cursor"),
        (&rest, "cursor=garbage".to_owned(), "cursor"),
        (&rest, "perPage=0".to_owned(), "perPage"),
        (&rest, "perPage=101".to_owned(), "perPage"),
    ] {
        let answer = rest.get(&format!("{FEED}?{query}")).await;
        assert_eq!(answer.wrong_fields(), [field], "{query}");
    }
    assert_eq!(rest.get(&format!("{FEED}?page=1")).await.wrong_fields(), ["page"]);
    assert_eq!(follow(&of_other, None).await.0, []);
    orqit.rest_as(&["users:read"]).await.get(FEED).await.error(403, "INSUFFICIENT_SCOPE");
    rest.get("/tickets/Changes").await.error(404, "TICKET_NOT_FOUND");
}

#[tokio::test]
async fn changes_of_others_are_passed_over_a_bounded_number_at_a_time() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(SCOPES).await;
    let mut tx = orqit.store.begin(orqit.workspace.id, actor()).await.unwrap();
    for _ in 0..10_500 {
        tx.record(event(EventType::UserUpdated, json!({})));
    }
    tx.commit().await.unwrap();
    rest.post("/tickets", vpn()).await.data(201);
    let (first, cursor) = page(&rest, None, "").await;
    assert_eq!(first.data(200), json!([]));
    assert_eq!(first.json()["meta"]["endOfFeed"], false);
    assert_eq!(follow(&rest, Some(cursor)).await.0.len(), 1);
}

const WRITERS: usize = 8;
const CHANGES: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_follower_beside_concurrent_writers_misses_nothing() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(SCOPES).await;
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        let rest = orqit.rest_as(SCOPES).await;
        writers.push(tokio::spawn(async move {
            for _ in 0..CHANGES {
                rest.post("/tickets", vpn()).await.data(201);
            }
        }));
    }
    let (mut seen, mut cursor) = (Vec::new(), None);
    while !writers.iter().all(|writer| writer.is_finished()) {
        let (more, next) = follow(&rest, cursor).await;
        seen.extend(more);
        cursor = Some(next);
    }
    for writer in writers {
        writer.await.unwrap();
    }
    seen.extend(follow(&rest, cursor).await.0);
    let sequences: Vec<_> = seen.iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(sequences.len(), WRITERS * CHANGES);
    assert!(sequences.is_sorted_by(|one, next| one < next));
}
