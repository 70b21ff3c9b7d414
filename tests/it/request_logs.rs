//! The request log: what a request leaves in it, however it ended, and for how long.

use std::time::Duration;

use http::Method;
use orqit::config::USAGE_ATTEMPTS_MAX;
use orqit::pb;
use orqit::usage::retention::Retention;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::support::database::START;
use crate::support::grpc::frame;
use crate::support::requests::{vpn, vpn_message};
use crate::support::rest::send;
use crate::support::server::{Options, Orqit, with_key};
use crate::support::usage::{AUDIT, Feed, all_rows, key_id, logs, rows};
use crate::support::wire::soon;

const DAY: i64 = 24 * 3600 * 1000;

/// Takes what a test cannot know out of an entry, after a look at it.
#[track_caller]
fn known(mut log: Value) -> Value {
    let latency = log["latencyMs"].take();
    assert!(latency.as_f64().is_some_and(|millis| millis > 0.0), "{latency}");
    log.as_object_mut().expect("an object").remove("latencyMs");
    log
}

#[tokio::test]
async fn a_request_leaves_an_entry_with_all_that_is_known_of_it() {
    let orqit = Orqit::start().await;
    let audit = orqit.rest_as(AUDIT).await;
    let key = orqit.key(&["tickets:read", "tickets:write"]).await;
    let rest = orqit.rest(&key);
    let created = rest.request(Method::POST, "/tickets").json(&vpn());
    send(created.header("x-request-id", "mine")).await.data(201);
    orqit.clock.advance_millis(1500);
    assert_eq!(send(rest.request(Method::HEAD, "/tickets/1")).await.status, 200);

    let logs = logs(&orqit, &audit, &key).await;
    assert!(logs[0]["requestId"].as_str().expect("text").starts_with("req_"));
    assert_eq!(
        (&logs[0]["method"], &logs[0]["time"]),
        (&json!("HEAD"), &json!("2026-01-01T00:00:01.500Z"))
    );
    assert_eq!(
        known(logs[1].clone()),
        json!({
            "id": 1,
            "time": "2026-01-01T00:00:00.000Z",
            "keyId": key_id(&key),
            "endpoint": "TicketService/CreateTicket",
            "route": "/api/public/v1/tickets",
            "method": "POST",
            "transport": "REST",
            "status": 201,
            "code": null,
            "requestId": "mine",
            "clientIp": "127.0.0.1",
        })
    );
    assert_eq!(logs.len(), 2);
}

#[tokio::test]
async fn every_protocol_is_told_with_the_status_that_rest_has() {
    let orqit = Orqit::start().await;
    let audit = orqit.rest_as(AUDIT).await;
    let key = orqit.key(&["tickets:read", "tickets:write"]).await;
    let mut tickets = orqit.tickets().await;
    tickets.create_ticket(with_key(&key, vpn_message())).await.expect("created");
    let missing = pb::GetTicketRequest { id: "7".to_owned(), ..Default::default() };
    tickets.get_ticket(with_key(&key, missing.clone())).await.expect_err("not there");
    let path = "//orqit.v1.TicketService/GetTicket";
    let web = orqit.rest(&key).request(Method::POST, path);
    let web = web.header("content-type", "application/grpc-web").body(frame(&missing));
    assert_eq!(send(web).await.status, 200);

    let logs = logs(&orqit, &audit, &key).await;
    let told: Vec<_> = logs
        .iter()
        .rev()
        .map(|log| {
            assert_eq!((&log["route"], &log["method"]), (&Value::Null, &json!("POST")));
            (log["transport"].clone(), log["status"].clone(), log["code"].clone())
        })
        .collect();
    let not_found = json!("TICKET_NOT_FOUND");
    assert_eq!(
        told,
        [
            (json!("GRPC"), json!(201), Value::Null),
            (json!("GRPC"), json!(404), not_found.clone()),
            (json!("GRPC_WEB"), json!(404), not_found),
        ]
    );
}

#[tokio::test]
async fn a_refused_request_leaves_an_entry_if_its_key_is_known() {
    let orqit = Orqit::start().await;
    let audit = orqit.rest_as(AUDIT).await;
    let key = orqit.key(&["tickets:read"]).await;
    let rest = orqit.rest(&key);
    rest.get("/tickets/9").await.error(404, "TICKET_NOT_FOUND");
    rest.get("/tickets?page=0").await.error(400, "VALIDATION_FAILED");
    rest.get("/tickets?nonsense=1").await.error(400, "UNKNOWN_FIELD");
    rest.post("/tickets", vpn()).await.error(403, "INSUFFICIENT_SCOPE");
    // Of nobody, of nothing, or public.
    rest.get("/nowhere").await.error(404, "ROUTE_NOT_FOUND");
    rest.request(Method::DELETE, "/tickets").send().await.expect("an answer");
    orqit.rest("").get("/tickets").await.error(401, "MISSING_API_KEY");
    orqit.rest("nonsense").get("/tickets").await.error(401, "INVALID_API_KEY");
    rest.get("/ping").await.data(200);

    let logs = logs(&orqit, &audit, &key).await;
    let told: Vec<_> = logs
        .iter()
        .rev()
        .map(|log| (log["status"].as_i64().expect("a number"), log["code"].as_str().expect("text")))
        .collect();
    assert_eq!(
        told,
        [
            (404, "TICKET_NOT_FOUND"),
            (400, "VALIDATION_FAILED"),
            (400, "UNKNOWN_FIELD"),
            (403, "INSUFFICIENT_SCOPE"),
        ]
    );
    // And only the request of the one who asks is there beside them.
    let all = rows(&audit.get("/request-logs").await);
    assert_eq!(all.len(), 4);
}

#[tokio::test]
async fn a_request_that_ran_out_of_time_leaves_an_entry() {
    let timeout = Duration::from_millis(50);
    let orqit = Orqit::start_with(Options { request_timeout: timeout, ..Options::default() }).await;
    let key = orqit.key(&["tickets:write"]).await;
    let held = orqit.hold_writes().await;
    orqit.rest(&key).post("/tickets", vpn()).await.error(504, "DEADLINE_EXCEEDED");
    drop(held);
    orqit.flush_usage().await;
    let found = orqit.store.reader(orqit.workspace.id);
    let page = first_page();
    let found = found.list_request_logs(&Default::default(), &page).await.expect("read");
    assert_eq!(
        (found.rows[0].status, found.rows[0].code.as_deref()),
        (504, Some("DEADLINE_EXCEEDED"))
    );
    assert!(found.rows[0].latency_micros >= 50_000, "{:?}", found.rows[0]);
}

fn first_page() -> orqit::store::PageRequest {
    orqit::store::PageRequest { per_page: 100, position: orqit::store::Position::Page(1) }
}

#[tokio::test]
async fn a_client_that_goes_before_its_answer_leaves_an_entry() {
    let orqit = Orqit::start().await;
    let audit = orqit.rest_as(AUDIT).await;
    let key = orqit.key(&["tickets:write"]).await;
    // Known, so that the request gets as far as the lock without a read.
    orqit.rest(&key).get("/keys/self").await.data(200);
    let held = orqit.hold_writes().await;
    // Over HTTP/2, where a client says that it goes: by HTTP/1.1 it may only have no more to send.
    let rest = orqit.rest(&key).over_http2();
    let asking = tokio::spawn(async move { rest.post("/tickets", vpn()).await });
    // It waits for the lock now; the key's first request told when the second is on its way.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    asking.abort();
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    drop(held);
    let gone = async {
        loop {
            let logs = logs(&orqit, &audit, &key).await;
            if let Some(gone) = logs.into_iter().find(|log| log["status"] == 499) {
                return gone;
            }
        }
    };
    let gone = soon(gone).await;
    assert_eq!(
        (&gone["code"], &gone["route"]),
        (&json!("CLIENT_GONE"), &json!("/api/public/v1/tickets"))
    );
    assert_eq!(orqit.events().await, []);
}

#[tokio::test]
async fn another_workspace_sees_nothing_of_it() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:read"]).await;
    orqit.rest(&key).get("/tickets").await.data(200);
    let other = orqit.workspace("other").await;
    let audit = orqit.rest(&orqit.key_of(&other, AUDIT).await);
    assert_eq!(logs(&orqit, &audit, &key).await, Vec::<Value>::new());
    orqit.flush_usage().await;
    assert_eq!(rows(&audit.get("/usage").await).len(), 1, "its own request");
    let of_key = audit.get(&format!("/usage?keyId={}", key_id(&key))).await;
    assert_eq!(rows(&of_key), Vec::<Value>::new());
}

#[tokio::test]
async fn what_was_taken_before_a_stop_is_written() {
    let mut orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:read"]).await;
    let rest = orqit.rest(&key);
    for _ in 0..5 {
        rest.get("/tickets").await.data(200);
    }
    orqit.stop().await;
    let reader = orqit.store.reader(orqit.workspace.id);
    let found = reader.list_request_logs(&Default::default(), &first_page()).await.expect("read");
    assert_eq!(found.total_count, Some(5));
    let uses = reader.find_key_uses(&[key_id(&key)]).await.expect("read");
    assert_eq!(uses[key_id(&key)].at, START);
}

#[tokio::test]
async fn requests_beyond_the_queue_are_missing_in_the_log_alone() {
    let orqit = Orqit::start_with(Options { request_log_queue: 4, ..Options::default() }).await;
    let audit = orqit.rest_as(AUDIT).await;
    let key = orqit.key(&["tickets:read"]).await;
    let feed = Feed::of(&orqit, &key).await;
    for number in 0..1_000 {
        if number == 999 {
            orqit.clock.advance_millis(1);
        }
        feed.take("TicketService/GetTicket", 200, Duration::from_millis(1));
    }
    let logs = logs(&orqit, &audit, &key).await;
    assert!((1..=4).contains(&logs.len()), "{}", logs.len());
    let usage = rows(&audit.get(&format!("/usage?keyId={}", key_id(&key))).await);
    assert_eq!(usage[0]["requests"], 1_000);
    let uses = orqit.store.reader(orqit.workspace.id).find_key_uses(&[key_id(&key)]).await;
    assert_eq!(uses.expect("read")[key_id(&key)].at, START.plus_millis(1));
    let metrics = orqit.rest("").get("//metrics").await.body;
    let metrics = String::from_utf8(metrics).expect("text");
    assert!(metrics.contains("orqit_request_log_dropped_total"), "{metrics}");
}

#[tokio::test]
async fn what_is_too_old_goes_and_the_total_stays_exact() {
    let orqit = Orqit::start().await;
    let audit = orqit.rest_as(AUDIT).await;
    let key = orqit.key(&["tickets:read"]).await;
    let feed = Feed::of(&orqit, &key).await;
    // 1,500 requests of the first day, two more batches than one deletion takes; 100 of the 31st.
    for (advance, count) in [(0, 1_500), (30 * DAY, 100)] {
        orqit.clock.advance_millis(advance);
        for _ in 0..count {
            feed.take("TicketService/GetTicket", 200, Duration::from_millis(1));
        }
        orqit.flush_usage().await;
    }
    let kept = Duration::from_secs(30 * 24 * 3600);
    let retention = Retention { request_logs: kept, events: kept, emails: kept };
    let now = orqit.clock.now();
    assert_eq!(retention.delete_batch(&orqit.store, now).await.expect("deleted"), 0);
    let later = now.plus_millis(1);
    assert_eq!(retention.delete_batch(&orqit.store, later).await.expect("deleted"), 1_000);
    let total = async || {
        let answer = audit.get("/request-logs?perPage=1").await;
        answer.json()["meta"]["totalCount"].clone()
    };
    assert_eq!(total().await, 600);
    assert_eq!(retention.delete_batch(&orqit.store, later).await.expect("deleted"), 500);
    assert_eq!(retention.delete_batch(&orqit.store, later).await.expect("deleted"), 0);
    // Those who asked have left entries themselves.
    let of_key = format!("/request-logs?keyId={}", key_id(&key));
    assert_eq!(all_rows(&audit, &of_key, 30).await.len(), 100);
    // Figures of hours stay for 32 days, those of days for 400.
    // Of the key alone: whoever asks leaves figures too, as soon as they are written.
    let of_key = format!("/usage?keyId={}&since=2026-01-01T00:00:00Z", key_id(&key));
    let days = [format!("{of_key}&interval=DAY"), of_key];
    for path in &days {
        assert_eq!(
            rows(&audit.get(path).await).last().expect("figures")["requests"],
            1_500,
            "{path}"
        );
    }
    let delete_all = async |days: i64| {
        let at = START.plus_millis(days * DAY);
        while retention.delete_batch(&orqit.store, at).await.expect("deleted") > 0 {}
    };
    delete_all(33).await;
    assert_eq!(rows(&audit.get(&days[0]).await).len(), 2);
    assert_eq!(rows(&audit.get(&days[1]).await).len(), 1);
    delete_all(401).await;
    assert_eq!(rows(&audit.get(&days[0]).await).len(), 1);
    delete_all(431).await;
    assert_eq!(rows(&audit.get(&days[0]).await), Vec::<Value>::new());
    // An empty log begins again where it ended.
    assert_eq!(total().await, 0);
    orqit.flush_usage().await;
    assert!(total().await.as_i64() > Some(5));
}

#[tokio::test]
async fn what_cannot_be_written_is_kept_until_it_can_or_is_refused_for_good() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:read"]).await;
    let feed = Feed::of(&orqit, &key).await;
    let database = orqit.connect().await;
    let rename = async |from: &str, to: &str| {
        let rename = format!("ALTER TABLE {from} RENAME TO {to}");
        database.execute_unprepared(&rename).await.expect("renamed");
    };
    let written = async || {
        let reader = orqit.store.reader(orqit.workspace.id);
        let found = reader.list_request_logs(&Default::default(), &first_page()).await;
        found.expect("read").rows.iter().map(|log| log.status).collect::<Vec<_>>()
    };
    rename("usage_figures", "away").await;
    feed.take("TicketService/GetTicket", 201, Duration::from_millis(1));
    orqit.usage.flush().await.expect_err("there is no table");
    assert!(written().await.is_empty(), "all of it or nothing");
    feed.take("TicketService/GetTicket", 202, Duration::from_millis(1));
    rename("away", "usage_figures").await;
    orqit.flush_usage().await;
    assert_eq!(written().await, [202, 201]);

    rename("usage_figures", "away").await;
    feed.take("TicketService/GetTicket", 203, Duration::from_millis(1));
    // The service tries by itself too, once a second.
    let mut refused = 0;
    while orqit.usage.flush().await.is_err() {
        refused += 1;
    }
    assert!((1..USAGE_ATTEMPTS_MAX).contains(&refused), "{refused}");
    rename("away", "usage_figures").await;
    feed.take("TicketService/GetTicket", 204, Duration::from_millis(1));
    orqit.flush_usage().await;
    assert_eq!(written().await, [204, 202, 201]);
}
