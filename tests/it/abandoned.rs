//! Requests whose client leaves, or whose deadline passes, at any moment: each of them is done or not
//! done, and nobody after them meets what they have left.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use orqit::clock::Clock;
use orqit::pb;
use orqit::store::{Settings, Store};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;
use tonic::Code;

use crate::support::database::{TestDatabase, insert_workspace, is_postgres};
use crate::support::requests::{vpn_message, vpn_with};
use crate::support::rest::{Rest, send};
use crate::support::server::{Orqit, with_key};
use crate::support::slow_link::SlowLink;
use crate::support::wire::soon;

/// How long a client waits at most, in steps of half a millisecond.
const STEPS: u32 = 80;
const STEP: Duration = Duration::from_micros(500);
/// What a way to the database takes on PostgreSQL.
const DELAY: Duration = Duration::from_millis(2);

/// The database's address, as in its URL.
fn host(url: &str) -> &str {
    let (_, after) = url.split_once('@').expect("a user");
    after.split_once('/').expect("a database").0
}

/// The server over a slow link on PostgreSQL, over the file itself on SQLite.
async fn over_slow_link() -> (Orqit, TestDatabase, Option<SlowLink>) {
    let database = TestDatabase::create().await;
    // No help from the database: what is left in a transaction stays there.
    let hour = Duration::from_secs(3600);
    let settings = Settings { postgres_idle_in_transaction: hour, ..Settings::default() };
    let (url, link) = if is_postgres() {
        let host = host(database.url()).to_owned();
        let link = SlowLink::to(host.clone(), DELAY).await;
        (database.url().replace(&host, &link.address.to_string()), Some(link))
    } else {
        (database.url().to_owned(), None)
    };
    let store = Store::open(&url, &settings, Clock::System).await.expect("opened");
    let workspace = insert_workspace(&store, "default").await;
    (Orqit::over(store, workspace).await, database, link)
}

/// Waits until no connection of the service is in a transaction.
async fn no_transaction_is_left(database: &TestDatabase) {
    let beside = database.connect().await;
    if is_postgres() {
        let text = "SELECT COUNT(*) FROM pg_stat_activity \
                    WHERE datname = current_database() AND pid <> pg_backend_pid() \
                    AND xact_start IS NOT NULL";
        let count = || async {
            let query = Statement::from_string(beside.get_database_backend(), text);
            let row = beside.query_one_raw(query).await.expect("a row").expect("a row");
            row.try_get_by_index::<i64>(0).expect("a number")
        };
        soon(async {
            while count().await > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    } else {
        // Whoever is in a transaction that writes keeps this from writing.
        beside.execute_unprepared("UPDATE key_epoch SET epoch = epoch").await.expect("free");
    }
    beside.close().await.expect("closed");
}

/// Creates under a key of its own and leaves after `patience`; the id, if that was told in time.
async fn create_in_a_hurry(rest: Rest, key: String, patience: Duration) -> Option<i64> {
    let request = rest.request(Method::POST, "/tickets").header("idempotency-key", &key);
    let sent = send(request.json(&vpn_with(json!({"title": key}))));
    // Dropped when it is over: the client closes its connection.
    let answer = tokio::time::timeout(patience, sent).await.ok()?;
    answer.data(201)["id"].as_i64()
}

/// The same with a deadline that the server knows.
async fn create_by_deadline(
    orqit: &Orqit,
    key: &str,
    title: String,
    deadline: Duration,
) -> Option<i64> {
    let mut request =
        with_key(key, pb::CreateTicketRequest { title: title.clone(), ..vpn_message() });
    request.set_timeout(deadline);
    request.metadata_mut().insert("idempotency-key", title.parse().expect("ASCII"));
    match orqit.tickets().await.create_ticket(request).await {
        Ok(created) => Some(created.into_inner().ticket.expect("a ticket").id),
        Err(status) => {
            let late = [Code::DeadlineExceeded, Code::Cancelled];
            assert!(late.contains(&status.code()), "{status:?}");
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_left_alone_is_done_or_not_done() {
    let (orqit, database, _link) = over_slow_link().await;
    let key = orqit.key(&["admin"]).await;
    let mut acknowledged = BTreeMap::new();
    for step in 0..STEPS {
        let patience = STEP * step;
        // A connection of its own, which ends with the request.
        let rest = orqit.rest(&key);
        let (hurried, dated) = (format!("rest-{step}"), format!("grpc-{step}"));
        let (by_rest, by_grpc, _) = tokio::join!(
            create_in_a_hurry(rest.clone(), hurried.clone(), patience),
            create_by_deadline(&orqit, &key, dated.clone(), patience),
            // A list of two statements, which are one transaction.
            tokio::time::timeout(patience, rest.get("/tickets?sort=dueAt")),
        );
        acknowledged.insert(hurried, by_rest);
        acknowledged.insert(dated, by_grpc);
    }
    no_transaction_is_left(&database).await;

    // Whoever comes next meets none of it, on whatever connection.
    let rest = orqit.rest(&key);
    let reads = (0..64).map(|_| {
        let rest = rest.clone();
        tokio::spawn(async move { rest.get("/tickets?sort=dueAt&perPage=100").await })
    });
    for read in reads.collect::<Vec<_>>() {
        read.await.expect("no panic").data(200);
    }

    // Each is done once, when it is asked for again; who was told an id is told it again.
    for (title, id) in &acknowledged {
        let request = rest.request(Method::POST, "/tickets").header("idempotency-key", title);
        // Only what decodes to the same is the same request.
        let answer = send(request.json(&vpn_with(json!({"title": title})))).await.data(201);
        if let Some(id) = id {
            assert_eq!(answer["id"], *id, "{title}");
        }
    }
    let page = rest.get("/tickets?perPage=1").await;
    assert_eq!(page.json()["meta"]["totalCount"], acknowledged.len());
    let created: Vec<_> = orqit.payloads().await;
    let sequences: Vec<_> = created.iter().map(|event| event["sequence"].clone()).collect();
    let dense: Vec<_> = (1..=created.len()).map(|sequence| json!(sequence)).collect();
    assert_eq!(sequences, dense);
    no_transaction_is_left(&database).await;
}
