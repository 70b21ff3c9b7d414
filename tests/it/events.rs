//! The event log: ordered, without a gap, and never ahead of what it tells of.

use orqit::clock::Timestamp;
use orqit::event::{Actor, ActorKind, Event, RecordedEvent};
use orqit::store::{Store, WorkspaceId};
use serde_json::json;

use crate::support::database::{TestStore, actor, insert_workspace};
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
            tx.record(event("ticket.created", json!({ "id": ticket.id })));
        }
        // Every fifth change comes to nothing first, and must leave no trace.
        if change % 5 == 0 {
            drop(tx);
            tx = store.begin(workspace, actor()).await.unwrap();
            tx.insert_ticket(new_ticket("again")).await.unwrap();
            tx.record(event("ticket.created", json!({})));
            tx.record(event("ticket.created", json!({})));
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
        dropped.record(event("ticket.created", json!({ "never": true })));
        drop(dropped);

        let mut tx = test.store.begin(workspace, actor()).await.unwrap();
        let ticket = tx.insert_ticket(new_ticket("kept")).await.unwrap();
        assert_eq!(ticket.id, round + 1, "ids have no gap either");
        tx.record(event("ticket.created", json!({ "round": round })));
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
        tx.record(event("webhook.test", json!({})));
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
        event_type: "ticket.updated",
        topics: vec!["ticket.updated".to_owned(), "ticket.status_changed".to_owned()],
        object: json!({ "id": 42, "title": "<b>\u{1f600}</b>" }),
        changed_fields: vec!["status".to_owned()],
        previous,
    });
    tx.commit().await.unwrap();

    let events = test.store.reader(test.workspace.id).list_events(0, 10).await.unwrap();
    let expected = format!(
        r#"{{"id":"{id}","type":"ticket.updated","topics":["ticket.updated","ticket.status_changed"],"timestamp":"2026-01-01T00:00:00.000Z","sequence":1,"workspaceId":"{}","actor":{{"type":"KEY","id":"4fQ7x2Lm","name":"Sales portal"}},"data":{{"object":{{"id":42,"title":"<b>😀</b>"}},"changedFields":["status"],"previous":{{"status":"OPEN"}}}}}}"#,
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
    tx.record(event("webhook.test", json!({})));
    test.clock.advance_millis(5_000);
    tx.commit().await.unwrap();
    let events = test.store.reader(test.workspace.id).list_events(0, 10).await.unwrap();
    assert_eq!(events[0].actor, operator);
    assert_eq!(events[0].created_at, Timestamp(crate::support::database::START.0 + 5_000));
}
