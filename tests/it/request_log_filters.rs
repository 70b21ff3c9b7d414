//! The list of requests: filters, pages, cursors, totals, and how the rows are found.

use std::net::IpAddr;
use std::time::Duration;

use orqit::store::{CursorKey, PageRequest, Position, RequestLogFilter, Span, UsageFilter};
use sea_orm::ConnectionTrait;
use serde_json::Value;

use crate::support::database::{START, is_postgres};
use crate::support::rest::Rest;
use crate::support::server::Orqit;
use crate::support::usage::{AUDIT, Feed, all_rows, key_id, rows};

const ENDPOINTS: [&str; 3] =
    ["TicketService/GetTicket", "TicketService/ListTickets", "TicketService/UpdateTicket"];
const STATUSES: [u16; 4] = [200, 201, 404, 500];

/// A service with requests of three keys, three endpoints and four statuses at many times; many
/// share one.
async fn with_requests(count: usize) -> (Orqit, Rest, [String; 3]) {
    let orqit = Orqit::start().await;
    let audit = orqit.rest_as(AUDIT).await;
    let scopes = &["tickets:read"];
    let keys = [orqit.key(scopes).await, orqit.key(scopes).await, orqit.key(scopes).await];
    let feeds = [
        Feed::of(&orqit, &keys[0]).await,
        Feed::of(&orqit, &keys[1]).await,
        Feed::of(&orqit, &keys[2]).await,
    ];
    let client = IpAddr::from([198, 51, 100, 7]);
    for number in 0..count {
        let (endpoint, status) = (ENDPOINTS[number / 3 % 3], STATUSES[number / 5 % 4]);
        feeds[number % 3].take_from(client, endpoint, status, Duration::from_micros(100));
        orqit.clock.advance_millis(if number % 4 == 0 { 1000 } else { 0 });
        if number % 50 == 0 {
            orqit.flush_usage().await;
        }
    }
    orqit.flush_usage().await;
    (orqit, audit, keys)
}

/// The values of a filter; none means that it is not given.
fn passes(filter: &[&str], value: &Value) -> bool {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    filter.is_empty() || filter.contains(&text.as_str())
}

#[tokio::test]
async fn every_filter_finds_what_a_naive_one_does_page_by_page() {
    let (_orqit, audit, keys) = with_requests(252).await;
    let fed = "/request-logs?endpoint=%s".replace("%s", "/api/public/v1/tickets/{id}");
    assert_eq!(all_rows(&audit, &fed, 100).await.len(), 168, "two endpoints on one route");

    let all = all_rows(&audit, "/request-logs?since=2026-01-01T00:00:00Z", 100).await;
    let all: Vec<_> = all.into_iter().filter(|log| log["requestId"] == "fed").collect();
    assert_eq!(all.len(), 252);
    let order = |log: &Value| (log["time"].to_string(), log["id"].as_i64());
    assert!(all.is_sorted_by(|before, after| order(before) > order(after)));

    let ids: Vec<_> = keys.iter().map(|key| key_id(key)).collect();
    for of_keys in [&ids[..0], &ids[..1], &ids[1..], &["nobody00"]] {
        for endpoint in ["", ENDPOINTS[0]] {
            for statuses in [&[][..], &["200"], &["404", "500"], &["200", "404"], &["418"]] {
                for since in ["", "2026-01-01T00:00:20Z", "2026-01-01T00:00:20.0005Z"] {
                    let mut path = "/request-logs?".to_owned();
                    let values = [
                        ("keyId", of_keys.join(",")),
                        ("status", statuses.join(",")),
                        ("since", since.to_owned()),
                        ("endpoint", endpoint.to_owned()),
                    ];
                    for (name, value) in values.iter().filter(|(_, value)| !value.is_empty()) {
                        path += &format!("&{name}={value}");
                    }
                    let from = since.replace("20Z", "20.000Z").replace(".0005Z", ".001Z");
                    let expected: Vec<_> = all
                        .iter()
                        .filter(|log| passes(of_keys, &log["keyId"]))
                        .filter(|log| endpoint.is_empty() || log["endpoint"] == endpoint)
                        .filter(|log| passes(statuses, &log["status"]))
                        .filter(|log| log["time"].as_str() >= Some(from.as_str()))
                        .collect();
                    let path = path.replace("?&", "?");
                    let path = if path.ends_with('?') { path + "page=1" } else { path };
                    if path.ends_with("page=1") {
                        continue;
                    }
                    let found = all_rows(&audit, &path, 37).await;
                    let found: Vec<_> =
                        found.iter().filter(|log| log["requestId"] == "fed").collect();
                    assert_eq!(found, expected, "{path}");
                    if !of_keys.is_empty() {
                        let answer = audit.get(&format!("{path}&perPage=7&page=2")).await;
                        let second: Vec<_> =
                            expected.iter().skip(7).take(7).copied().cloned().collect();
                        assert_eq!(rows(&answer), second, "{path}");
                        let meta = &answer.json()["meta"];
                        assert_eq!(meta["totalCount"], expected.len(), "{path}");
                        assert_eq!(meta["hasMore"], expected.len() > 14, "{path}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn the_total_without_a_filter_is_exact_and_so_is_the_end() {
    let (orqit, audit, _) = with_requests(45).await;
    let answer = audit.get("/request-logs?perPage=20&page=3").await;
    assert_eq!(rows(&answer).len(), 5);
    let meta = answer.json()["meta"].clone();
    assert_eq!((&meta["totalCount"], &meta["hasMore"]), (&45.into(), &false.into()));
    orqit.flush_usage().await;
    assert_eq!(audit.get("/request-logs?page=9").await.json()["meta"]["totalCount"], 46);
}

#[tokio::test]
async fn a_filter_that_names_nothing_and_a_cursor_of_another_list_are_refused() {
    let (_orqit, audit, keys) = with_requests(45).await;
    for path in ["/request-logs", "/usage"] {
        for unknown in [
            "GetTicket",
            "TicketService/Nothing",
            "/api/public/v1/nothing",
            "DELETE%20/api/public/v1/tickets",
        ] {
            let answer = audit.get(&format!("{path}?endpoint={unknown}")).await;
            answer.assert_wrong(unknown, "VALIDATION_FAILED", &[("endpoint", "INVALID_VALUE")]);
        }
    }
    let many = vec!["4fQ7x2Lm"; 51].join(",");
    for (wrong, code) in [("a,,b", "EMPTY"), (many.as_str(), "TOO_MANY_ITEMS")] {
        let answer = audit.get(&format!("/request-logs?keyId={wrong}")).await;
        assert_eq!(answer.status, 400, "{wrong}");
        let fields = answer.told().2;
        assert!(fields.contains(&("keyId".to_owned(), code.to_owned())), "{wrong}: {fields:?}");
    }
    for wrong in ["99", "600", "x"] {
        let answer = audit.get(&format!("/request-logs?status={wrong}")).await;
        assert_eq!(answer.status, 400, "{wrong}");
    }
    let of_key = format!("/request-logs?perPage=5&keyId={}", key_id(&keys[0]));
    let next = audit.get(&of_key).await.json()["meta"]["nextCursor"].clone();
    let next = next.as_str().expect("more");
    let other = audit.get(&format!("/request-logs?cursor={next}")).await;
    other.assert_wrong("cursor", "VALIDATION_FAILED", &[("cursor", "INVALID_CURSOR")]);
    let read_on = audit.get(&format!("{of_key}&cursor={next}")).await;
    assert_eq!((rows(&read_on).len(), read_on.json()["meta"]["page"].clone()), (5, Value::Null));
}

#[tokio::test]
async fn no_list_scans_the_table() {
    let (orqit, _, keys) = with_requests(2_000).await;
    let analyze = if is_postgres() { "VACUUM ANALYZE" } else { "ANALYZE" };
    orqit.connect().await.execute_unprepared(analyze).await.unwrap();
    let reader = orqit.store.reader(orqit.workspace.id);
    let ids: Vec<_> = keys.iter().map(|key| key_id(key).to_owned()).collect();
    let cursor = CursorKey { value: Some((START.0 + 5_000).into()), id: 5 };
    let positions = [Position::Page(1), Position::Page(3), Position::After(cursor)];
    for key_ids in [Vec::new(), ids[..1].to_vec(), ids[..2].to_vec()] {
        for endpoints in [Vec::new(), ENDPOINTS[..2].to_vec()] {
            for statuses in [Vec::new(), vec![200], vec![404, 500]] {
                for since in [None, Some(START.plus_millis(450_000))] {
                    let filter = RequestLogFilter {
                        key_ids: key_ids.clone(),
                        endpoints: endpoints.clone(),
                        statuses: statuses.clone(),
                        since,
                    };
                    for position in positions.clone() {
                        let page = PageRequest { per_page: 20, position };
                        let plan = reader.explain_request_logs(&filter, &page).await.unwrap();
                        let is_filtered = filter != RequestLogFilter::default();
                        assert_no_scan(&plan, is_filtered, &format!("{filter:?}"));
                    }
                }
            }
        }
    }
    for key_id in [None, Some(ids[0].clone())] {
        for endpoints in [Vec::new(), ENDPOINTS[..2].to_vec()] {
            let (since, until) = (START, START.plus_millis(100_000_000));
            let filter =
                UsageFilter { span: Span::Hour, since, until, key_id: key_id.clone(), endpoints };
            let page = PageRequest { per_page: 20, position: Position::Page(1) };
            let plan = reader.explain_usage(&filter, &page).await.unwrap();
            assert_no_scan(&plan, true, &format!("{filter:?}"));
        }
    }
}

/// Neither a table is read from end to end, nor, if there is a filter, an index by nothing but the
/// workspace. (Of the newest rows of all only as many are read as the page has.)
#[track_caller]
fn assert_no_scan(plan: &[String], is_filtered: bool, what: &str) {
    for line in plan {
        let line = line.trim_start().trim_start_matches("-> ").trim_start();
        let scan = if is_postgres() {
            line.contains("Seq Scan")
        } else {
            // What is scanned by another name is made of rows that were found before.
            line.starts_with("SCAN request_logs") || line.starts_with("SCAN usage_figures")
        };
        let whole = line == "Index Cond: (workspace_id = '1'::bigint)"
            || line.ends_with("(workspace_id=?)");
        assert!(!(scan || whole && is_filtered), "{what}:\n{}", plan.join("\n"));
    }
}
