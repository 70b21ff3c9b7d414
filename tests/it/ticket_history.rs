//! What has changed of a ticket, and where its status may go, through the API.

use orqit::pb;
use prost_types::value::Kind;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::grpc::assert_refused;
use crate::support::requests::{vpn, vpn_with};
use crate::support::rest::Rest;
use crate::support::server::{Orqit, with_key};

const SCOPES: &[&str] = &["tickets:create", "tickets:read", "tickets:write"];
const HISTORY: &str = "/tickets/1/history";

/// Field, from and to of each entry.
async fn changes(rest: &Rest) -> Vec<(String, Value, Value)> {
    let entries = rest.get(HISTORY).await.data(200);
    let entries = entries.as_array().expect("a list").iter();
    let change = |entry: &Value| {
        let field = entry["field"].as_str().expect("a field").to_owned();
        (field, entry["from"].clone(), entry["to"].clone())
    };
    entries.map(change).collect()
}

#[tokio::test]
async fn every_changed_field_has_an_entry_the_latest_change_first() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(SCOPES).await;
    rest.post("/tickets", vpn_with(json!({"tags": ["vpn"]}))).await.data(201);
    assert_eq!(changes(&rest).await, [], "a creation is no change");

    let update =
        json!({"title": "VPN down", "tags": ["vpn", "urgent"], "dueAt": "2026-03-01T09:00:00Z"});
    let updated = rest.patch("/tickets/1", update).await;
    updated.data(200);
    rest.patch("/tickets/1", json!({"title": "VPN down"})).await.data(200);
    rest.patch("/tickets/1", json!({"dueAt": null, "status": "RESOLVED"})).await.data(200);

    let due = json!("2026-03-01T09:00:00.000Z");
    let at = "2026-01-01T00:00:00.000Z";
    let mut found = changes(&rest).await;
    assert_eq!(found.len(), 6, "{found:?}");
    found[..3].sort_by(|one, other| one.0.cmp(&other.0));
    found[3..].sort_by(|one, other| one.0.cmp(&other.0));
    let entry = |field: &str, from: Value, to: Value| (field.to_owned(), from, to);
    assert_eq!(
        found,
        [
            entry("dueAt", due.clone(), json!(null)),
            entry("resolvedAt", json!(null), json!(at)),
            entry("status", json!("OPEN"), json!("RESOLVED")),
            entry("dueAt", json!(null), due),
            entry("tags", json!(["vpn"]), json!(["vpn", "urgent"])),
            entry("title", json!("VPN not connecting"), json!("VPN down")),
        ]
    );
    let entries = rest.get(HISTORY).await;
    let oldest = entries.data(200)[5].clone();
    let request_id = updated.header("x-request-id").expect("an id");
    assert_eq!((&oldest["requestId"], &oldest["createdAt"]), (&json!(request_id), &json!(at)));
    assert_eq!(
        (&oldest["actor"]["type"], &oldest["actor"]["name"]),
        (&json!("KEY"), &json!("Test key"))
    );
    assert_eq!((&oldest["id"], &entries.json()["meta"]["totalCount"]), (&json!(1), &json!(6)));
}

#[tokio::test]
async fn a_change_that_is_refused_leaves_no_entry() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(SCOPES).await;
    rest.post("/tickets", vpn()).await.data(201);
    rest.patch("/tickets/1", json!({"title": "x", "assigneeId": 99}))
        .await
        .error(400, "INVALID_REFERENCE");
    rest.patch("/tickets/1", json!({"title": "x", "version": 9}))
        .await
        .error(412, "VERSION_CONFLICT");
    assert_eq!(changes(&rest).await, []);
}

#[tokio::test]
async fn a_history_is_read_on_by_cursor_and_belongs_to_its_ticket() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(SCOPES).await;
    for _ in 0..2 {
        rest.post("/tickets", vpn()).await.data(201);
    }
    for number in 1..=5 {
        let title = json!({"title": format!("VPN {number}")});
        rest.patch("/tickets/1", title.clone()).await.data(200);
        rest.patch("/tickets/2", title).await.data(200);
    }
    let (mut seen, mut cursor) = (Vec::new(), "start".to_owned());
    loop {
        let page = rest.get(&format!("{HISTORY}?perPage=2&cursor={cursor}")).await;
        let meta = page.json()["meta"].clone();
        assert_eq!((&meta["page"], &meta["totalCount"]), (&json!(null), &json!(null)));
        let rows = page.data(200);
        seen.extend(rows.as_array().expect("a list").iter().map(|row| row["to"].clone()));
        match meta["nextCursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, [5, 4, 3, 2, 1].map(|number| json!(format!("VPN {number}"))));
    let page = rest.get(&format!("{HISTORY}?perPage=2")).await.json();
    let next = page["meta"]["nextCursor"].as_str().expect("a cursor").to_owned();
    let other = rest.get(&format!("/tickets/2/history?cursor={next}")).await;
    assert_eq!(other.wrong_fields(), ["cursor"]);
    let both = rest.get(&format!("{HISTORY}?cursor={next}&page=1&perPage=101")).await;
    both.error(400, "VALIDATION_FAILED");
    assert_eq!(both.wrong_fields(), ["perPage", "cursor"]);
}

#[tokio::test]
async fn who_may_not_see_a_ticket_sees_nothing_of_its_history() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(SCOPES).await;
    rest.post("/tickets", vpn()).await.data(201);
    let other = orqit.workspace("other").await;
    let other = orqit.rest(&orqit.key_of(&other, SCOPES).await);
    for path in [HISTORY, "/tickets/1/transitions"] {
        let nowhere = other.get(&path.replace('1', "7")).await.error(404, "TICKET_NOT_FOUND");
        let elsewhere = other.get(path).await.error(404, "TICKET_NOT_FOUND");
        assert_eq!(nowhere["message"], elsewhere["message"]);
        rest.get(&path.replace('1', "abc")).await.error(404, "TICKET_NOT_FOUND");
        let unscoped = orqit.rest_as(&["tickets:create"]).await;
        unscoped.get(path).await.error(403, "INSUFFICIENT_SCOPE");
    }
}

#[tokio::test]
async fn grpc_shows_the_same() {
    let orqit = Orqit::start().await;
    let key = orqit.key(SCOPES).await;
    let rest = orqit.rest(&key);
    rest.post("/tickets", vpn()).await.data(201);
    rest.patch("/tickets/1", json!({"priority": "HIGH"})).await.data(200);
    let mut client = orqit.tickets().await;
    let id = || "TCK-1".to_owned();
    let request = pb::ListTicketHistoryRequest { id: id(), ..Default::default() };
    let listed = client.list_ticket_history(with_key(&key, request)).await.expect("listed");
    let entry = listed.into_inner().history.remove(0);
    let text = |value: Option<prost_types::Value>| value.and_then(|value| value.kind);
    assert_eq!(entry.field, "priority");
    assert_eq!(text(entry.from), Some(Kind::StringValue("MEDIUM".to_owned())));
    assert_eq!(text(entry.to), Some(Kind::StringValue("HIGH".to_owned())));

    let request = pb::GetTicketTransitionsRequest { id: id() };
    let told = client.get_ticket_transitions(with_key(&key, request)).await.expect("told");
    let told = told.into_inner();
    assert_eq!((told.status, told.allowed.len()), (pb::TicketStatus::Open.into(), 5));
    let request = pb::GetTicketTransitionsRequest { id: "TCK-9".to_owned() };
    let refused = client.get_ticket_transitions(with_key(&key, request)).await.expect_err("none");
    assert_refused(&refused, Code::NotFound, "TICKET_NOT_FOUND");
}

#[tokio::test]
async fn the_transitions_are_those_that_an_update_takes() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(SCOPES).await;
    let all = ["OPEN", "IN_PROGRESS", "PENDING", "RESOLVED", "CLOSED", "CANCELLED"];
    for (number, status) in (1..).zip(all) {
        rest.post("/tickets", vpn()).await.data(201);
        let path = format!("/tickets/{number}");
        rest.patch(&path, json!({ "status": status })).await.data(200);
        let told = rest.get(&format!("{path}/transitions")).await.data(200);
        assert_eq!(told["status"], status);
        let allowed = told["allowed"].as_array().expect("a list");
        for to in all.iter().filter(|to| **to != status) {
            let dry = rest.patch(&path, json!({"status": to, "assigneeId": 99})).await;
            // What the ticket could not become is told before what is not there.
            let is_allowed = dry.json()["error"]["code"] == "INVALID_REFERENCE";
            assert_eq!(allowed.contains(&json!(to)), is_allowed, "{status} to {to}");
        }
    }
}

#[tokio::test]
async fn a_ticket_that_was_closed_long_ago_may_go_nowhere() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(SCOPES).await;
    rest.post("/tickets", vpn()).await.data(201);
    rest.patch("/tickets/1", json!({"status": "CLOSED"})).await.data(200);
    let allowed =
        || async { rest.get("/tickets/1/transitions").await.data(200)["allowed"].clone() };
    assert_eq!(allowed().await, json!(["OPEN", "IN_PROGRESS"]));
    orqit.clock.advance_millis(30 * 24 * 3600 * 1000);
    assert_eq!(allowed().await, json!(["OPEN", "IN_PROGRESS"]));
    orqit.clock.advance_millis(1);
    assert_eq!(allowed().await, json!([]));
}
