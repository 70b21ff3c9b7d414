//! What is left when the process is killed at any moment: for every idempotency key exactly one
//! effect, and every answer that was given is given again.
//!
//! `ORQIT_TEST_KILLS` says how often it is killed; `scripts/check-kills` sets it.

mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::{Duration, Instant};

use orqit::clock::Clock;
use orqit::event::RecordedEvent;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::cli::Machine;
use crate::support::receiver::{Received, Receiver};
use crate::support::rest::Rest;
use worker::{PRIORITIES, STATUSES, Worker};

const KILLS_DEFAULT: usize = 6;
const WORKERS: u64 = 4;
/// A kill comes when the workers have so many answers together, and a moment later: on a busy
/// machine, too, it comes into work.
const ANSWERS: Range<u32> = 1..100;
const LATER_MILLIS: Range<u64> = 0..5;
/// How long those answers may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(120);
/// The most answers that each worker asks for again after the last kill.
const REPLAYS_MAX: usize = 1000;

/// Tickets by id.
type Tickets = BTreeMap<i64, Value>;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_loses_and_repeats_nothing_that_it_acknowledged() {
    let kills = std::env::var("ORQIT_TEST_KILLS");
    let kills = kills.map_or(KILLS_DEFAULT, |text| text.parse().expect("a number of kills"));
    let machine = Machine::new().await;
    let mut random = StdRng::seed_from_u64(4711);
    let mut workers: Vec<_> = (0..WORKERS).map(Worker::new).collect();
    Machine::printed(machine.run(&["workspace", "create", "default"]).await);
    let key = machine.unlimited_key("admin").await;

    let receiver = Receiver::start().await;
    register(&machine, &key, &receiver).await;

    for _ in 0..kills {
        let mut serving = machine.serve(&SERVE).await;
        let rest = Rest::new(serving.url.clone(), &key);
        let answers = Arc::new(Semaphore::new(0));
        let work = |worker: Worker| tokio::spawn(worker.work(rest.clone(), Arc::clone(&answers)));
        let working: Vec<_> = workers.into_iter().map(work).collect();
        let enough = answers.acquire_many(random.random_range(ANSWERS));
        let enough = tokio::time::timeout(ANSWERS_WITHIN, enough).await.expect("in time");
        enough.expect("never closed").forget();
        tokio::time::sleep(Duration::from_millis(random.random_range(LATER_MILLIS))).await;
        serving.child.kill().await.expect("killed");
        workers = Vec::new();
        for worker in working {
            workers.push(worker.await.expect("no wrong answer"));
        }
    }

    let serving = machine.serve(&SERVE).await;
    let began = Instant::now();
    let rest = Rest::new(serving.url.clone(), &key);
    for worker in &mut workers {
        worker.finish(&rest).await;
        worker.replay(&rest, REPLAYS_MAX).await;
    }
    let tickets: Tickets = workers.iter().flat_map(Worker::tickets).collect();
    assert_lists_and_totals(&rest, &tickets).await;
    let last = rest.get("/events?after=0&perPage=1&types=webhook.created").await.data(200);
    let registered = last[0]["sequence"].as_i64().expect("a number");
    let events = events(&machine).await;
    let sent = deliveries(&receiver, registered + 1..=events.len() as i64, began).await;
    serving.stop().await;
    assert_events(&events, &workers, &tickets);
    report(kills, &workers, &tickets, events.len());
    eprintln!(
        "{sent} requests brought the {} events to an endpoint, each attempt once",
        events.len()
    );
}

/// Lets every server send to this machine.
const SERVE: [&str; 2] = ["--webhook-allow-networks", "127.0.0.0/8"];
/// How long after a restart everything is sent, at most, that was being sent at the kill.
const SENT_WITHIN: Duration = Duration::from_secs(30);

/// Registers an endpoint that gets everything from here on.
async fn register(machine: &Machine, key: &str, receiver: &Receiver) {
    let serving = machine.serve(&SERVE).await;
    let rest = Rest::new(serving.url.clone(), key);
    rest.post("/webhooks", json!({"url": receiver.url()})).await.data(201);
    serving.stop().await;
}

/// Waits until each event has arrived, and answers how many requests that took; none of them is the
/// same attempt as another.
async fn deliveries(receiver: &Receiver, wanted: RangeInclusive<i64>, began: Instant) -> usize {
    loop {
        let received = receiver.received();
        let arrived: BTreeSet<_> = received.iter().map(Received::sequence).collect();
        let missing = wanted.clone().filter(|sequence| !arrived.contains(sequence));
        let missing: Vec<_> = missing.collect();
        if missing.is_empty() {
            let attempt = |it: &Received| {
                (it.header("x-orqit-delivery").to_owned(), it.header("x-orqit-attempt").to_owned())
            };
            let attempts: BTreeSet<_> = received.iter().map(attempt).collect();
            assert_eq!(attempts.len(), received.len(), "an attempt was repeated");
            return received.len();
        }
        assert!(began.elapsed() < SENT_WITHIN, "never sent: {missing:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// All tickets of a list, by its pages, and the total that each page tells.
async fn walk(rest: &Rest, filter: &str) -> Tickets {
    let mut found = Tickets::new();
    let mut cursor = String::new();
    let mut total = None;
    loop {
        let page = rest.get(&format!("/tickets?perPage=100{filter}{cursor}")).await;
        for ticket in page.data(200).as_array().expect("a list") {
            let id = ticket["id"].as_i64().expect("an id");
            assert!(found.insert(id, ticket.clone()).is_none(), "{id} is listed twice");
        }
        let meta = page.json()["meta"].take();
        // Only the first page was asked for by number, and tells it.
        total.get_or_insert_with(|| meta["totalCount"].clone());
        match meta["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(total, Some(Value::from(found.len())), "the total of {filter:?}");
    found
}

/// The lists have each acknowledged ticket once, as it was acknowledged last, and no other.
async fn assert_lists_and_totals(rest: &Rest, tickets: &Tickets) {
    assert!(walk(rest, "").await == *tickets, "the list differs from what was acknowledged");
    let filters = STATUSES.iter().map(|status| ("status", status));
    for (field, value) in filters.chain(PRIORITIES.iter().map(|priority| ("priority", priority))) {
        let mut expected = tickets.clone();
        expected.retain(|_, ticket| ticket[field] == *value);
        let found = walk(rest, &format!("&{field}={value}")).await;
        assert!(found == expected, "the list of {field}={value}");
    }
}

/// The event log of the workspace.
async fn events(machine: &Machine) -> Vec<RecordedEvent> {
    let store = machine.database.open(Clock::System).await;
    let workspace = store.find_workspace_by_slug("default").await.unwrap().expect("a workspace");
    let mut events: Vec<RecordedEvent> = Vec::new();
    loop {
        let last = events.last().map_or(0, |event| event.sequence);
        let more = store.reader(workspace.id).list_events(last, 1000).await.unwrap();
        if more.is_empty() {
            break;
        }
        events.extend(more);
    }
    store.close().await.unwrap();
    events
}

/// The log has no gap, one event for each version of each ticket, and in it what was acknowledged.
fn assert_events(events: &[RecordedEvent], workers: &[Worker], tickets: &Tickets) {
    let mut told: BTreeMap<(i64, i64), Value> = BTreeMap::new();
    for (event, sequence) in events.iter().zip(1..) {
        assert_eq!(event.sequence, sequence);
        let mut data: Value = serde_json::from_str(&event.data).expect("JSON");
        let object = data["object"].take();
        let version = object["version"].as_i64();
        match event.event_type.as_str() {
            "ticket.created" => assert_eq!(version, Some(1)),
            "ticket.updated" => assert!(version > Some(1), "{object}"),
            _ => continue,
        }
        let id = object["id"].as_i64().expect("an id");
        let again = told.insert((id, version.expect("a version")), object);
        assert!(again.is_none(), "{id} at {version:?} is told twice");
    }
    let versions = tickets.values().map(|ticket| ticket["version"].as_i64().expect("a version"));
    assert_eq!(told.len() as i64, versions.sum::<i64>(), "one event for each version");
    for answer in workers.iter().flat_map(Worker::acknowledged) {
        let place = ["id", "version"].map(|field| answer[field].as_i64().expect("a number"));
        assert_eq!(told.get(&(place[0], place[1])), Some(&answer));
    }
}

fn report(kills: usize, workers: &[Worker], tickets: &Tickets, events: usize) {
    let sum = |count: fn(&Worker) -> usize| workers.iter().map(count).sum::<usize>();
    let acknowledged = sum(|worker| worker.acknowledged().count());
    println!(
        "{kills} kills: {} creates and {} updates acknowledged, {} of them retried after a kill \
         ({} had been made before it); {} answers given again, byte for byte; {events} events \
         without a gap",
        tickets.len(),
        acknowledged - tickets.len(),
        sum(|worker| worker.retried),
        sum(|worker| worker.made_before),
        sum(|worker| worker.replayed),
    );
}
