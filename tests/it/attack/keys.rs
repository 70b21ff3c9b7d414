//! A flood of keys that do not exist, and keys that do from the same address.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use orqit::auth::key::KeyText;
use tokio::task::JoinSet;

use super::target::{KEYLESS_MIB, Sent, Target};
use crate::cli::Machine;
use crate::support::rest::Rest;

const KEYS: usize = 25;

async fn flood(target: &Target, keys: &[String]) -> Sent {
    let (done, url) = (Arc::new(AtomicBool::new(false)), target.serving.url.clone());
    let mut guessing = JoinSet::new();
    for _ in 0..8 {
        let (done, url) = (Arc::clone(&done), url.clone());
        guessing.spawn(async move {
            let (mut guesses, mut wrong) = (0_usize, 0_usize);
            while !done.load(Ordering::SeqCst) {
                let guess = KeyText::generate().reveal().to_owned();
                let status = Rest::new(url.clone(), &guess).get("/tickets").await.status.as_u16();
                guesses += 1;
                wrong += usize::from(!matches!(status, 401 | 429));
            }
            (guesses, wrong)
        });
    }
    let mut sent = Sent::default();
    for key in keys {
        let answer = Rest::new(url.clone(), key).get("/tickets").await;
        if answer.status != 200 {
            sent.faults.push(format!("a right key got {}", answer.status));
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    done.store(true, Ordering::SeqCst);
    let guesses = guessing.join_all().await;
    let (all, wrong) = guesses.iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    sent.what = format!("{all} keys that do not exist");
    if wrong > 0 {
        sent.faults.push(format!("{wrong} of them were answered otherwise than 401 and 429"));
    }
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_wrong_keys_shuts_no_right_key_out() {
    let target = Target::start(&[]).await;
    let cap = ["workspace", "update", "default", "--max-active-keys", "100"];
    Machine::printed(target.machine.run(&cap).await);
    let mut keys = Vec::new();
    for _ in 0..KEYS {
        keys.push(target.machine.unlimited_key("tickets:read").await);
    }
    // After a restart it has seen none of them.
    let target = target.restart().await;
    target.attack("wrong keys", KEYLESS_MIB, flood(&target, &keys)).await;
}
