//! Tests of the queue, the sums, and the cost of an entry for its request.

use std::net::IpAddr;

use http::HeaderValue;
use rest::Rpc;

use super::*;
use crate::auth::caller::Caller;
use crate::auth::scope::Scopes;
use crate::clock::Timestamp;
use crate::store::{KeyRecord, MadeBy, Workspace};
use crate::transport::Transport;

static RPC: Rpc = Rpc {
    service: "orqit.v1.TicketService",
    method: "GetTicket",
    grpc_path: "/orqit.v1.TicketService/GetTicket",
    policy: None,
    routes: &[],
    versioned: false,
    has_figures: false,
    streams: false,
};

fn caller(key_id: &str) -> Arc<Caller> {
    let workspace = Workspace {
        id: WorkspaceId(1),
        public_id: "ws_1".to_owned(),
        slug: "default".to_owned(),
        name: "Default".to_owned(),
        max_active_keys: 10,
        key_creations_per_hour: 5,
        can_manage_api_keys: true,
        notify_by_email: false,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        version: 1,
    };
    let key = KeyRecord {
        key_id: key_id.to_owned(),
        key_hash: [0; 32],
        name: "Test key".to_owned(),
        description: None,
        scopes: Vec::new(),
        requested_scopes: Vec::new(),
        per_minute: 0,
        group_per_minute: 0,
        expires_at: None,
        revoked_at: None,
        created_at: Timestamp(0),
        created_by: None,
        last_four: "1234".to_owned(),
        lineage: key_id.to_owned(),
        rotated_from: None,
        rotated_to: None,
        made_by: MadeBy::Operator,
        version: 1,
        updated_at: Timestamp(0),
        workspace,
        system_user_id: 2,
    };
    Arc::new(Caller { key, scopes: Scopes::of_names::<&str>(&[]).expect("none") })
}

fn entry(caller: Option<&Arc<Caller>>, at: i64) -> Entry {
    let client = IpAddr::from([198, 51, 100, 7]);
    let id = HeaderValue::from_static("req_5b0JmN3kTq8ZbN1xYw4fQ7");
    let trail = Trail::new(Timestamp(at), Transport::Grpc, client, id);
    if let Some(caller) = caller {
        trail.caller.set(Arc::clone(caller)).expect("new");
    }
    trail.rpc.set((&RPC, None)).expect("new");
    let (method, latency) = ("POST", Duration::from_micros(1250));
    Entry { trail: Arc::new(trail), method, status: 200, code: None, latency }
}

/// Returns requests, errors and the last use over all batches.
fn sums(batches: &VecDeque<BTreeMap<WorkspaceId, Usage>>) -> (usize, i64, i64) {
    let usages = || batches.iter().flat_map(BTreeMap::values);
    let rows = usages().map(|usage| usage.requests.len()).sum();
    let of_key = |usage: &Usage| {
        let hours = usage
            .figures
            .iter()
            .filter(|(key, _)| key.span == crate::store::Span::Hour && key.key_id.is_some());
        hours.map(|(_, figures)| figures.requests).sum::<i64>()
    };
    let last = usages().flat_map(|usage| usage.key_uses.values()).map(|last| last.at.0).max();
    (rows, usages().map(of_key).sum(), last.unwrap_or_default())
}

#[test]
fn entries_that_do_not_fit_are_counted_and_still_add_up() {
    let queue = Queue::new(10);
    let caller = caller("4fQ7x2Lm");
    for at in 1..=100 {
        queue.push(entry(Some(&caller), at));
    }
    let lost = queue.take_lost();
    let (rows, requests, last) = sums(&batches(queue.drain()));
    // A thread has its part of the queue.
    assert_eq!(rows as u64 + lost, 100);
    assert!((1..=10).contains(&rows), "{rows}");
    assert_eq!((requests, last), (100, 100));
    assert_eq!(queue.take_lost(), 0);
    // There is room again.
    queue.push(entry(Some(&caller), 101));
    assert_eq!(sums(&batches(queue.drain())), (1, 1, 101));
}

#[test]
fn figures_beyond_the_queue_are_bounded_too() {
    let mut tally = Tally::default();
    let callers: Vec<_> = (0..5).map(|number| caller(&format!("key{number}"))).collect();
    let added = callers.iter().filter(|caller| tally.add(&entry(Some(caller), 1), 3)).count();
    assert_eq!(added, 3);
    // What is known is still added to, and uses are kept of all.
    assert!(tally.add(&entry(Some(&callers[0]), 2), 3));
    let usage = tally.into_usage().remove(&WorkspaceId(1)).expect("usage");
    assert_eq!(usage.key_uses.len(), 5);
}

#[test]
fn batches_are_short_and_in_order_of_time() {
    let caller = caller("4fQ7x2Lm");
    let entries = (0..2_500).rev().map(|at| entry(Some(&caller), at)).collect();
    let batches = batches((entries, Tally::default()));
    let requests = batches.iter().flat_map(|batch| &batch[&WorkspaceId(1)].requests);
    let times: Vec<_> = requests.map(|request| request.received_at.0).collect();
    assert_eq!(times, (0..2_500).collect::<Vec<_>>());
    assert!(batches.iter().all(|batch| batch[&WorkspaceId(1)].requests.len() <= USAGE_BATCH_MAX));
}

#[tokio::test]
async fn taking_an_entry_costs_next_to_nothing() {
    const ENTRIES: usize = 10_000;
    const ROUNDS: u32 = 20;
    let directory = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite://{}", directory.path().join("orqit.db").display());
    let settings = crate::store::Settings::default();
    let store = Store::open(&url, &settings, crate::clock::Clock::System).await.expect("a store");
    let recorder = Recorder::new(store, 100 * ENTRIES);
    let entry = entry(Some(&caller("4fQ7x2Lm")), 1);
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let begun = std::time::Instant::now();
        for _ in 0..ENTRIES {
            recorder.take(entry.clone());
        }
        best = best.min(begun.elapsed());
        assert_eq!(recorder.0.queue.drain().0.len(), ENTRIES);
    }
    println!("{} ns to take an entry", best.as_nanos() / ENTRIES as u128);
    // An entry without a caller leaves nothing.
    recorder.take(super::tests::entry(None, 1));
    assert!(recorder.0.queue.drain().0.is_empty());
}
