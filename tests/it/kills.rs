//! What is left when the process is killed at any moment: for every idempotency key exactly one
//! effect, and every answer that was given is given again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use tokio::sync::Mutex;

use crate::cli::Machine;
use crate::support::requests::vpn_with;
use crate::support::rest::Rest;

const ROUNDS: u64 = 6;
const WORKERS: u64 = 4;

/// Answers that were read whole, by idempotency key.
type Acknowledged = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// Creates tickets under keys of its own until the service is gone; each key twice.
async fn create_until_gone(rest: Rest, round: u64, worker: u64, acknowledged: Acknowledged) {
    for number in 0.. {
        let key = format!("{round}-{worker}-{}", number / 2);
        if !try_create(&rest, &key, &acknowledged).await {
            return;
        }
    }
}

/// Creates the ticket of a key. An answer must be the one that was acknowledged before, if one was.
async fn try_create(rest: &Rest, key: &str, acknowledged: &Acknowledged) -> bool {
    let body = vpn_with(json!({"title": key}));
    let request = rest.request(Method::POST, "/tickets").header("idempotency-key", key).json(&body);
    let Ok(response) = request.send().await else { return false };
    let status = response.status().as_u16();
    let Ok(bytes) = response.bytes().await else { return false };
    assert_eq!(status, 201, "{key}: {}", String::from_utf8_lossy(&bytes));
    let mut acknowledged = acknowledged.lock().await;
    let first = acknowledged.entry(key.to_owned()).or_insert_with(|| bytes.to_vec());
    assert_eq!(*first, bytes, "{key} was acknowledged with another answer");
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_leaves_one_effect_per_key_and_replays_what_it_acknowledged() {
    let machine = Machine::new().await;
    let mut random = StdRng::seed_from_u64(4711);
    let acknowledged = Acknowledged::default();
    let mut key = None;
    for round in 0..ROUNDS {
        let mut serving = machine.serve(&[]).await;
        if key.is_none() {
            key = Some(machine.unlimited_key("admin").await);
        }
        let rest = Rest::new(serving.url.clone(), key.as_deref().unwrap_or_default());
        let workers = (0..WORKERS).map(|worker| {
            tokio::spawn(create_until_gone(rest.clone(), round, worker, Arc::clone(&acknowledged)))
        });
        let workers: Vec<_> = workers.collect();
        tokio::time::sleep(Duration::from_millis(random.random_range(50..400))).await;
        serving.child.kill().await.expect("killed");
        for worker in workers {
            worker.await.expect("no wrong answer");
        }
    }
    let serving = machine.serve(&[]).await;
    let rest = Rest::new(serving.url.clone(), key.as_deref().unwrap_or_default());
    let keys: Vec<String> = acknowledged.lock().await.keys().cloned().collect();
    assert!(keys.len() > 20, "{}", keys.len());
    for key in &keys {
        assert!(try_create(&rest, key, &acknowledged).await);
    }
    // Whatever was tried, each title is there at most once, and every acknowledged one once.
    let mut titles: BTreeMap<String, u32> = BTreeMap::new();
    let mut path = "/tickets?perPage=100".to_owned();
    loop {
        let page = rest.get(&path).await;
        for ticket in page.data(200).as_array().expect("a list") {
            *titles.entry(ticket["title"].as_str().expect("text").to_owned()).or_default() += 1;
        }
        match page.json()["meta"]["nextCursor"].as_str() {
            Some(cursor) => path = format!("/tickets?perPage=100&cursor={cursor}"),
            None => break,
        }
    }
    assert!(titles.values().all(|count| *count == 1), "{titles:?}");
    assert!(keys.iter().all(|key| titles.contains_key(key)));
    serving.stop().await;
}
