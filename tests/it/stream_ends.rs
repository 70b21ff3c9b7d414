//! What ends a stream, and what an open one may cost, over real sockets.

use std::time::Duration;

use http::Method;
use orqit::config::KEY_LEASE;
use orqit::held_bytes;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::Code;

use crate::keys::delete;
use crate::support::database::START;
use crate::support::grpc::assert_refused;
use crate::support::rest::Rest;
use crate::support::server::{Options, with_key};
use crate::support::tower::{self, FLIGHTS, Frames, SCOPE, client, flights, open, status, told};
use crate::support::usage::{key_id, logs};
use crate::support::wire::{connect, read_until, soon};
use rest_probe::streams::watch_flights_response::Told;

#[tokio::test]
async fn a_stop_ends_streams_and_they_can_be_opened_again() {
    let (mut orqit, came) = tower::start(Options::default()).await;
    let (key, rest) = (orqit.key(SCOPE).await, orqit.rest_as(SCOPE).await);
    let mut sse = Frames::sse(&rest, FLIGHTS).await;
    let mut grpc = open(&orqit, &key).await;
    sse.next().await.expect("the checkpoint");
    came.send_replace(1);
    assert!(sse.next().await.expect("a flight").starts_with("id: 1\n"));
    assert!(matches!(told(&mut grpc).await, Told::Flight(_)));
    let stopping = async { soon(orqit.stop()).await };
    let (error, status, ()) = tokio::join!(sse.error(), status(grpc), stopping);
    assert_eq!(
        (&error["code"], &error["retryAfterSeconds"]),
        (&json!("SERVICE_UNAVAILABLE"), &json!(1))
    );
    assert_refused(&status, Code::Unavailable, "SERVICE_UNAVAILABLE");
}

#[tokio::test]
async fn a_revocation_ends_the_streams_of_its_key_before_it_returns() {
    let (orqit, came) = tower::start(Options::default()).await;
    let api = orqit.replica(Options::default()).await;
    let admin = api.rest_as(&["admin"]).await;
    let (key, other) = (orqit.key(SCOPE).await, orqit.key(SCOPE).await);
    let mut sse = Frames::sse(&orqit.rest(&key), FLIGHTS).await;
    sse.next().await.expect("the checkpoint");
    let grpc = open(&orqit, &key).await;
    let mut going_on = open(&orqit, &other).await;
    delete(&admin, &format!("/keys/{}", key_id(&key))).await.data(200);
    came.send_replace(1);
    assert_eq!(sse.error().await["code"], "INVALID_API_KEY");
    assert_refused(&status(grpc).await, Code::Unauthenticated, "INVALID_API_KEY");
    assert!(matches!(told(&mut going_on).await, Told::Flight(_)));
}

#[tokio::test]
async fn a_narrowing_that_takes_the_scope_ends_the_stream() {
    let (orqit, came) = tower::start(Options::default()).await;
    let api = orqit.replica(Options::default()).await;
    let admin = api.rest_as(&["admin"]).await;
    let key = orqit.key(&["tickets:read", "kb:read"]).await;
    let mut sse = Frames::sse(&orqit.rest(&key), FLIGHTS).await;
    sse.next().await.expect("the checkpoint");
    let mut grpc = open(&orqit, &key).await;
    let path = format!("/keys/{}", key_id(&key));
    // A change that takes nothing of what the stream needs leaves it alone.
    admin.patch(&path, json!({"name": "Renamed"})).await.data(200);
    came.send_replace(1);
    sse.next().await.expect("a flight");
    assert!(matches!(told(&mut grpc).await, Told::Flight(_)));
    admin.patch(&path, json!({"scopes": ["kb:read"]})).await.data(200);
    let error = sse.error().await;
    assert_eq!(
        (&error["code"], &error["requiredScope"]),
        (&json!("INSUFFICIENT_SCOPE"), &json!("tickets:read"))
    );
    assert_refused(&status(grpc).await, Code::PermissionDenied, "INSUFFICIENT_SCOPE");
}

#[tokio::test]
async fn a_stream_ends_when_its_key_expires() {
    let (orqit, came) = tower::start(Options::default()).await;
    let expiring = |key: &mut orqit::store::NewKey| key.expires_at = Some(START.plus_millis(300));
    let key = orqit.key_with(&orqit.workspace, SCOPE, expiring).await;
    let mut sse = Frames::sse(&orqit.rest(&key), FLIGHTS).await;
    sse.next().await.expect("the checkpoint");
    let grpc = open(&orqit, &key).await;
    orqit.clock.advance_millis(400);
    // Nothing needs to come for it to end.
    assert_refused(&status(grpc).await, Code::Unauthenticated, "API_KEY_EXPIRED");
    came.send_replace(1);
    assert_eq!(sse.error().await["code"], "API_KEY_EXPIRED");
}

#[tokio::test]
async fn a_grpc_timeout_ends_a_stream_and_the_servers_own_deadline_does_not() {
    let short = Options { request_timeout: Duration::from_millis(300), ..Options::default() };
    let (orqit, came) = tower::start(short).await;
    let key = orqit.key(SCOPE).await;
    let mut going_on = open(&orqit, &key).await;
    let mut request = with_key(&key, flights("north"));
    request.metadata_mut().insert("grpc-timeout", "400m".parse().expect("ASCII"));
    let mut stream =
        client(&orqit).await.watch_flights(request).await.expect("opened").into_inner();
    told(&mut stream).await;
    let status = status(stream).await;
    assert_refused(&status, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    came.send_replace(1);
    assert!(matches!(told(&mut going_on).await, Told::Flight(_)));
}

#[tokio::test]
async fn a_key_has_at_most_ten_open_streams() {
    let (orqit, _) = tower::start(Options::default()).await;
    let (key, other) = (orqit.key(SCOPE).await, orqit.key(SCOPE).await);
    let rest = orqit.rest(&key);
    let mut open_ones = Vec::new();
    for _ in 0..5 {
        open_ones.push(Frames::sse(&rest, FLIGHTS).await);
    }
    let mut by_grpc = Vec::new();
    for _ in 0..5 {
        by_grpc.push(open(&orqit, &key).await);
    }
    let refused = rest.get(FLIGHTS).await;
    let error = refused.error(429, "TOO_MANY_STREAMS");
    assert_eq!((error.get("retryAfterSeconds"), refused.header("retry-after")), (None, None));
    let request = with_key(&key, flights("north"));
    let refused = client(&orqit).await.watch_flights(request).await.expect_err("refused");
    assert_refused(&refused, Code::ResourceExhausted, "TOO_MANY_STREAMS");
    // Neither another key nor what does not stream is refused, and what is refused takes no place.
    Frames::sse(&orqit.rest(&other), FLIGHTS).await;
    assert_eq!(rest.get("/towers/north").await.data(200)["name"], "north");
    // One that its client has left makes room, on either protocol, though nothing is sent.
    drop(open_ones.pop());
    let again = eventually_open(&rest).await;
    rest.get(FLIGHTS).await.error(429, "TOO_MANY_STREAMS");
    drop(by_grpc.pop());
    let _again = [again, eventually_open(&rest).await];
    // What is refused takes no place.
    drop(by_grpc.pop());
    soon(async {
        while rest.get(&format!("{FLIGHTS}?count=-1")).await.status != 400 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    eventually_open(&rest).await;
}

/// A stream, once there is room for it.
async fn eventually_open(rest: &Rest) -> reqwest::Response {
    soon(async {
        loop {
            let response = rest.request(Method::GET, FLIGHTS).send().await.expect("an answer");
            if response.status() == 200 {
                return response;
            }
        }
    })
    .await
}

#[tokio::test]
async fn the_request_log_has_a_stream_at_its_end_with_what_it_was() {
    let (orqit, came) = tower::start(Options::default()).await;
    let api = orqit.replica(Options::default()).await;
    let (audit, admin) = (api.rest_as(&["audit:read"]).await, api.rest_as(&["admin"]).await);
    let key = orqit.key(SCOPE).await;
    let entries = || async {
        orqit.flush_usage().await;
        let entries = logs(&api, &audit, &key).await;
        let told = |entry: &Value| (entry["status"].clone(), entry["code"].clone());
        entries.iter().map(told).collect::<Vec<_>>()
    };
    let mut left = Frames::sse(&orqit.rest(&key), FLIGHTS).await;
    left.next().await.expect("the checkpoint");
    assert_eq!(entries().await, []);
    drop(left);
    soon(async {
        while entries().await.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(entries().await, [(json!(200), json!(null))]);
    let grpc = open(&orqit, &key).await;
    delete(&admin, &format!("/keys/{}", key_id(&key))).await.data(200);
    came.send_replace(1);
    status(grpc).await;
    assert_eq!(entries().await[0], (json!(401), json!("INVALID_API_KEY")));
}

#[tokio::test]
async fn while_keys_cannot_be_kept_up_with_nothing_is_sent() {
    let (orqit, came) = tower::start(Options::default()).await;
    let key = orqit.key(SCOPE).await;
    let mut sse = Frames::sse(&orqit.rest(&key), FLIGHTS).await;
    sse.next().await.expect("the checkpoint");
    // The key is gone, and nobody who keeps up with the changes of keys can see it.
    let database = orqit.connect().await;
    database.execute_unprepared("ALTER TABLE key_epoch RENAME TO gone").await.expect("renamed");
    let revoke = format!("UPDATE api_keys SET revoked_at = 1 WHERE key_id = '{}'", key_id(&key));
    database.execute_unprepared(&revoke).await.expect("revoked");
    tokio::time::sleep(KEY_LEASE).await;
    came.send_replace(1);
    assert_eq!(sse.error().await["code"], "INVALID_API_KEY");
}

#[tokio::test]
async fn large_frames_that_nobody_takes_are_bounded_for_all_together() {
    let answers = held_bytes::Bounds::of_mib(2, 2);
    let options = Options { answers, write_timeout: Duration::from_secs(60), ..Options::default() };
    let (orqit, _) = tower::start(options).await;
    let key = orqit.key(SCOPE).await;
    let path = format!("/api/public/v1{FLIGHTS}?count=30&bytes=1000000");
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {key}\r\n\r\n"
    );
    let open = || async {
        let mut connection = connect(orqit.address).await;
        soon(connection.write_all(head.as_bytes())).await.expect("sent");
        connection
    };
    let mut unread = [open().await, open().await];
    for connection in &mut unread {
        read_until(connection, "id: 1\n").await;
    }
    // There is no room for a third, until those that nobody reads have been stuck for a while.
    let mut third = Vec::new();
    drop(soon(open().await.read_to_end(&mut third)).await);
    assert!(!String::from_utf8_lossy(&third).contains("id: 1\n"));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    read_until(&mut open().await, "id: 1\n").await;
    let mut all = 0;
    for connection in &mut unread {
        let mut rest = Vec::new();
        drop(soon(connection.read_to_end(&mut rest)).await);
        all += rest.len();
    }
    assert!(all < 40_000_000, "one of them was given up: {all}");
}

#[tokio::test]
async fn a_stream_that_nobody_reads_is_reset() {
    let options = Options { write_timeout: Duration::from_millis(300), ..Options::default() };
    let (orqit, came) = tower::start(options).await;
    let key = orqit.key(SCOPE).await;
    // One that has nothing to send is left alone for longer than that.
    let mut idle = open(&orqit, &key).await;
    let mut connection = connect(orqit.address).await;
    let path = format!("/api/public/v1{FLIGHTS}?count=30&bytes=1000000");
    let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n");
    soon(tokio::io::AsyncWriteExt::write_all(&mut connection, head.as_bytes()))
        .await
        .expect("sent");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let mut read = Vec::new();
    // What it ends by is the peer's affair: a reset or an end, but not all that there was.
    drop(soon(connection.read_to_end(&mut read)).await);
    assert!(read.len() < 25_000_000, "{}", read.len());
    came.send_replace(1);
    assert!(matches!(told(&mut idle).await, Told::Flight(_)));
}
