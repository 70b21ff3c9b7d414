//! What is acknowledged is stored, what is refused is not, and the service goes on by itself when
//! its storage works again: SQLite, with a disk that fails where a test says so.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Method;
use orqit::clock::Clock;
use orqit::config::SQLITE_COMMIT_CHANGES_MAX;
use orqit::pb;
use orqit::store::{Faults, Settings, Store};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::database::is_postgres;
use crate::support::grpc::assert_refused;
use crate::support::requests::{vpn, vpn_message, vpn_with};
use crate::support::rest::{Answer, Rest, send};
use crate::support::server::{Options, Orqit, with_key};
use crate::support::wire::soon;

/// What a storage can do: out of memory, read-only, I/O error, corrupt, full.
const FAILURES: [i32; 5] = [7, 8, 10, 11, 13];
/// How often changes that come together are refused, and then stored.
const ROUNDS: u32 = 5;
/// The most tickets that are tried until the pages of a database are used up.
const TRIED_MAX: usize = 2_000;

/// A server whose SQLite fails when it is told to; none on PostgreSQL.
async fn orqit_with_faults() -> Option<(Orqit, Faults)> {
    if is_postgres() {
        return None;
    }
    let faults = Faults::armed();
    let store = Settings { faults: faults.clone(), ..Settings::default() };
    let orqit = Orqit::start_with(Options { store, ..Options::default() }).await;
    Some((orqit, faults))
}

async fn create(rest: &Rest, title: &str) -> Answer {
    rest.post("/tickets", vpn_with(json!({"title": title}))).await
}

async fn create_once(rest: &Rest, key: &str, title: &str) -> Answer {
    let body = vpn_with(json!({"title": title}));
    send(rest.request(Method::POST, "/tickets").header("idempotency-key", key).json(&body)).await
}

/// A refusal that says when to try again.
#[track_caller]
fn assert_unavailable(answer: &Answer) {
    answer.error(503, "SERVICE_UNAVAILABLE");
    assert_eq!(answer.header("retry-after"), Some("1"));
}

/// Whether readiness comes to be as expected: it is looked at once a second.
pub async fn is_ready(rest: &Rest, expected: bool) -> bool {
    let begun = std::time::Instant::now();
    while ready_now(rest).await != expected {
        if begun.elapsed() > Duration::from_secs(10) {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    true
}

async fn ready_now(rest: &Rest) -> bool {
    match rest.get("//readyz").await.status.as_u16() {
        200 => true,
        503 => false,
        status => panic!("/readyz answered {status}"),
    }
}

/// The titles of all tickets by another connection, oldest first, after a write of that connection.
async fn titles(orqit: &Orqit) -> Vec<String> {
    let other = orqit.connect().await;
    // Somebody who has left a transaction open would keep it from writing.
    other.execute_unprepared("UPDATE key_epoch SET epoch = epoch").await.expect("not locked");
    let rows = other.query_all_raw(sea_orm::Statement::from_string(
        other.get_database_backend(),
        "SELECT title FROM tickets ORDER BY workspace_id, id",
    ));
    let rows = rows.await.expect("rows");
    let titles = rows.iter().map(|row| row.try_get_by_index(0).expect("a title")).collect();
    other.close().await.expect("closed");
    titles
}

/// Events, ids and counts say the same as the tickets.
async fn assert_consistent(orqit: &Orqit, rest: &Rest, wanted: &[String]) {
    assert_eq!(titles(orqit).await, wanted);
    let events = orqit.store.reader(orqit.workspace.id).list_events(0, 10_000).await;
    let sequences: Vec<_> = events.expect("events").iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=sequences.len() as i64).collect::<Vec<_>>(), "a gap");
    let page = rest.get("/tickets?perPage=1").await;
    page.data(200);
    assert_eq!(page.json()["meta"]["totalCount"], wanted.len());
}

#[tokio::test]
async fn a_full_disk_refuses_what_it_cannot_store_and_loses_nothing() {
    let Some((mut orqit, faults)) = orqit_with_faults().await else { return };
    let rest = orqit.rest_as(&["admin"]).await;
    let mut stored = Vec::new();
    for number in 0..3 {
        create(&rest, &format!("Before {number}")).await.data(201);
        stored.push(format!("Before {number}"));
    }

    // As many pages as it has by now.
    faults.limit_pages(1);
    let mut refused = None;
    for number in 0..TRIED_MAX {
        let title = format!("Full {number}");
        let answer = create(&rest, &title).await;
        if answer.status != 201 {
            refused = Some(answer);
            break;
        }
        stored.push(title);
    }
    assert_unavailable(&refused.expect("the disk is full at some time"));
    assert!(is_ready(&rest, false).await);
    rest.get("/tickets/1").await.data(200);

    faults.limit_pages(0);
    rest.patch("/tickets/999999", json!({"title": "A"})).await.error(404, "TICKET_NOT_FOUND");
    create(&rest, "After").await.data(201);
    stored.push("After".to_owned());
    assert!(is_ready(&rest, true).await);
    let revoked = orqit.key(&["tickets:read"]).await;
    orqit.rest(&revoked).get("/tickets").await.data(200);
    let path = format!("/keys/{}", &revoked[4..12]);
    send(rest.request(Method::DELETE, &path)).await.data(200);
    orqit.rest(&revoked).get("/tickets").await.error(401, "INVALID_API_KEY");
    assert_eq!(titles(&orqit).await, stored);

    // And after a restart.
    orqit.stop().await;
    let url = orqit.database.as_ref().expect("its own").url().to_owned();
    let store = Store::open(&url, &Settings::default(), Clock::System).await.expect("opened");
    let workspace = orqit.workspace.clone();
    let again = Orqit::over(store, workspace).await;
    again.rest(&revoked).get("/tickets").await.error(401, "INVALID_API_KEY");
    assert_eq!(titles(&orqit).await, stored);
}

#[tokio::test]
async fn whatever_fails_is_refused_over_both_protocols_and_the_next_write_works() {
    let Some((orqit, faults)) = orqit_with_faults().await else { return };
    let key = orqit.key(&["admin"]).await;
    let (rest, mut tickets) = (orqit.rest(&key), orqit.tickets().await);
    let mut stored = vec!["First".to_owned()];
    create(&rest, "First").await.data(201);
    for code in FAILURES {
        for at_commit in [false, true] {
            let fail = |code| match at_commit {
                true => faults.fail_commits(code),
                false => faults.fail_statements(code),
            };
            let idempotency_key = format!("{code}-{at_commit}");
            let leaked = orqit.key(&["tickets:read"]).await;
            let revoke = format!("/keys/{}", &leaked[4..12]);
            fail(code);
            assert_unavailable(&create(&rest, "Refused").await);
            assert_unavailable(&create_once(&rest, &idempotency_key, "Retried").await);
            let message = with_key(&key, vpn_message());
            let status = tickets.create_ticket(message).await.expect_err("refused");
            assert_refused(&status, Code::Unavailable, "SERVICE_UNAVAILABLE");
            assert_unavailable(&rest.patch("/tickets/1", json!({"title": "Refused"})).await);
            assert_unavailable(&send(rest.request(Method::DELETE, &revoke)).await);
            assert!(orqit.usage.flush().await.is_err(), "the request log waits");
            // Reads go on, and a key that could not be revoked still works.
            rest.get("/tickets").await.data(200);
            orqit.rest(&leaked).get("/tickets/1").await.data(200);
            assert!(is_ready(&rest, false).await, "{code} {at_commit}");

            fail(0);
            create(&rest, "Stored").await.data(201);
            assert!(is_ready(&rest, true).await, "{code} {at_commit}");
            create_once(&rest, &idempotency_key, "Retried").await.data(201);
            let again = create_once(&rest, &idempotency_key, "Retried").await;
            assert_eq!(again.header("idempotent-replayed"), Some("true"));
            send(rest.request(Method::DELETE, &revoke)).await.data(200);
            orqit.rest(&leaked).get("/tickets/1").await.error(401, "INVALID_API_KEY");
            orqit.flush_usage().await;
            stored.extend(["Stored".to_owned(), "Retried".to_owned()]);
            assert_consistent(&orqit, &rest, &stored).await;
        }
    }
}

#[tokio::test]
async fn a_read_that_fails_is_refused_and_the_next_one_works() {
    let Some((orqit, faults)) = orqit_with_faults().await else { return };
    let key = orqit.key(&["admin"]).await;
    let (rest, mut tickets) = (orqit.rest(&key), orqit.tickets().await);
    create(&rest, "Stored").await.data(201);
    for code in FAILURES {
        let unknown = orqit.key(&["tickets:read"]).await;
        faults.fail_reads(code);
        assert_unavailable(&rest.get("/tickets/1").await);
        assert_unavailable(&rest.get("/tickets").await);
        let get = pb::GetTicketRequest { id: "1".to_owned(), ..Default::default() };
        let status = tickets.get_ticket(with_key(&key, get)).await.expect_err("refused");
        assert_refused(&status, Code::Unavailable, "SERVICE_UNAVAILABLE");
        // A key that was not used yet cannot be looked up either.
        assert_unavailable(&orqit.rest(&unknown).get("/tickets/1").await);
        assert!(is_ready(&rest, false).await);
        faults.fail_reads(0);
        rest.get("/tickets/1").await.data(200);
        orqit.rest(&unknown).get("/tickets/1").await.data(200);
        assert!(is_ready(&rest, true).await);
    }
    assert_consistent(&orqit, &rest, &["Stored".to_owned()]).await;
}

#[tokio::test]
async fn readiness_comes_back_by_itself_once_a_write_succeeds() {
    let Some((orqit, faults)) = orqit_with_faults().await else { return };
    let rest = orqit.rest_as(&["admin"]).await;
    faults.fail_commits(10);
    assert_unavailable(&create(&rest, "Refused").await);
    assert!(is_ready(&rest, false).await);
    faults.fail_commits(0);
    // It tries once a second; nobody has to write for it.
    let ready = async {
        while !ready_now(&rest).await {
            tokio::task::yield_now().await;
        }
    };
    soon(ready).await;
    create(&rest, "Stored").await.data(201);
    assert_consistent(&orqit, &rest, &["Stored".to_owned()]).await;
}

#[tokio::test]
async fn health_by_grpc_says_what_readiness_says() {
    let Some((orqit, faults)) = orqit_with_faults().await else { return };
    let rest = orqit.rest_as(&["admin"]).await;
    let mut health = HealthClient::new(orqit.channel().await);
    let service = "orqit.v1.TicketService".to_owned();
    let watch = health.watch(HealthCheckRequest { service }).await.expect("known");
    let mut watch = watch.into_inner();
    let mut next = async || soon(watch.message()).await.expect("a status").expect("a status");
    assert_eq!(next().await.status(), ServingStatus::Serving);
    faults.fail_commits(10);
    assert_unavailable(&create(&rest, "Refused").await);
    assert_eq!(next().await.status(), ServingStatus::NotServing);
    faults.fail_commits(0);
    assert_eq!(next().await.status(), ServingStatus::Serving);
    assert!(is_ready(&rest, true).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_share_a_commit_are_stored_or_refused_together() {
    let Some((orqit, faults)) = orqit_with_faults().await else { return };
    let rest = orqit.rest_as(&["admin"]).await;
    let mut stored = Vec::new();
    for _ in 0..ROUNDS {
        faults.fail_commits(10);
        for refused in create_at_once(&rest, "Refused").await {
            assert_unavailable(&refused);
        }
        faults.fail_commits(0);
        assert_eq!(titles(&orqit).await, stored);
        for created in create_at_once(&rest, "Stored").await {
            created.data(201);
            stored.push("Stored".to_owned());
        }
        assert_consistent(&orqit, &rest, &stored).await;
    }
}

/// More at once than share a commit.
async fn create_at_once(rest: &Rest, title: &'static str) -> Vec<Answer> {
    let creates = (0..2 * SQLITE_COMMIT_CHANGES_MAX).map(|_| {
        let rest = rest.clone();
        tokio::spawn(async move { create(&rest, title).await })
    });
    let mut answers = Vec::new();
    for created in creates.collect::<Vec<_>>() {
        answers.push(created.await.expect("no panic"));
    }
    answers
}

/// On both databases.
#[tokio::test(flavor = "multi_thread")]
async fn one_change_that_is_refused_takes_no_other_with_it() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let creates = (0..100).map(|number: u32| {
        // Ten external ids, each wanted by ten.
        let id = format!("ext-{}", number % 10);
        let body = vpn_with(json!({"externalSource": "other", "externalId": id}));
        let rest = rest.clone();
        tokio::spawn(async move { rest.post("/tickets", body).await })
    });
    let mut ids = Vec::new();
    for created in creates.collect::<Vec<_>>() {
        let answer = created.await.expect("no panic");
        match answer.status.as_u16() {
            201 => ids.push(answer.data(201)["id"].as_i64().expect("an id")),
            _ => drop(answer.error(409, "ALREADY_EXISTS")),
        }
    }
    ids.sort_unstable();
    assert_eq!(ids, (1..=10).collect::<Vec<_>>(), "dense ids, one for each external id");
    let events = orqit.payloads().await;
    assert_eq!(events.len(), 10);
    for (event, sequence) in events.iter().zip(1_i64..) {
        assert_eq!(event["sequence"], sequence);
    }
    let page = rest.get("/tickets").await;
    assert_eq!(page.json()["meta"]["totalCount"], 10);
}

fn database_file(orqit: &Orqit) -> PathBuf {
    let url = orqit.database.as_ref().expect("its own").url();
    Path::new(url.strip_prefix("sqlite://").expect("SQLite")).to_owned()
}

#[tokio::test]
async fn nothing_is_acknowledged_into_a_file_that_nobody_will_open() {
    if is_postgres() {
        return;
    }
    for suffix in ["", "-wal", "-shm"] {
        for replaced in [false, true] {
            let orqit = Orqit::start().await;
            let rest = orqit.rest_as(&["admin"]).await;
            create(&rest, "Before").await.data(201);
            let mut file = database_file(&orqit).into_os_string();
            file.push(suffix);
            let (file, aside) =
                (PathBuf::from(&file), PathBuf::from(&file).with_extension("aside"));
            std::fs::rename(&file, &aside).expect("moved");
            if replaced {
                std::fs::write(&file, b"").expect("written");
            }
            let which = format!("{suffix} {replaced}");
            assert!(is_ready(&rest, false).await, "{which}");
            assert_unavailable(&create(&rest, "Refused").await);
            assert_unavailable(&create(&rest, "Refused").await);
            let Value::String(title) = rest.get("/tickets/1").await.data(200)["title"].take()
            else {
                panic!("no title")
            };
            assert_eq!(title, "Before");
            assert!(is_ready(&rest, false).await, "{which}");

            // The file is back where it was.
            std::fs::rename(&aside, &file).expect("moved back");
            create(&rest, "After").await.data(201);
            assert!(is_ready(&rest, true).await, "{which}");
            rest.post("/tickets", vpn()).await.data(201);
        }
    }
}
