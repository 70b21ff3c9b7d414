//! The event log: ordered, without a gap, and never ahead of what it tells of.

use std::collections::BTreeSet;
use std::time::Duration;

use http::Method;
use orqit::clock::Timestamp;
use orqit::event::{Actor, ActorKind, Event, RecordedEvent};
use orqit::event_type::EventType;
use orqit::server::OPENAPI;
use orqit::store::{Store, WorkspaceId};
use serde_json::{Value, json};

use crate::support::database::{TestStore, actor, insert_workspace};
use crate::support::receiver::{Receiver, status};
use crate::support::requests::{vpn, vpn_with};
use crate::support::rest::send;
use crate::support::server::{Options, Orqit};
use crate::support::smtp::Smtp;
use crate::support::tickets::{event, new_ticket};

const WRITERS: i64 = 8;
const CHANGES_PER_WRITER: i64 = 25;
const EVENTS_PER_CHANGE: i64 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_sees_every_event_once_and_in_order_while_eight_write() {
    let test = TestStore::create().await;
    let workspace = test.workspace.id;
    let total = WRITERS * CHANGES_PER_WRITER * EVENTS_PER_CHANGE;
    let follower = tokio::spawn(follow(test.store.clone(), workspace, total));

    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write_events(test.store.clone(), workspace, writer)))
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }

    let seen = follower.await.unwrap();
    let sequences: Vec<_> = seen.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=total).collect::<Vec<_>>());
    let mut ids: Vec<_> = seen.iter().map(|event| event.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), seen.len());
}

async fn write_events(store: Store, workspace: WorkspaceId, writer: i64) {
    for change in 0..CHANGES_PER_WRITER {
        let mut tx = store.begin(workspace, actor()).await.unwrap();
        let ticket = tx.insert_ticket(new_ticket(&format!("{writer}/{change}"))).await.unwrap();
        for _ in 0..EVENTS_PER_CHANGE {
            tx.record(event(EventType::TicketCreated, json!({ "id": ticket.id })));
        }
        // Every fifth change comes to nothing first, and must leave no trace.
        if change % 5 == 0 {
            drop(tx);
            tx = store.begin(workspace, actor()).await.unwrap();
            tx.insert_ticket(new_ticket("again")).await.unwrap();
            tx.record(event(EventType::TicketCreated, json!({})));
            tx.record(event(EventType::TicketCreated, json!({})));
        }
        tx.commit().await.unwrap();
    }
}

async fn follow(store: Store, workspace: WorkspaceId, total: i64) -> Vec<RecordedEvent> {
    let mut seen: Vec<RecordedEvent> = Vec::new();
    while (seen.len() as i64) < total {
        let cursor = seen.last().map_or(0, |event| event.sequence);
        seen.extend(store.reader(workspace).list_events(cursor, 7).await.unwrap());
        tokio::task::yield_now().await;
    }
    seen
}

#[tokio::test]
async fn a_change_that_is_rolled_back_leaves_no_event_and_no_gap() {
    let test = TestStore::create().await;
    let workspace = test.workspace.id;
    for round in 0..3 {
        let mut dropped = test.store.begin(workspace, actor()).await.unwrap();
        dropped.insert_ticket(new_ticket("never")).await.unwrap();
        dropped.record(event(EventType::TicketCreated, json!({ "never": true })));
        drop(dropped);

        let mut tx = test.store.begin(workspace, actor()).await.unwrap();
        let ticket = tx.insert_ticket(new_ticket("kept")).await.unwrap();
        assert_eq!(ticket.id, round + 1, "ids have no gap either");
        tx.record(event(EventType::TicketCreated, json!({ "round": round })));
        tx.commit().await.unwrap();
    }

    let events = test.store.reader(workspace).list_events(0, 100).await.unwrap();
    let sequences: Vec<_> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, [1, 2, 3]);
    assert!(events.iter().all(|event| !event.data.contains("never")));
}

#[tokio::test]
async fn each_workspace_has_a_sequence_of_its_own() {
    let test = TestStore::create().await;
    let other = insert_workspace(&test.store, "other").await;
    for workspace in [test.workspace.id, other.id, test.workspace.id] {
        let mut tx = test.store.begin(workspace, actor()).await.unwrap();
        tx.record(event(EventType::WorkspaceUpdated, json!({})));
        tx.commit().await.unwrap();
    }
    assert_eq!(test.store.reader(test.workspace.id).list_events(0, 10).await.unwrap().len(), 2);
    let others = test.store.reader(other.id).list_events(0, 10).await.unwrap();
    assert_eq!(others.len(), 1);
    assert_eq!(others[0].sequence, 1);
}

#[tokio::test]
async fn an_event_reads_back_as_it_was_recorded() {
    let test = TestStore::create().await;
    let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
    let previous = json!({ "status": "OPEN" }).as_object().unwrap().clone();
    let id = tx.record(Event {
        event_type: EventType::TicketUpdated,
        topics: vec!["ticket.updated".to_owned(), "ticket.status_changed".to_owned()],
        object: json!({ "id": 42, "title": "<b>\u{1f600}</b>" }),
        changed_fields: vec!["status".to_owned()],
        previous,
        beside: json!({ "ticket": {"id": 42} }).as_object().unwrap().clone(),
    });
    tx.commit().await.unwrap();

    let events = test.store.reader(test.workspace.id).list_events(0, 10).await.unwrap();
    let expected = format!(
        r#"{{"id":"{id}","type":"ticket.updated","topics":["ticket.updated","ticket.status_changed"],"timestamp":"2026-01-01T00:00:00.000Z","sequence":1,"workspaceId":"{}","actor":{{"type":"KEY","id":"4fQ7x2Lm","name":"Sales portal"}},"data":{{"object":{{"id":42,"title":"<b>😀</b>"}},"changedFields":["status"],"previous":{{"status":"OPEN"}},"ticket":{{"id":42}}}}}}"#,
        test.workspace.public_id
    );
    assert_eq!(events[0].payload(&test.workspace.public_id), expected);
}

#[tokio::test]
async fn an_event_is_dated_when_it_commits() {
    let test = TestStore::create().await;
    let operator =
        Actor { kind: ActorKind::Operator, id: "cli".to_owned(), name: "root".to_owned() };
    let mut tx = test.store.begin(test.workspace.id, operator.clone()).await.unwrap();
    tx.record(event(EventType::WorkspaceUpdated, json!({})));
    test.clock.advance_millis(5_000);
    tx.commit().await.unwrap();
    let events = test.store.reader(test.workspace.id).list_events(0, 10).await.unwrap();
    assert_eq!(events[0].actor, operator);
    assert_eq!(events[0].created_at, Timestamp(crate::support::database::START.0 + 5_000));
}

/// The names of an object's members.
fn members(object: &Value) -> BTreeSet<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[tokio::test]
async fn every_type_of_event_is_made_and_shows_its_resource_as_the_documentation_has_it() {
    let smtp = Smtp::start().await;
    let options = Options { email: Some(smtp.settings()), ..Options::default() };
    let orqit = Orqit::start_with(options).await;
    let admin = orqit.rest_as(&["admin"]).await;
    let create = async |path: &str, body: Value| admin.post(path, body).await.data(201);
    let ticket = create("/tickets", vpn()).await;
    admin.patch(&format!("/tickets/{}", ticket["id"]), json!({"priority": "LOW"})).await.data(200);
    create(&format!("/tickets/{}/comments", ticket["id"]), json!({"body": "On it."})).await;
    let user = json!({"displayName": "Ana", "email": "ana@example.com"});
    let user = create("/users", user).await;
    admin.patch(&format!("/users/{}", user["id"]), json!({"phone": "1"})).await.data(200);
    create("/categories", json!({"name": "VPN", "baseCategory": "NETWORK"})).await;
    admin.patch("/categories/1", json!({"active": false})).await.data(200);
    create("/kb/articles", json!({"title": "VPN", "body": "Wait."})).await;
    admin.patch("/kb/articles/1", json!({"status": "PUBLISHED"})).await.data(200);
    create("/assets", json!({"name": "Laptop", "type": "LAPTOP"})).await;
    admin.patch("/assets/1", json!({"notes": "Loud."})).await.data(200);
    create("/projects", json!({"key": "OPS", "name": "Move"})).await;
    admin.patch("/projects/OPS", json!({"status": "ACTIVE"})).await.data(200);
    create("/projects/OPS/tasks", json!({"title": "Pack"})).await;
    admin.patch("/tasks/OPS-1", json!({"status": "DONE"})).await.data(200);
    create("/custom-fields", json!({"key": "site", "label": "Site", "type": "TEXT"})).await;
    admin.patch("/custom-fields/1", json!({"active": false})).await.data(200);
    let key = create("/keys", json!({"name": "Portal", "scopes": ["read-only"]})).await;
    let key = format!("/keys/{}", key["id"].as_str().expect("text"));
    admin.patch(&key, json!({"name": "Sales portal"})).await.data(200);
    admin.post(&format!("{key}/rotate"), json!({"gracePeriodSeconds": 60})).await.data(201);
    send(admin.request(Method::DELETE, &key)).await.data(200);
    admin.patch("/workspace", json!({"maxActiveKeys": 9})).await.data(200);
    let receiver = Receiver::start().await;
    let hook = create("/webhooks", json!({"url": receiver.url(), "events": ["kb.*"]})).await;
    let hook = format!("/webhooks/{}", hook["id"]);
    admin.patch(&hook, json!({"description": "Chat"})).await.data(200);
    receiver.answer(|_| status(410));
    admin.post(&format!("{hook}/test"), json!({})).await.data(202);
    let disabled = async || admin.get(&hook).await.data(200)["status"] == "DISABLED";
    while !disabled().await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    send(admin.request(Method::DELETE, &hook)).await.data(200);
    for (id, (to, status)) in [("ana", "SENT"), ("nobody", "FAILED")].iter().enumerate() {
        let to = [format!("{to}@example.com")];
        create("/emails", json!({"to": to, "subject": "Laptop", "text": "Ready."})).await;
        let path = format!("/emails/{}", id + 1);
        let ended = async || admin.get(&path).await.data(200)["status"] == *status;
        while !ended().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    let mut item = vpn_with(json!({"externalSource": "old", "externalId": "1"}));
    item["requester"] = json!({"email": "jo@example.com"});
    for title in ["VPN", "VPN again"] {
        item["title"] = json!(title);
        admin.post("/tickets/import", json!({"items": [item]})).await.data(200);
    }

    let document: Value = serde_json::from_str(OPENAPI).expect("JSON");
    let payloads = orqit.payloads().await;
    for event_type in EventType::ALL {
        let (name, message) = (event_type.name(), event_type.object());
        let schema = &document["components"]["schemas"][message]["properties"];
        let payload = payloads.iter().rfind(|payload| payload["type"] == name);
        let data = &payload.unwrap_or_else(|| panic!("no {name}"))["data"];
        assert_eq!(members(&data["object"]), members(schema), "{name}");
        let changed = data["changedFields"].as_array().expect("a list").len();
        let is_change = ![".created", ".deleted", ".test", "user.imported"]
            .iter()
            .any(|end| name.ends_with(end));
        assert_eq!(changed > 0, is_change, "{name}: {data}");
        assert_eq!(members(&data["previous"]).len(), changed, "{name}: {data}");
    }
    // Nothing is recorded but what is on the list.
    let known: BTreeSet<_> = EventType::ALL.iter().map(|event_type| event_type.name()).collect();
    for payload in &payloads {
        assert!(known.contains(payload["type"].as_str().expect("text")), "{payload}");
    }
}
