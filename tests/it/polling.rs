//! Lists that are read on: every list by its cursors without a total, and changes since some time in
//! the order in which they were made.

use orqit::pb;
use serde_json::{Value, json};

use crate::support::requests::vpn;
use crate::support::rest::Rest;
use crate::support::server::{Orqit, with_key};

/// Every route that answers a page: a GET with `perPage`.
fn lists() -> Vec<&'static str> {
    let document: Value = serde_json::from_str(orqit::server::OPENAPI).expect("JSON");
    let routes = pb::RPCS.iter().flat_map(|rpc| rpc.routes);
    let gets = routes.filter(|route| route.method == "GET" && !route.template.contains('{'));
    gets.map(|route| route.template)
        .filter(|path| {
            let parameters = document["paths"][path]["get"]["parameters"].as_array();
            // A feed has pages, but none with a number.
            parameters.is_some_and(|all| all.iter().any(|one| one["name"] == "page"))
        })
        .collect()
}

async fn meta(rest: &Rest, path: &str) -> Value {
    let answer = rest.get(path).await;
    answer.data(200);
    answer.json()["meta"].clone()
}

#[tokio::test]
async fn a_loop_by_cursor_counts_nothing_in_any_list() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    for _ in 0..3 {
        rest.post("/tickets", vpn()).await.data(201);
    }
    rest.post("/categories", json!({"name": "VPN", "baseCategory": "NETWORK"})).await.data(201);
    let field = json!({"key": "site", "label": "Site", "type": "TEXT"});
    rest.post("/custom-fields", field).await.data(201);
    let answer = json!({"title": "VPN", "body": "Wait.", "kind": "FAQ"});
    rest.post("/kb/articles", answer).await.data(201);
    rest.patch("/kb/articles/1", json!({"status": "PUBLISHED"})).await.data(200);
    rest.post("/assets", json!({"name": "Laptop", "type": "LAPTOP"})).await.data(201);
    rest.post("/projects", json!({"key": "OPS", "name": "Move"})).await.data(201);
    rest.post("/projects/OPS/tasks", json!({"title": "Pack"})).await.data(201);
    rest.post("/webhooks", json!({"url": "https://desk.example/"})).await.data(201);
    let email = json!({"to": ["ana@example.com"], "subject": "Laptop", "text": "It is ready."});
    rest.post("/emails", email).await.data(201);
    orqit.flush_usage().await;
    let paths = lists();
    assert!(paths.len() >= 6, "{paths:?}");
    for path in paths {
        // From the base of Orqit's own paths on.
        let path = match path.strip_prefix("/api/public/v1") {
            Some(own) => own.to_owned(),
            None => path.replace("/api/", "/../../"),
        };
        let by_number = meta(&rest, &format!("{path}?perPage=1")).await;
        assert_eq!(by_number["page"], 1, "{path}");
        assert!(by_number["totalCount"].as_i64().is_some_and(|total| total > 0), "{path}");
        let first = meta(&rest, &format!("{path}?perPage=1&cursor=start")).await;
        assert_eq!((&first["page"], &first["totalCount"]), (&Value::Null, &Value::Null), "{path}");
        assert_eq!(first["hasMore"], by_number["hasMore"], "{path}");
        if let Some(next) = first["nextCursor"].as_str() {
            let second = meta(&rest, &format!("{path}?perPage=1&cursor={next}")).await;
            assert_eq!(second["totalCount"], Value::Null, "{path}");
        }
    }
    let key = orqit.key(&["tickets:read"]).await;
    let mut tickets = orqit.tickets().await;
    for (cursor, total) in [(None, Some(3)), (Some("start".to_owned()), None)] {
        let list = pb::ListTicketsRequest { per_page: Some(1), cursor, ..Default::default() };
        let page = tickets.list_tickets(with_key(&key, list)).await.expect("a page").into_inner();
        assert_eq!(page.meta.expect("meta").total_count, total);
    }
}

#[tokio::test]
async fn changes_since_some_time_come_in_the_order_in_which_they_were_made() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let since = orqit.clock.now().to_rfc3339();
    for _ in 0..4 {
        orqit.clock.advance_millis(1000);
        rest.post("/tickets", vpn()).await.data(201);
    }
    for id in [2, 1] {
        orqit.clock.advance_millis(1000);
        rest.patch(&format!("/tickets/{id}"), json!({"title": "Changed"})).await.data(200);
        rest.patch(&format!("/users/{}", 3 - id), json!({"title": "x"})).await;
    }
    let ids = async |path: String| -> Vec<i64> {
        let rows = rest.get(&path).await.data(200);
        let rows = rows.as_array().expect("a list");
        rows.iter().map(|row| row["id"].as_i64().expect("an id")).collect()
    };
    assert_eq!(ids(format!("/tickets?updatedSince={since}")).await, [3, 4, 2, 1]);
    assert_eq!(ids(format!("/tickets?updatedSince={since}&sort=-createdAt")).await, [4, 3, 2, 1]);
    assert_eq!(ids("/tickets".to_owned()).await, [4, 3, 2, 1]);
    // The administrator was changed last; the SYSTEM user not at all.
    assert_eq!(ids(format!("/users?updatedSince={since}")).await, [2, 1]);
    // A poller goes on from page to page, and what changes meanwhile comes at the end.
    let path = format!("/tickets?updatedSince={since}&perPage=2&cursor=");
    let first = meta(&rest, &format!("{path}start")).await;
    orqit.clock.advance_millis(1000);
    rest.patch("/tickets/3", json!({"title": "Again"})).await.data(200);
    let cursor = first["nextCursor"].as_str().expect("a cursor").to_owned();
    assert_eq!(ids(format!("{path}{cursor}")).await, [2, 1]);
    let second = meta(&rest, &format!("{path}{cursor}")).await;
    let cursor = second["nextCursor"].as_str().expect("a cursor").to_owned();
    assert_eq!(ids(format!("{path}{cursor}")).await, [3]);
}
