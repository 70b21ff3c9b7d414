//! How often an address may send a key that is refused, and who an address is behind proxies.

use std::time::Duration;

use http::Method;
use orqit::auth::attempts::Budget;
use orqit::auth::key::KeyText;
use orqit::config::KEY_LEASE;
use orqit::pb;
use serde_json::json;
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::keys::delete;
use crate::support::database::START;
use crate::support::grpc::{assert_refused, call, frame};
use crate::support::rest::{Answer, send};
use crate::support::server::{Options, Orqit};

const LIST: &str = "/orqit.v1.TicketService/ListTickets";
/// What an address has at once.
const BURST: usize = 30;

/// The contract's burst; nothing comes back while a test runs, however long that takes.
fn limited() -> Options {
    let one_back_every = Duration::from_secs(3600);
    let failed_attempts = Budget { one_back_every, ..Budget::default() };
    Options { failed_attempts, ..Options::default() }
}

async fn start() -> Orqit {
    Orqit::start_with(limited()).await
}

/// Behind proxies of this machine and of 10.0.0.0/8.
async fn start_behind_proxies() -> Orqit {
    let trusted_proxies = vec!["127.0.0.1/32", "10.0.0.0/8"];
    Orqit::start_with(Options { trusted_proxies, ..limited() }).await
}

fn unknown_key() -> String {
    KeyText::generate().reveal().to_owned()
}

/// GET /tickets with a key that nobody has.
async fn guess(orqit: &Orqit) -> Answer {
    orqit.rest(&unknown_key()).get("/tickets").await
}

/// The same through proxies that say this.
async fn guess_through(orqit: &Orqit, forwarded: &str) -> Answer {
    let request = orqit.rest(&unknown_key()).request(Method::GET, "/tickets");
    send(request.header("x-forwarded-for", forwarded)).await
}

/// ListTickets with a key; its status.
async fn list(orqit: &Orqit, key: &str) -> Status {
    let request = frame(&pb::ListTicketsRequest::default());
    call(orqit.address, LIST, &[("x-api-key", key)], request).await.status()
}

/// Spends what this address has left, and counts it.
async fn exhaust(orqit: &Orqit) -> usize {
    for admitted in 0..=BURST {
        let answer = guess(orqit).await;
        if answer.status == 429 {
            return admitted;
        }
        answer.error(401, "INVALID_API_KEY");
    }
    panic!("more than {BURST} attempts were admitted");
}

#[tokio::test]
async fn thirty_refused_keys_are_told_so_and_the_next_one_when_to_come_back() {
    let orqit =
        Orqit::start_with(Options { failed_attempts: Budget::default(), ..Options::default() })
            .await;
    for _ in 0..BURST {
        guess(&orqit).await.error(401, "INVALID_API_KEY");
    }
    // However slow this machine is: one more every 2 s.
    let refused = loop {
        let answer = guess(&orqit).await;
        if answer.status != 401 {
            break answer;
        }
    };
    let error = refused.error(429, "TOO_MANY_FAILED_ATTEMPTS");
    let secs = error["retryAfterSeconds"].as_u64().expect("a number");
    assert!((1..=2).contains(&secs), "{secs}");
    assert_eq!(refused.header("retry-after"), Some(secs.to_string().as_str()));
    assert!(error["message"].as_str().expect("text").contains("Retry-After"));
    for absent in ["ratelimit", "ratelimit-policy", "x-ratelimit-limit", "www-authenticate"] {
        assert_eq!(refused.header(absent), None, "{absent}");
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_a_credential_counts_over_each_protocol() {
    let orqit = start().await;
    let key = orqit.key(&["tickets:read"]).await;
    // A key whose id exists and whose secret is another one's.
    let wrong_secret = KeyText::generate();
    let taken = wrong_secret.id().to_owned();
    orqit.key_with(&orqit.workspace, &[], |new| new.key_id = taken).await;
    let mistyped = format!("{key}x");
    for number in 0..BURST / 5 {
        guess(&orqit).await.error(401, "INVALID_API_KEY");
        for wrong in [wrong_secret.reveal(), &mistyped] {
            orqit.rest(wrong).get("/tickets").await.error(401, "INVALID_API_KEY");
        }
        for wrong in [&unknown_key(), "nonsense"] {
            let status = list(&orqit, wrong).await;
            assert_refused(&status, Code::Unauthenticated, "INVALID_API_KEY");
            assert!(status.get_details_retry_info().is_none(), "{number}");
        }
    }
    for wrong in ["nonsense", wrong_secret.reveal(), &unknown_key()] {
        let rest = orqit.rest(wrong).get("/tickets").await;
        let secs = rest.error(429, "TOO_MANY_FAILED_ATTEMPTS")["retryAfterSeconds"].as_u64();
        let status = list(&orqit, wrong).await;
        assert_refused(&status, Code::ResourceExhausted, "TOO_MANY_FAILED_ATTEMPTS");
        let told = status.get_details_retry_info().expect("a RetryInfo").retry_delay;
        assert!((3500..=3600).contains(&secs.expect("a number")), "{secs:?}");
        assert!((3500..=3600).contains(&told.expect("a delay").as_secs()), "{told:?}");

        let request = orqit.rest(wrong).request(Method::POST, &format!("/{LIST}"));
        let request = request.header("content-type", "application/grpc-web+proto");
        let web = send(request.body(frame(&pb::ListTicketsRequest::default()))).await;
        let status = Status::from_header_map(&web.headers).expect("a status");
        assert_refused(&status, Code::ResourceExhausted, "TOO_MANY_FAILED_ATTEMPTS");
    }
    let metrics = orqit.rest("").get("//metrics").await;
    let metrics = String::from_utf8(metrics.body).expect("text");
    assert!(metrics.contains("orqit_failed_attempts_limited_total{of=\"keys\"}"), "{metrics}");
}

#[tokio::test]
async fn a_known_key_goes_on_from_an_address_that_guesses() {
    let orqit = start().await;
    let (known, unseen) = (orqit.key(&["tickets:read"]).await, orqit.key(&["tickets:read"]).await);
    orqit.rest(&known).get("/tickets").await.data(200);
    assert_eq!(exhaust(&orqit).await, BURST);
    for _ in 0..3 {
        orqit.rest(&known).get("/tickets").await.data(200);
        assert_eq!(list(&orqit, &known).await.code(), Code::Ok);
        guess(&orqit).await.error(429, "TOO_MANY_FAILED_ATTEMPTS");
    }
    // One that was never used before, too.
    orqit.rest(&unseen).get("/tickets").await.data(200);
    assert_eq!(list(&orqit, &unseen).await.code(), Code::Ok);
}

#[tokio::test]
async fn a_flood_of_wrong_keys_shuts_no_key_out_that_was_made_before_the_start() {
    let first = start().await;
    let mut keys = Vec::new();
    for _ in 0..25 {
        keys.push(first.key(&["tickets:read"]).await);
    }
    let orqit = first.replica(limited()).await;
    assert_eq!(exhaust(&orqit).await, BURST);
    for key in &keys {
        orqit.rest(key).get("/tickets").await.data(200);
        guess(&orqit).await.error(429, "TOO_MANY_FAILED_ATTEMPTS");
    }
}

#[tokio::test]
async fn a_key_of_the_callers_own_making_is_let_in_from_an_address_that_guesses() {
    let orqit = start().await;
    let admin = orqit.rest(&orqit.key(&["admin"]).await);
    admin.get("/keys/self").await.data(200);
    assert_eq!(exhaust(&orqit).await, BURST);
    let made = admin.post("/keys", json!({"name": "New", "scopes": ["tickets:read"]})).await;
    let made = made.data(201);
    let rotate = format!("/keys/{}/rotate", made["id"].as_str().unwrap());
    let rotated = admin.post(&rotate, json!({})).await.data(201);
    let (old, new) = (made["key"].as_str().unwrap(), rotated["key"].as_str().unwrap());
    orqit.rest(new).get("/tickets").await.data(200);
    // No grace: the old one is a key that expired, which is said to whoever has it.
    orqit.rest(old).get("/tickets").await.error(401, "API_KEY_EXPIRED");
    delete(&admin, &format!("/keys/{}", rotated["id"].as_str().unwrap())).await.data(200);
    orqit.rest(new).get("/tickets").await.error(429, "TOO_MANY_FAILED_ATTEMPTS");
}

#[tokio::test]
async fn a_refusal_asks_no_database() {
    let orqit = start().await;
    let known = orqit.key(&[]).await;
    orqit.rest(&known).get("/accounts").await.data(200);
    assert_eq!(exhaust(&orqit).await, BURST);
    orqit.store.clone().close().await.expect("closed");
    guess(&orqit).await.error(429, "TOO_MANY_FAILED_ATTEMPTS");
    orqit.rest(&known).get("/accounts").await.data(200);
}

#[tokio::test]
async fn a_key_that_does_not_exist_is_refused_without_a_database() {
    let orqit = start().await;
    let unseen = orqit.key(&[]).await;
    orqit.store.clone().close().await.expect("closed");
    guess(&orqit).await.error(401, "INVALID_API_KEY");
    orqit.rest(&unseen).get("/accounts").await.error(503, "SERVICE_UNAVAILABLE");
}

#[tokio::test]
async fn while_memory_is_not_trusted_the_database_judges_as_often_as_an_address_may_fail() {
    let orqit = start().await;
    orqit.store.clone().close().await.expect("closed");
    tokio::time::sleep(KEY_LEASE).await;
    for _ in 0..BURST {
        guess(&orqit).await.error(503, "SERVICE_UNAVAILABLE");
    }
    guess(&orqit).await.error(429, "TOO_MANY_FAILED_ATTEMPTS");
}

#[tokio::test]
async fn keys_that_are_right_do_not_count_though_they_are_seen_for_the_first_time() {
    let orqit = start().await;
    for _ in 0..BURST {
        let key = orqit.key(&["tickets:read"]).await;
        orqit.rest(&key).get("/tickets").await.data(200);
        guess(&orqit).await.error(401, "INVALID_API_KEY");
    }
    guess(&orqit).await.error(429, "TOO_MANY_FAILED_ATTEMPTS");
}

#[tokio::test]
async fn a_key_that_has_expired_does_not_count() {
    let orqit = start().await;
    for _ in 0..=BURST {
        let expired = |new: &mut orqit::store::NewKey| new.expires_at = Some(START);
        let key = orqit.key_with(&orqit.workspace, &["tickets:read"], expired).await;
        orqit.rest(&key).get("/tickets").await.error(401, "API_KEY_EXPIRED");
    }
    assert_eq!(exhaust(&orqit).await, BURST);
}

#[tokio::test]
async fn who_sends_no_key_or_two_neither_spends_nor_is_refused() {
    let orqit = start().await;
    let ambiguous = || {
        let request = orqit.rest(&unknown_key()).request(Method::GET, "/tickets");
        send(request.header("x-api-key", unknown_key()))
    };
    for _ in 0..=BURST {
        orqit.rest("").get("/tickets").await.error(401, "MISSING_API_KEY");
        ambiguous().await.error(400, "AMBIGUOUS_CREDENTIALS");
        // Public: a key is not looked at.
        orqit.rest("nonsense").get("/ping").await.data(200);
        orqit.rest("nonsense").get("/nowhere").await.error(404, "ROUTE_NOT_FOUND");
    }
    assert_eq!(exhaust(&orqit).await, BURST);
    orqit.rest("").get("/tickets").await.error(401, "MISSING_API_KEY");
    ambiguous().await.error(400, "AMBIGUOUS_CREDENTIALS");
    orqit.rest("nonsense").get("/ping").await.data(200);
    orqit.rest("nonsense").get("/nowhere").await.error(404, "ROUTE_NOT_FOUND");
}

/// The statuses of requests that are under way at the same time, each with one of the keys.
async fn all_at_once(orqit: &Orqit, keys: impl Iterator<Item = String>) -> Vec<u16> {
    let mut requests = JoinSet::new();
    for key in keys {
        let rest = orqit.rest(&key);
        requests.spawn(async move { rest.get("/keys/self").await.status.as_u16() });
    }
    requests.join_all().await
}

#[tokio::test]
async fn the_limit_is_exact_for_attempts_at_the_same_time() {
    let orqit = start().await;
    let statuses = all_at_once(&orqit, (0..2 * BURST).map(|_| unknown_key())).await;
    let refused = statuses.iter().filter(|status| **status == 429).count();
    let unauthorized = statuses.iter().filter(|status| **status == 401).count();
    assert_eq!((unauthorized, refused), (BURST, BURST));
}

#[tokio::test]
async fn a_right_key_is_let_in_however_often_it_comes_at_first() {
    let orqit = start().await;
    let key = orqit.key(&[]).await;
    let statuses = all_at_once(&orqit, (0..3 * BURST).map(|_| key.clone())).await;
    assert_eq!(statuses, vec![200; 3 * BURST]);
    assert_eq!(exhaust(&orqit).await, BURST);
}

#[tokio::test]
async fn who_is_no_trusted_proxy_cannot_say_that_it_is_somebody_else() {
    let orqit = start().await;
    for number in 0..BURST {
        let answer = guess_through(&orqit, &format!("198.51.100.{number}")).await;
        answer.error(401, "INVALID_API_KEY");
    }
    guess_through(&orqit, "198.51.100.99").await.error(429, "TOO_MANY_FAILED_ATTEMPTS");
    guess(&orqit).await.error(429, "TOO_MANY_FAILED_ATTEMPTS");
}

#[tokio::test]
async fn each_client_of_a_trusted_proxy_has_its_own_attempts() {
    let orqit = start_behind_proxies().await;
    for number in 0..BURST {
        // Whatever the client says itself stands further left.
        let forwarded = format!("203.0.113.{number}, 198.51.100.7, 10.0.0.2");
        guess_through(&orqit, &forwarded).await.error(401, "INVALID_API_KEY");
    }
    for forwarded in ["198.51.100.7", "198.51.100.7:4711", "203.0.113.200, 198.51.100.7, 10.0.0.9"]
    {
        guess_through(&orqit, forwarded).await.error(429, "TOO_MANY_FAILED_ATTEMPTS");
    }
    guess_through(&orqit, "198.51.100.8").await.error(401, "INVALID_API_KEY");
    assert_eq!(exhaust(&orqit).await, BURST);

    let metadata = [("x-api-key", "nonsense"), ("x-forwarded-for", "198.51.100.7")];
    let request = || frame(&pb::ListTicketsRequest::default());
    let refused = call(orqit.address, LIST, &metadata, request()).await.status();
    assert_refused(&refused, Code::ResourceExhausted, "TOO_MANY_FAILED_ATTEMPTS");
    let metadata = [metadata[0], ("x-forwarded-for", "198.51.100.9")];
    let admitted = call(orqit.address, LIST, &metadata, request()).await.status();
    assert_refused(&admitted, Code::Unauthenticated, "INVALID_API_KEY");
}

#[tokio::test]
async fn a_client_of_ipv6_is_its_network() {
    let orqit = start_behind_proxies().await;
    for number in 0..BURST {
        let answer = guess_through(&orqit, &format!("2001:db8:1:2:{number}::1")).await;
        answer.error(401, "INVALID_API_KEY");
    }
    let same = guess_through(&orqit, "[2001:db8:1:2:ffff::9]:443").await;
    same.error(429, "TOO_MANY_FAILED_ATTEMPTS");
    guess_through(&orqit, "2001:db8:1:3::1").await.error(401, "INVALID_API_KEY");
}
