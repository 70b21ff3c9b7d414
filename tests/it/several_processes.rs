//! Several processes over one database: what one of them cannot finish, another one does.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli::{Machine, Serving};
use crate::support::receiver::Receiver;
use crate::support::requests::vpn_with;
use crate::support::rest::Rest;

/// Lets every server send to this machine.
const SERVE: [&str; 2] = ["--webhook-allow-networks", "127.0.0.0/8"];
const ENDPOINTS: usize = 4;
const TICKETS: usize = 60;
/// How long after the end of a process everything is sent, at most, that it was sending.
const SENT_WITHIN: Duration = Duration::from_secs(30);

/// Two processes over one database, and endpoints that both send to.
struct Two {
    one: Serving,
    other: Serving,
    rest: Rest,
    receiver: Receiver,
    // Dropped last.
    _machine: Machine,
}

/// None on a database that only one process serves.
async fn two() -> Option<Two> {
    let machine = Machine::new().await;
    if !machine.database.url().starts_with("postgres") {
        return None;
    }
    Machine::printed(machine.run(&["workspace", "create", "default"]).await);
    let key = machine.unlimited_key("admin").await;
    let one = machine.serve(&SERVE).await;
    let rest = Rest::new(one.url.clone(), &key);
    let receiver = Receiver::start().await;
    for _ in 0..ENDPOINTS {
        let hook = json!({"url": receiver.url(), "events": ["ticket.created"]});
        rest.post("/webhooks", hook).await.data(201);
    }
    // Long enough that the one is in the middle of sending when the other is there.
    receiver.pause(Duration::from_secs(6));
    for number in 0..TICKETS {
        rest.post("/tickets", vpn_with(json!({"title": number.to_string()}))).await.data(201);
    }
    receiver.wait(ENDPOINTS).await;
    let other = machine.serve(&SERVE).await;
    let rest = Rest::new(other.url.clone(), &key);
    Some(Two { one, other, rest, receiver, _machine: machine })
}

impl Two {
    /// All deliveries of the endpoints, once each of them has succeeded.
    async fn deliveries(&self, began: Instant) -> Vec<(usize, Value)> {
        loop {
            let mut found = Vec::new();
            for endpoint in 1..=ENDPOINTS {
                let path = format!("/webhooks/{endpoint}/deliveries?perPage=100");
                let listed = self.rest.get(&path).await.data(200).clone();
                let listed = listed.as_array().expect("a list").clone();
                found.extend(listed.into_iter().map(|delivery| (endpoint, delivery)));
            }
            if found.len() == ENDPOINTS * TICKETS
                && found.iter().all(|(_, delivery)| delivery["status"] == "SUCCEEDED")
            {
                return found;
            }
            assert!(began.elapsed() < SENT_WITHIN, "not all was sent within {SENT_WITHIN:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// How many deliveries were begun by who could not finish them; each of them was sent again, and
    /// no other one was.
    async fn assert_taken_over(&self, deliveries: &[(usize, Value)]) -> usize {
        let mut lost = 0;
        for (endpoint, delivery) in deliveries {
            let id = &delivery["id"];
            let path = format!("/webhooks/{endpoint}/deliveries/{id}");
            let told = self.rest.get(&path).await.data(200)["attempts"].clone();
            let told = told.as_array().expect("a list");
            let errors: Vec<_> = told.iter().map(|attempt| &attempt["error"]).collect();
            match errors[..] {
                [error] => assert!(error.is_null(), "{endpoint}/{id}: {error}"),
                [first, second] => {
                    assert_eq!((first, second), (&json!("WORKER_LOST"), &Value::Null));
                    lost += 1;
                }
                _ => panic!("{endpoint}/{id} has the attempts {told:?}"),
            }
        }
        let received = self.receiver.received();
        let attempts: BTreeSet<_> = received
            .iter()
            .map(|it| {
                ["x-orqit-delivery", "x-orqit-attempt"].map(|name| it.header(name).to_owned())
            })
            .collect();
        assert_eq!(attempts.len(), received.len(), "an attempt was sent twice");
        assert!(received.len() <= deliveries.len() + lost, "a delivery was sent without need");
        lost
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_was_sending_is_sent_by_another() {
    let Some(mut two) = two().await else { return };
    two.one.child.kill().await.expect("killed");
    let began = Instant::now();
    two.receiver.pause(Duration::ZERO);
    let deliveries = two.deliveries(began).await;
    let lost = two.assert_taken_over(&deliveries).await;
    assert!(lost > 0, "it was killed while it sent nothing");
    two.other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_late_result_of_a_process_that_stood_still_changes_nothing() {
    let Some(two) = two().await else { return };
    two.one.signal("STOP").await;
    let began = Instant::now();
    two.receiver.pause(Duration::ZERO);
    let before = two.deliveries(began).await;
    two.one.signal("CONT").await;
    // It finds the answers that have come meanwhile, and writes down what it can.
    let mut now = Vec::new();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        now = two.deliveries(Instant::now()).await;
        assert_eq!(now, before);
    }
    let lost = two.assert_taken_over(&now).await;
    assert!(lost > 0, "it stood still while it sent nothing");
    // And it goes on like the other.
    two.rest.post("/tickets", vpn_with(json!({"title": "After"}))).await.data(201);
    two.receiver.wait(ENDPOINTS * (TICKETS + 1)).await;
    two.one.stop().await;
    two.other.stop().await;
}
