//! Keys are known as before while the database has no connection left: reads that take long hold up
//! nobody who needs none.

use std::time::{Duration, Instant};

use orqit::config::KEY_LEASE;
use orqit::store::{Settings, Tx};
use sea_orm::{ConnectionTrait, TransactionTrait};

use crate::support::database::is_postgres;
use crate::support::rest::Rest;
use crate::support::server::{Options, Orqit};
use crate::support::wire::soon;

/// A request that is refused as soon as its key is accepted, without another look at the database.
async fn ask(rest: &Rest) -> u16 {
    rest.get("/tickets?nonsense=1").await.status.as_u16()
}

/// Takes every connection that writes; the one of SQLite, all of PostgreSQL.
async fn take_all_connections(orqit: &Orqit) -> Vec<Tx> {
    let count = if is_postgres() { Settings::default().postgres_connections } else { 1 };
    let mut held = Vec::new();
    for _ in 0..count {
        held.push(orqit.hold_connection().await);
    }
    held
}

#[tokio::test(flavor = "multi_thread")]
async fn known_keys_are_accepted_from_memory_while_every_connection_is_taken() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:read"]).await;
    assert_eq!(ask(&rest).await, 400);
    let held = take_all_connections(&orqit).await;
    let began = Instant::now();
    // Longer than the memory is trusted without another look.
    while began.elapsed() < KEY_LEASE + Duration::from_secs(1) {
        assert_eq!(ask(&rest).await, 400);
    }
    drop(held);
    rest.get("/tickets").await.data(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_news_of_keys_the_database_is_asked_and_without_that_nobody_is_accepted() {
    if !is_postgres() {
        // SQLite reads the news in place: nothing can keep it from that.
        return;
    }
    let store = Settings { acquire_timeout: Duration::from_millis(500), ..Settings::default() };
    let orqit = Orqit::start_with(Options { store, ..Options::default() }).await;
    let rest = orqit.rest_as(&["tickets:read"]).await;
    assert_eq!(ask(&rest).await, 400);

    let beside = orqit.connect().await;
    let lock = beside.begin().await.expect("begun");
    let text = "LOCK TABLE key_epoch IN ACCESS EXCLUSIVE MODE";
    lock.execute_unprepared(text).await.expect("locked");
    tokio::time::sleep(KEY_LEASE).await;
    // Each request asks the database, many at once too.
    let asking = (0..200).map(|_| {
        let rest = rest.clone();
        tokio::spawn(async move { ask(&rest).await })
    });
    for asked in asking.collect::<Vec<_>>() {
        assert_eq!(asked.await.expect("no panic"), 400);
    }
    let held = take_all_connections(&orqit).await;
    let refused = rest.get("/tickets?nonsense=1").await;
    refused.error(503, "SERVICE_UNAVAILABLE");
    assert_eq!(refused.header("retry-after"), Some("1"));
    drop(held);
    assert_eq!(ask(&rest).await, 400);
    lock.rollback().await.expect("rolled back");
    soon(async { while ask(&rest).await != 400 {} }).await;
    rest.get("/tickets").await.data(200);
}
