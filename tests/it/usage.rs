//! Usage: what requests add up to, by hour and day, and when a key was last used.

use std::net::IpAddr;
use std::time::Duration;

use orqit::store::Usage;
use orqit::usage::Recorder;
use serde_json::{Value, json};

use crate::support::database::START;
use crate::support::requests::vpn;
use crate::support::server::Orqit;
use crate::support::usage::{AUDIT, Feed, all_rows, key_id, rows};

const HOUR: i64 = 3600 * 1000;
const GET: &str = "TicketService/GetTicket";
const LIST: &str = "TicketService/ListTickets";

#[tokio::test]
async fn requests_and_errors_are_counted_by_endpoint() {
    let orqit = Orqit::start().await;
    let audit = orqit.rest_as(AUDIT).await;
    let key = orqit.key(&["tickets:read", "tickets:write"]).await;
    let rest = orqit.rest(&key);
    rest.post("/tickets", vpn()).await.data(201);
    for path in ["/tickets/1", "/tickets/2", "/tickets/1", "/tickets/x"] {
        rest.get(path).await;
    }
    orqit.flush_usage().await;
    let usage = rows(&audit.get("/usage").await);
    let told: Vec<_> = usage
        .iter()
        .map(|row| {
            (row["endpoint"].as_str().unwrap(), &row["requests"], &row["errors"], &row["errorRate"])
        })
        .collect();
    let (create, get) = ((1, 0, 0.0), (4, 2, 0.5));
    let expect = |name, (requests, errors, rate): (i32, i32, f64)| {
        (name, json!(requests), json!(errors), json!(rate))
    };
    let expected = [expect("TicketService/CreateTicket", create), expect(GET, get)];
    let expected: Vec<_> = expected.iter().map(|(n, r, e, s)| (*n, r, e, s)).collect();
    assert_eq!(told, expected);
    assert_eq!(usage[0]["start"], "2026-01-01T00:00:00.000Z");
    for name in ["p50Ms", "p95Ms", "p99Ms"] {
        assert!(usage[0][name].as_f64() > Some(0.0), "{usage:?}");
    }
}

#[tokio::test]
async fn percentiles_are_within_one_percent_over_many_batches() {
    let orqit = Orqit::start().await;
    let audit = orqit.rest_as(AUDIT).await;
    let feed = Feed::of(&orqit, &orqit.key(&["tickets:read"]).await).await;
    // 1 ms to 2 s, each 1 ms apart, in an order of their own, in two hours.
    for number in 0..2_000_u64 {
        let millis = number * 7 % 2_000 + 1;
        feed.take(GET, 200, Duration::from_millis(millis));
        if number % 400 == 0 {
            orqit.flush_usage().await;
        }
        if number == 1_000 {
            orqit.clock.advance_millis(HOUR);
        }
    }
    orqit.flush_usage().await;
    let day = rows(&audit.get("/usage?interval=DAY").await);
    let of_get = day.iter().find(|row| row["endpoint"] == GET).expect("figures");
    assert_eq!(of_get["requests"], 2_000);
    for (name, exact) in [("p50Ms", 1_000.0), ("p95Ms", 1_900.0), ("p99Ms", 1_980.0)] {
        let told = of_get[name].as_f64().expect("a number");
        assert!((told - exact).abs() <= exact / 100.0, "{name} {told} {exact}");
    }
    let hours = rows(&audit.get(&format!("/usage?endpoint={GET}")).await);
    let told: Vec<_> = hours.iter().map(|row| (row["start"].as_str(), &row["requests"])).collect();
    let expected = [
        (Some("2026-01-01T01:00:00.000Z"), &json!(999)),
        (Some("2026-01-01T00:00:00.000Z"), &json!(1_001)),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn figures_of_one_key_are_apart_from_those_of_all() {
    let orqit = Orqit::start().await;
    let audit = orqit.rest_as(AUDIT).await;
    let (one, other) = (orqit.key(&["tickets:read"]).await, orqit.key(&["tickets:read"]).await);
    for (key, count) in [(&one, 3), (&other, 4)] {
        let feed = Feed::of(&orqit, key).await;
        for _ in 0..count {
            feed.take(GET, 404, Duration::from_millis(2));
        }
    }
    orqit.flush_usage().await;
    for interval in ["HOUR", "DAY"] {
        let requests = async |key: &str| {
            let path = format!("/usage?interval={interval}&endpoint={GET}{key}");
            let usage = rows(&audit.get(&path).await);
            usage.iter().map(|row| row["requests"].as_i64().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(requests("").await, [7]);
        assert_eq!(requests(&format!("&keyId={}", key_id(&one))).await, [3]);
        assert_eq!(requests(&format!("&keyId={}", key_id(&other))).await, [4]);
        assert_eq!(requests("&keyId=nobody00").await, Vec::<i64>::new());
    }
}

#[tokio::test]
async fn figures_are_read_page_by_page_the_newest_first() {
    let orqit = Orqit::start().await;
    let audit = orqit.rest_as(AUDIT).await;
    let feed = Feed::of(&orqit, &orqit.key(&["tickets:read"]).await).await;
    for _ in 0..10 {
        for endpoint in [LIST, GET, "TicketService/UpdateTicket"] {
            feed.take(endpoint, 200, Duration::from_millis(1));
        }
        orqit.clock.advance_millis(HOUR);
    }
    orqit.flush_usage().await;
    let path = "/usage?since=2026-01-01T00:00:00Z&until=2026-01-01T10:00:00Z";
    let whole = rows(&audit.get(&format!("{path}&perPage=100")).await);
    assert_eq!(whole.len(), 30);
    let order =
        |row: &Value| (std::cmp::Reverse(row["start"].to_string()), row["endpoint"].to_string());
    assert!(whole.is_sorted_by_key(order));
    for per_page in [1, 4, 30] {
        assert_eq!(all_rows(&audit, path, per_page).await, whole);
    }
    let second = audit.get(&format!("{path}&perPage=4&page=2")).await;
    assert_eq!(rows(&second), whole[4..8]);
    assert_eq!(second.json()["meta"]["totalCount"], 30);

    // A cursor of a list that ends now still fits when the clock has moved on.
    let first = audit.get("/usage?perPage=4").await.json()["meta"]["nextCursor"].clone();
    orqit.clock.advance_millis(1);
    let read_on = audit.get(&format!("/usage?perPage=4&cursor={}", first.as_str().unwrap())).await;
    assert_eq!(rows(&read_on).len(), 4);
    let other = audit.get(&format!("/usage?interval=DAY&cursor={}", first.as_str().unwrap())).await;
    other.assert_wrong("cursor", "VALIDATION_FAILED", &[("cursor", "INVALID_CURSOR")]);
}

#[tokio::test]
async fn a_range_begins_with_the_span_it_falls_into_and_ends_before_until() {
    let orqit = Orqit::start().await;
    let audit = orqit.rest_as(AUDIT).await;
    let feed = Feed::of(&orqit, &orqit.key(&["tickets:read"]).await).await;
    for _ in 0..30 {
        feed.take(GET, 200, Duration::from_millis(1));
        orqit.clock.advance_millis(HOUR);
    }
    orqit.flush_usage().await;
    let count =
        async |range: &str| rows(&audit.get(&format!("/usage?perPage=100&{range}")).await).len();
    // Now is 06:00 of the second day, an hour after the last request.
    assert_eq!(count("page=1").await, 24);
    assert_eq!(count("since=2026-01-01T10:59:00Z&until=2026-01-01T12:00:00Z").await, 2);
    assert_eq!(count("since=2026-01-01T11:00:00Z&until=2026-01-01T12:00:00.001Z").await, 2);
    assert_eq!(count("since=2026-01-01T11:00:00Z&until=2026-01-01T11:00:00Z").await, 0);
    assert_eq!(count("until=2026-01-01T10:00:00Z").await, 10);
    assert_eq!(count("interval=DAY").await, 2);
    assert_eq!(count("interval=DAY&until=2026-01-02T00:00:00Z").await, 1);

    let until = "until=2026-03-01T00:00:00Z";
    for (right, wrong, interval) in [
        ("2026-01-29T00:00:00Z", "2026-01-28T23:59:59Z", "HOUR"),
        ("2025-02-28T00:00:00Z", "2025-02-27T23:59:59Z", "DAY"),
    ] {
        count(&format!("interval={interval}&since={right}&{until}")).await;
        let answer = audit.get(&format!("/usage?interval={interval}&since={wrong}&{until}")).await;
        answer.assert_wrong(wrong, "VALIDATION_FAILED", &[("since", "OUT_OF_RANGE")]);
    }
    let backwards = audit.get("/usage?since=2026-03-01T00:00:01Z&until=2026-03-01T00:00:00Z").await;
    backwards.assert_wrong("since", "VALIDATION_FAILED", &[("since", "OUT_OF_RANGE")]);
    // Without `until` the longest range ends now.
    count("since=2025-12-02T06:00:00Z").await;
}

#[tokio::test]
async fn a_key_knows_when_and_from_where_it_was_last_used() {
    let orqit = Orqit::start().await;
    let (used, unused) = (orqit.key(&["tickets:read"]).await, orqit.key(&["tickets:read"]).await);
    let feed = Feed::of(&orqit, &used).await;
    let uses = async || {
        let reader = orqit.store.reader(orqit.workspace.id);
        let mut found = reader.find_key_uses(&[key_id(&used), key_id(&unused)]).await.unwrap();
        assert!(!found.contains_key(key_id(&unused)));
        found.remove(key_id(&used)).map(|last| (last.at, last.client_ip))
    };
    assert_eq!(uses().await, None);
    orqit.clock.advance_millis(5_000);
    let took = |host: u8| {
        feed.take_from(IpAddr::from([10, 0, 0, host]), GET, 403, Duration::from_millis(1));
    };
    took(1);
    orqit.flush_usage().await;
    assert_eq!(uses().await, Some((START.plus_millis(5_000), "10.0.0.1".to_owned())));
    // One that came earlier, but was written later, changes nothing.
    orqit.clock.advance_millis(-3_000);
    took(2);
    orqit.flush_usage().await;
    assert_eq!(uses().await, Some((START.plus_millis(5_000), "10.0.0.1".to_owned())));
    orqit.clock.advance_millis(4_000);
    took(3);
    orqit.flush_usage().await;
    assert_eq!(uses().await, Some((START.plus_millis(6_000), "10.0.0.3".to_owned())));

    let other = orqit.workspace("other").await;
    let of_other = orqit.store.reader(other.id).find_key_uses(&[key_id(&used)]).await;
    assert!(of_other.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_at_once_lose_nothing() {
    let orqit = Orqit::start().await;
    let audit = orqit.rest_as(AUDIT).await;
    let key = orqit.key(&["tickets:read"]).await;
    let feed = Feed::of(&orqit, &key).await;
    let second = orqit.workspace("second").await;
    // Each as a replica of its own would.
    let recorders: Vec<_> = (0..4).map(|_| Recorder::new(orqit.store.clone(), 10_000)).collect();
    for _ in 0..5 {
        let mut writing = Vec::new();
        for recorder in &recorders {
            for _ in 0..25 {
                recorder.take(feed.entry(GET, 200, Duration::from_millis(3)));
            }
            let recorder = recorder.clone();
            writing.push(tokio::spawn(async move { recorder.flush().await }));
        }
        for written in writing {
            written.await.unwrap().unwrap();
        }
    }
    let path = format!("/usage?endpoint={GET}&keyId={}", key_id(&key));
    assert_eq!(rows(&audit.get(&path).await)[0]["requests"], 500);
    let path = format!("/request-logs?keyId={}", key_id(&key));
    assert_eq!(audit.get(&path).await.json()["meta"]["totalCount"], 500);
    // A batch of nothing is none of anybody.
    orqit.store.insert_usage(&[(second.id, Usage::default())].into()).await.unwrap();
}
