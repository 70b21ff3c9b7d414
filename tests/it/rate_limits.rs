//! What a key may send within a minute, and what it is told of it.

use http::{HeaderMap, Method};
use orqit::pb;
use orqit::pb::key_service_client::KeyServiceClient;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::grpc::{self, assert_refused, frame};
use crate::support::requests::vpn;
use crate::support::rest::{Answer, send};
use crate::support::server::{Options, Orqit, with_key};

const LIST: &str = "/orqit.v1.TicketService/ListTickets";

/// The headers that tell of limits.
const HEADERS: [&str; 6] = [
    "ratelimit-policy",
    "ratelimit",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-ratelimit-resource",
];

/// A key with these limits, over all and in each group.
async fn limited(orqit: &Orqit, per_minute: i32, group_per_minute: i32) -> String {
    let scopes = ["tickets:read", "tickets:create"];
    let limits = |new: &mut orqit::store::NewKey| {
        (new.per_minute, new.group_per_minute) = (per_minute, group_per_minute);
    };
    orqit.key_with(&orqit.workspace, &scopes, limits).await
}

/// ListTickets by gRPC, whole.
async fn list(orqit: &Orqit, key: &str) -> grpc::Answer {
    let bearer = format!("Bearer {key}");
    let message = frame(&pb::ListTicketsRequest::default());
    grpc::call(orqit.address, LIST, &[("authorization", &bearer)], message).await
}

/// What the headers tell, in the order of [`HEADERS`].
fn told(headers: &HeaderMap) -> Vec<&str> {
    let values = HEADERS.iter().filter_map(|name| headers.get(*name));
    values.map(|value| value.to_str().expect("text")).collect()
}

/// Asserts what the headers tell but for when the window ends, which they must agree on; when.
#[track_caller]
fn assert_told(headers: &HeaderMap, policy: &str, left: &[(&str, u32)], named: [&str; 3]) -> u64 {
    let reset: u64 = headers["x-ratelimit-reset"].to_str().expect("text").parse().expect("seconds");
    assert!((1..=60).contains(&reset), "{reset}");
    let states = left.iter().map(|(name, left)| format!("\"{name}\";r={left};t={reset}"));
    let (states, reset_text) = (states.collect::<Vec<_>>().join(", "), reset.to_string());
    let [limit, remaining, resource] = named;
    let expected = [policy, &states, limit, remaining, &reset_text, resource];
    assert_eq!(told(headers), expected);
    reset
}

#[tokio::test]
async fn every_answer_to_a_caller_tells_how_its_limits_stand() {
    let orqit = Orqit::start().await;
    let key = limited(&orqit, 60, 30).await;
    let rest = orqit.rest(&key);
    let policy = r#""key";q=60;w=60, "tickets";q=30;w=60"#;
    let answers = [
        rest.get("/tickets").await,
        rest.post("/tickets", vpn()).await,
        rest.get("/tickets?perPage=0").await,
        rest.get("/tickets/999").await,
        rest.patch("/tickets/1", json!({"title": "Another"})).await,
        send(rest.request(Method::POST, "/tickets").header("content-type", "text/csv")).await,
        rest.post_raw("/tickets", vec![b' '; 2 * 1024 * 1024]).await,
        send(rest.request(Method::HEAD, "/tickets")).await,
    ];
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses, [200, 201, 400, 404, 403, 415, 413, 200]);
    for (answer, spent) in answers.iter().zip(1..) {
        let left = [("key", 60 - spent), ("tickets", 30 - spent)];
        let remaining = (30 - spent).to_string();
        assert_told(&answer.headers, policy, &left, ["30", &remaining, "tickets"]);
        assert_eq!(answer.header("retry-after"), None);
    }
    // The same windows by gRPC: as initial metadata of a success, with the status of a refusal.
    let listed = list(&orqit, &key).await;
    assert_eq!(listed.status().code(), Code::Ok);
    assert_told(&listed.headers, policy, &[("key", 51), ("tickets", 21)], ["30", "21", "tickets"]);
    let mut tickets = orqit.tickets().await;
    let refused = |status: Status, code, left: [u32; 2]| {
        assert_eq!(status.code(), code, "{status:?}");
        let left = [("key", left[0]), ("tickets", left[1])];
        let headers = status.metadata().clone().into_headers();
        assert_told(&headers, policy, &left, ["30", &left[1].1.to_string(), "tickets"]);
    };
    let missing = pb::GetTicketRequest { id: "999".to_owned(), ..Default::default() };
    let missing = tickets.get_ticket(with_key(&key, missing)).await;
    refused(missing.expect_err("no such ticket"), Code::NotFound, [50, 20]);
    let invalid = tickets.create_ticket(with_key(&key, pb::CreateTicketRequest::default())).await;
    refused(invalid.expect_err("no title"), Code::InvalidArgument, [49, 19]);
    let update = pb::UpdateTicketRequest { id: "1".to_owned(), ..Default::default() };
    let denied = tickets.update_ticket(with_key(&key, update)).await;
    refused(denied.expect_err("no scope"), Code::PermissionDenied, [48, 18]);
    // And by gRPC-web.
    let request = orqit.rest(&key).request(Method::POST, &format!("/{LIST}"));
    let request = request.header("content-type", "application/grpc-web+proto");
    let answer = send(request.body(frame(&pb::ListTicketsRequest::default()))).await;
    assert_told(&answer.headers, policy, &[("key", 47), ("tickets", 17)], ["30", "17", "tickets"]);
}

#[tokio::test]
async fn what_needs_no_caller_spends_nothing_and_tells_nothing() {
    let orqit = Orqit::start().await;
    let key = limited(&orqit, 2, 2).await;
    let rest = orqit.rest(&key);
    let mut answers = Vec::new();
    for path in ["/ping", "/openapi.json", "//livez", "//readyz", "//metrics", "/nothing"] {
        answers.push(rest.get(path).await);
    }
    answers.push(send(rest.request(Method::OPTIONS, "/tickets")).await);
    answers.push(send(rest.request(Method::DELETE, "/tickets")).await);
    answers.push(orqit.rest("").get("/tickets").await);
    answers.push(orqit.rest("nonsense").get("/tickets").await);
    let both = rest.request(Method::GET, "/tickets").header("x-api-key", "another");
    answers.push(send(both).await);
    let expired = |new: &mut orqit::store::NewKey| {
        (new.per_minute, new.expires_at) = (5, Some(orqit.clock.now()));
    };
    let expired = orqit.key_with(&orqit.workspace, &["tickets:read"], expired).await;
    answers.push(orqit.rest(&expired).get("/tickets").await);
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 404, 204, 405, 401, 401, 400, 401]);
    for answer in &answers {
        assert_eq!(told(&answer.headers), [""; 0]);
    }
    let bearer = format!("Bearer {key}");
    let credential = [("authorization", bearer.as_str())];
    for path in ["/grpc.health.v1.Health/Check", "/orqit.v1.TicketService/Nothing"] {
        let answer = grpc::call(orqit.address, path, &credential, vec![0; 5]).await;
        assert_eq!(told(&answer.headers), [""; 0]);
    }
    let unauthenticated = list(&orqit, "nonsense").await;
    assert_refused(&unauthenticated.status(), Code::Unauthenticated, "INVALID_API_KEY");
    assert_eq!(told(&unauthenticated.headers), [""; 0]);

    let first = rest.get("/tickets").await;
    assert_eq!(first.header("x-ratelimit-remaining"), Some("1"));
}

#[tokio::test]
async fn the_request_beyond_the_limit_is_refused_until_the_next_window() {
    let orqit = Orqit::start().await;
    let key = limited(&orqit, 5, 2).await;
    let (rest, id) = (orqit.rest(&key), &key[4..12]);
    // Wherever in the window it begins, it ends for both limits at once.
    for _ in 0..3 {
        rest.get("/tickets").await.data(200);
        rest.get("/tickets").await.data(200);
        let answer = rest.get("/tickets").await;
        let error = answer.error(429, "RATE_LIMIT_EXCEEDED");
        let policy = r#""key";q=5;w=60, "tickets";q=2;w=60"#;
        let left = [("key", 3), ("tickets", 0)];
        let wait = assert_told(&answer.headers, policy, &left, ["2", "0", "tickets"]);
        let unit = if wait == 1 { "second" } else { "seconds" };
        assert_eq!(
            error["message"],
            format!("Too many requests. Retry after {wait} {unit}.").as_str()
        );
        assert_eq!(error["retryAfterSeconds"], wait);
        assert_eq!(answer.headers.get_all("retry-after").iter().count(), 1);
        assert_eq!(answer.header("retry-after"), Some(wait.to_string().as_str()));
        let mut fields: Vec<_> = error.as_object().expect("an object").keys().collect();
        fields.sort();
        assert_eq!(fields, ["code", "message", "requestId", "retryAfterSeconds"]);

        let refused = list(&orqit, &key).await;
        let status = refused.status();
        assert_refused(&status, Code::ResourceExhausted, "RATE_LIMIT_EXCEEDED");
        assert_eq!(status.message(), error["message"]);
        let details = status.get_error_details();
        let delay = details.retry_info().and_then(|retry| retry.retry_delay).expect("a delay");
        assert_eq!(delay.as_secs(), wait);
        let quota = details.quota_failure().expect("a QuotaFailure");
        let violations: Vec<_> =
            quota.violations.iter().map(|v| (v.subject.as_str(), v.description.as_str())).collect();
        assert_eq!(violations, [("group:tickets", "A window of 60 seconds admits 2.")]);
        assert_eq!(refused.headers["retry-after"], wait.to_string().as_str());
        assert_told(&refused.headers, policy, &left, ["2", "0", "tickets"]);

        // The group that is exhausted bars no other one; the limit over all bars them all.
        for _ in 0..2 {
            rest.get("/keys/self").await.data(200);
        }
        let one_more = with_key(&key, pb::ListAccountsRequest::default());
        let mut keys = KeyServiceClient::new(orqit.channel().await);
        let refused = keys.list_accounts(one_more).await.expect_err("the group is exhausted");
        assert_eq!(quotas(&refused), ["group:keys"]);
        // Refused by its group it spent nothing over all: one is left there for users.
        assert_eq!(refused.metadata().get("x-ratelimit-remaining").expect("told"), "0");
        assert!(refused.metadata().get("ratelimit").expect("told").to_str().is_ok_and(|states| {
            states.starts_with("\"key\";r=1;") && states.contains("\"keys\";r=0;")
        }));

        // One second less is not enough, however little is missing; what is told is.
        orqit.clock.advance_millis((wait as i64 - 1) * 1000);
        assert_eq!(rest.get("/tickets").await.status, 429);
        orqit.clock.advance_millis(1000);
    }
    // The limit over all alone.
    let wide = limited(&orqit, 1, 5).await;
    orqit.rest(&wide).get("/tickets").await.data(200);
    let refused = list(&orqit, &wide).await;
    assert_eq!(quotas(&refused.status()), [format!("key:{}", &wide[4..12])]);
    assert!(!quotas(&refused.status()).contains(&format!("key:{id}")));
    assert!(told(&refused.headers)[1].contains("\"tickets\";r=4;"), "{:?}", told(&refused.headers));
    assert_eq!(refused.headers["x-ratelimit-resource"], "key");
}

/// The subjects of a refusal's QuotaFailure.
fn quotas(status: &Status) -> Vec<String> {
    let quota = status.get_details_quota_failure().expect("a QuotaFailure");
    quota.violations.into_iter().map(|violation| violation.subject).collect()
}

#[tokio::test]
async fn of_many_at_once_exactly_the_limit_is_admitted() {
    let orqit = Orqit::start().await;
    let key = limited(&orqit, 40, 25).await;
    let mut tickets = orqit.tickets().await;
    let mut running = JoinSet::new();
    for number in 0..90 {
        let (rest, key) = (orqit.rest(&key), key.clone());
        tickets = tickets.clone();
        let mut tickets = tickets.clone();
        running.spawn(async move {
            if number % 2 == 0 {
                rest.get("/tickets").await.status == 200
            } else {
                tickets.list_tickets(with_key(&key, Default::default())).await.is_ok()
            }
        });
    }
    let admitted = running.join_all().await.into_iter().filter(|admitted| *admitted).count();
    assert_eq!(admitted, 25);
    // The 65 that were refused by the group spent nothing over all.
    let answer = orqit.rest(&key).get("/keys/self").await;
    assert!(told(&answer.headers)[1].starts_with("\"key\";r=14;"), "{:?}", told(&answer.headers));
}

#[tokio::test]
async fn an_unlimited_limit_is_not_told_of() {
    let orqit = Orqit::start().await;
    let (free, key_only) = (limited(&orqit, 0, 0).await, limited(&orqit, 60, 0).await);
    let group_only = limited(&orqit, 0, 30).await;
    let answer = orqit.rest(&free).get("/tickets").await;
    assert_eq!(told(&answer.headers), [""; 0]);
    assert_eq!(told(&list(&orqit, &free).await.headers), [""; 0]);
    let answer = orqit.rest(&key_only).get("/tickets").await;
    assert_told(&answer.headers, r#""key";q=60;w=60"#, &[("key", 59)], ["60", "59", "key"]);
    let answer = orqit.rest(&group_only).get("/tickets").await;
    let left = [("tickets", 29)];
    assert_told(&answer.headers, r#""tickets";q=30;w=60"#, &left, ["30", "29", "tickets"]);
}

#[tokio::test]
async fn the_limit_over_all_is_named_when_the_group_has_as_few_left() {
    let orqit = Orqit::start().await;
    let key = limited(&orqit, 30, 30).await;
    let answer = orqit.rest(&key).get("/tickets").await;
    let policy = r#""key";q=30;w=60, "tickets";q=30;w=60"#;
    assert_told(&answer.headers, policy, &[("key", 29), ("tickets", 29)], ["30", "29", "key"]);
}

#[tokio::test]
async fn a_key_can_ask_what_is_left() {
    let orqit = Orqit::start().await;
    let key = limited(&orqit, 60, 30).await;
    let rest = orqit.rest(&key);
    rest.get("/tickets").await.data(200);
    rest.get("/tickets").await.data(200);
    // Asking spends too, from over all and from its own group.
    let answer = rest.get("/keys/self").await;
    let states = answer.data(200)["rateLimits"].take();
    let reset: Value = answer.header("x-ratelimit-reset").expect("told").parse().expect("a number");
    let left = |name: &str| states_of(&states, name);
    assert_eq!(left("key"), json!([60, 57, reset]));
    assert_eq!(left("tickets"), json!([30, 28, reset]));
    assert_eq!(left("keys"), json!([30, 29, reset]));
    assert_eq!(left("users"), json!([30, 30, reset]));
    let mut keys = KeyServiceClient::new(orqit.channel().await);
    let answer = keys.get_self(with_key(&key, pb::GetSelfRequest {})).await.expect("a key");
    let told = answer.into_inner().key.expect("a key").rate_limits;
    assert_eq!((told[0].resource.as_str(), told[0].limit, told[0].remaining), ("key", 60, 56));
    // What is unlimited has no item.
    let free = limited(&orqit, 0, 0).await;
    let answer = orqit.rest(&free).get("/keys/self").await;
    assert_eq!(answer.data(200)["rateLimits"], json!([]));
    let group_only = limited(&orqit, 0, 7).await;
    let answer = orqit.rest(&group_only).get("/keys/self").await;
    let states = answer.data(200)["rateLimits"].take();
    assert_eq!(states_of(&states, "key"), Value::Null);
    assert_eq!(states_of(&states, "keys")[1], 6);
}

/// Limit, what is left, and seconds of one of the limits that GetSelf tells of.
fn states_of(states: &Value, name: &str) -> Value {
    let states = states.as_array().expect("a list");
    let found = states.iter().find(|state| state["resource"] == name);
    found.map_or(Value::Null, |state| {
        json!([state["limit"], state["remaining"], state["resetSeconds"]])
    })
}

#[tokio::test]
async fn keys_do_not_spend_from_each_other() {
    let orqit = Orqit::start().await;
    let (one, other) = (limited(&orqit, 1, 1).await, limited(&orqit, 1, 1).await);
    let get = async |key: &str| -> Answer { orqit.rest(key).get("/tickets").await };
    assert_eq!(get(&one).await.status, 200);
    assert_eq!(get(&one).await.status, 429);
    assert_eq!(get(&other).await.status, 200);
}

#[tokio::test]
async fn a_replica_without_redis_admits_its_share() {
    let options = Options { replicas: 4, ..Options::default() };
    let orqit = Orqit::start_with(options).await;
    let key = limited(&orqit, 60, 2).await;
    let answer = orqit.rest(&key).get("/tickets").await;
    let policy = r#""key";q=15;w=60, "tickets";q=1;w=60"#;
    assert_told(&answer.headers, policy, &[("key", 14), ("tickets", 0)], ["1", "0", "tickets"]);
    orqit.rest(&key).get("/tickets").await.error(429, "RATE_LIMIT_EXCEEDED");
}
