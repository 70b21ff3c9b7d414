//! Claims of deliveries: whoever has one sends, whoever lost one changes nothing, and what outlives
//! those who send it is parked.

use std::time::Duration;

use orqit::store::webhooks::{
    Claim, DeliveryStatus, Outcome, Parcel, Recorded, SentAttempt, Trigger, Webhook, WebhookStatus,
};
use orqit::store::{Store, WorkspaceId};
use orqit::usage::retention::Retention;
use serde_json::json;

use crate::support::database::{TestStore, actor};
use crate::support::receiver::Receiver;
use crate::support::requests::{vpn, vpn_with};
use crate::support::server::{Options, Orqit};
use crate::support::tickets::{event, new_webhook};

/// An endpoint that wants everything, as its id; nobody sends to it but a test.
async fn endpoint(test: &TestStore) -> i64 {
    let locking = test.store.begin_locking(test.workspace.id, actor()).await.expect("a change");
    let mut tx = locking.endpoints_changed().await.expect("told");
    let id = tx.next_id::<Webhook>().await.expect("an id");
    let new = Webhook { id, ..new_webhook(tx.now()) };
    tx.insert(new).await.expect("made");
    tx.commit().await.expect("committed");
    id
}

/// Makes `count` events and turns them into deliveries, none of which is claimed.
async fn deliveries(test: &TestStore, count: i64) {
    for number in 0..count {
        let mut tx = test.store.begin(test.workspace.id, actor()).await.expect("a change");
        tx.record(event(orqit::event_type::EventType::WorkspaceUpdated, json!({"n": number})));
        tx.commit().await.expect("committed");
    }
    let next = test.store.next_fan_out(test.workspace.id, 1).await.expect("read").expect("some");
    let due = next.deliveries();
    assert_eq!(due.len() as i64, count);
    test.store.fan_out(&next, &due, 1, 1).await.expect("written").expect("ours");
    assert!(test.store.fan_out(&next, &due, 1, 1).await.expect("read").is_none(), "only once");
}

async fn claim(store: &Store, key: (WorkspaceId, i64), most: usize, token: i64) -> Vec<Claim> {
    store.record_attempts(&[], &[(key, most)], token).await.expect("claimed").claims
}

fn sequence(claim: &Claim) -> i64 {
    match &claim.parcel {
        Parcel::Event { event, .. } => event.sequence,
        Parcel::Email(email) => panic!("an e-mail: {email:?}"),
    }
}

fn success(claim: &Claim) -> Outcome {
    let attempt = SentAttempt {
        started_at: orqit::clock::Timestamp(0),
        duration_ms: 1,
        status_code: Some(200),
        error: None,
        response_headers: "{}".to_owned(),
        response_body: String::new(),
    };
    Outcome {
        endpoint: claim.endpoint,
        delivery: claim.id,
        token: claim.token,
        attempt: Some(attempt),
        number: claim.attempt_count + 1,
        trigger: claim.trigger,
        is_success: true,
        failures: 0,
        next_at: None,
    }
}

#[tokio::test]
async fn a_claim_counts_until_its_time_has_passed() {
    let test = TestStore::create().await;
    let key = (test.workspace.id, endpoint(&test).await);
    deliveries(&test, 3).await;
    let first = claim(&test.store, key, 2, 7).await;
    assert_eq!(first.iter().map(sequence).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(claim(&test.store, key, 9, 8).await.len(), 1, "only what nobody has");
    assert!(claim(&test.store, key, 9, 9).await.is_empty());

    // One is done in time; the other one's time passes, and somebody else takes it up.
    let record = async |outcome: Outcome| -> Recorded {
        test.store.record_attempts(&[outcome], &[], 1).await.expect("written")
    };
    assert!(record(success(&first[0])).await.late.is_empty());
    test.clock.advance_millis(20_001);
    let again = claim(&test.store, key, 9, 10).await;
    assert_eq!(again.iter().map(|it| it.id).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(again[0].attempt_count, 1, "the lost one counts");
    assert_eq!(record(success(&first[1])).await.late, [(key.0, 2)]);
    let reader = test.store.reader(key.0);
    let delivery = reader.find_delivery(key.1, 2).await.expect("read").expect("there");
    assert_eq!((delivery.status, delivery.attempt_count), (DeliveryStatus::Pending, 1));
    assert!(record(success(&again[0])).await.late.is_empty());
    assert_eq!(record(success(&again[0])).await.late, [(key.0, 2)], "never twice");
    let attempts = reader.list_attempts(2).await.expect("read");
    let told: Vec<_> = attempts.iter().map(|it| (it.number, it.error.is_some())).collect();
    assert_eq!(told, [(1, true), (2, false)]);
}

#[tokio::test]
async fn what_five_have_not_finished_is_parked_until_somebody_asks_for_it() {
    let test = TestStore::create().await;
    let key = (test.workspace.id, endpoint(&test).await);
    deliveries(&test, 1).await;
    for token in 1..=5 {
        assert_eq!(claim(&test.store, key, 9, token).await.len(), 1, "claim {token}");
        test.clock.advance_millis(20_001);
    }
    assert!(claim(&test.store, key, 9, 6).await.is_empty());
    let reader = test.store.reader(key.0);
    let delivery = reader.find_delivery(key.1, 1).await.expect("read").expect("there");
    assert_eq!((delivery.status, delivery.next_attempt_at), (DeliveryStatus::Parked, None));
    assert_eq!(reader.list_attempts(1).await.expect("read").len(), 5);
    let mut tx = test.store.begin(key.0, actor()).await.expect("a change");
    tx.redeliver(key.1, 1).await.expect("asked").expect("there");
    tx.commit().await.expect("committed");
    let claimed = claim(&test.store, key, 9, 7).await;
    assert_eq!((claimed.len(), claimed[0].trigger), (1, Trigger::Manual));
}

#[tokio::test]
async fn an_endpoint_that_is_off_is_claimed_nothing_of() {
    let test = TestStore::create().await;
    let key = (test.workspace.id, endpoint(&test).await);
    deliveries(&test, 2).await;
    let in_flight = claim(&test.store, key, 1, 5).await;
    let (before, mut tx) = test.locked::<Webhook>(&key.1.to_string()).await;
    tx.void_deliveries(key.1).await.expect("given up");
    let off = Webhook { status: WebhookStatus::Disabled, void_up_to: 2, ..before.clone() };
    tx.update(&before, off).await.expect("changed");
    tx.commit().await.expect("committed");
    assert!(claim(&test.store, key, 9, 6).await.is_empty());
    // What was on its way is written down, and not tried again.
    let failed = Outcome {
        is_success: false,
        next_at: Some(test.clock.now().plus_millis(5000)),
        failures: 1,
        ..success(&in_flight[0])
    };
    assert!(test.store.record_attempts(&[failed], &[], 1).await.expect("written").late.is_empty());
    let reader = test.store.reader(key.0);
    for id in [1, 2] {
        let delivery = reader.find_delivery(key.1, id).await.expect("read").expect("there");
        assert_eq!(delivery.status, DeliveryStatus::Failed, "{id}");
    }
    assert_eq!(reader.list_attempts(1).await.expect("read").len(), 1);
}

/// Deletes all that is too old.
async fn forget(orqit: &Orqit) {
    let kept = Duration::from_secs(3600);
    let retention = Retention { request_logs: kept, events: kept, emails: kept };
    while retention.delete_batch(&orqit.store, orqit.clock.now()).await.expect("deleted") > 0 {}
}

#[tokio::test]
async fn old_events_expire_but_for_what_is_still_to_be_sent() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let receiver = Receiver::start().await;
    receiver.answer(|_| {
        let mut answer = crate::support::receiver::status(503);
        answer.headers_mut().insert("retry-after", "86400".parse().expect("a header"));
        answer
    });
    rest.post("/tickets", vpn()).await.data(201);
    rest.post("/webhooks", json!({"url": receiver.url(), "events": ["ticket.*"]})).await.data(201);
    rest.post("/tickets", vpn_with(json!({"title": "Late"}))).await.data(201);
    let pending = async || {
        let told = rest.get("/webhooks/1/deliveries/1").await;
        told.status == 200 && told.data(200)["attemptCount"] == 1
    };
    while !pending().await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let begun = orqit.clock.now();
    orqit.clock.advance_millis(2 * 3600 * 1000);
    rest.post("/users", json!({"displayName": "Ana", "email": "ana@example.com"})).await.data(201);
    forget(&orqit).await;
    let error = rest.get("/events?after=1").await.error(410, "EVENTS_EXPIRED").clone();
    assert_eq!(error["oldestSequence"], 4);
    rest.get("/events/stream?after=2").await.error(410, "EVENTS_EXPIRED");
    let all = rest.get("/events?after=0").await.data(200);
    assert_eq!((all.as_array().expect("a list").len(), &all[0]["sequence"]), (1, &json!(4)));
    rest.get("/events/2").await.error(404, "EVENT_NOT_FOUND");
    let replay = json!({"since": begun.to_rfc3339()});
    rest.post("/webhooks/1/replay", replay).await.error(410, "EVENTS_EXPIRED");
    // It is sent all the same, whole; and forgotten with its event afterwards.
    receiver.answer(|_| crate::support::receiver::status(200));
    orqit.clock.advance_millis(24 * 3600 * 1000);
    orqit.store.wakes().due().add((orqit.workspace.id, 1));
    let arrived = receiver.wait(2).await;
    assert_eq!(arrived[1].json()["data"]["object"]["title"], "Late");
    let done = async || rest.get("/webhooks/1").await.data(200)["lastDeliveryAt"].is_string();
    while !done().await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    forget(&orqit).await;
    rest.get("/webhooks/1/deliveries/1").await.error(404, "DELIVERY_NOT_FOUND");
    assert!(orqit.events().await.is_empty());
}

/// Two processes over one database send each event once, and each hears of the other's events at once.
#[tokio::test(flavor = "multi_thread")]
async fn several_processes_send_each_event_once() {
    let orqit = Orqit::start().await;
    if !orqit.store.is_shared() {
        return;
    }
    let other = orqit.replica(Options::default()).await;
    let receiver = Receiver::start().await;
    let one = orqit.rest_as(&["admin"]).await;
    let two = other.rest(&orqit.key(&["admin"]).await);
    one.post("/webhooks", json!({"url": receiver.url(), "events": ["ticket.created"]}))
        .await
        .data(201);
    for number in 0..150 {
        let title = json!({"title": number.to_string()});
        let (here, there) = tokio::join!(
            one.post("/tickets", vpn_with(title.clone())),
            two.post("/tickets", vpn_with(title))
        );
        here.data(201);
        there.data(201);
    }
    let mut sequences: Vec<_> = receiver.wait(300).await.iter().map(|it| it.sequence()).collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(receiver.received().len(), 300);
    sequences.sort_unstable();
    sequences.dedup();
    assert_eq!(sequences.len(), 300);
}
