//! Tickets with their newest comments and history, through the API.

use orqit::pb;
use orqit::store::tickets::Ticket;
use serde_json::{Value, json};

use crate::cli::Machine;
use crate::support::database::{TestStore, is_postgres};
use crate::support::requests::vpn;
use crate::support::rest::Rest;
use crate::support::server::{Orqit, with_key};

const SCOPES: &[&str] = &["tickets:create", "tickets:read", "tickets:write"];

async fn comment(rest: &Rest, ticket: i64, body: &str) -> Value {
    let comment = json!({"body": body});
    rest.post(&format!("/tickets/{ticket}/comments"), comment).await.data(201)
}

#[tokio::test]
async fn what_is_asked_for_comes_with_each_ticket_the_newest_first() {
    let orqit = Orqit::start().await;
    let key = orqit.key(SCOPES).await;
    let rest = orqit.rest(&key);
    for _ in 0..3 {
        rest.post("/tickets", vpn()).await.data(201);
    }
    for number in 0..22 {
        orqit.clock.advance_millis(1000);
        comment(&rest, 1, &number.to_string()).await;
        let priority = if number % 2 == 0 { "HIGH" } else { "LOW" };
        rest.patch("/tickets/1", json!({ "priority": priority })).await.data(200);
    }
    comment(&rest, 3, "alone").await;
    for (path, of) in [("/tickets/1", 0), ("/tickets?sort=createdAt", 0)] {
        let separator = if path.contains('?') { '&' } else { '?' };
        for (include, comments, history) in [
            ("", false, false),
            ("include=comments", true, false),
            ("include=history", false, true),
            ("include=history,comments", true, true),
            ("include=history&include=comments", true, true),
        ] {
            let answer = rest.get(&format!("{path}{separator}{include}")).await.data(200);
            let ticket = if answer.is_array() { &answer[of] } else { &answer };
            let listed = rest.get("/tickets/1/comments").await.data(200);
            let expected = if comments { listed } else { Value::Null };
            assert_eq!(ticket["comments"], expected, "{path} {include}");
            let listed = rest.get("/tickets/1/history").await.data(200);
            let expected = if history { listed } else { Value::Null };
            assert_eq!(ticket["history"], expected, "{path} {include}");
        }
    }
    let all = rest.get("/tickets?sort=createdAt&include=comments,history").await.data(200);
    assert_eq!((&all[1]["comments"], &all[1]["history"]), (&json!([]), &json!([])));
    assert_eq!(all[2]["comments"][0]["body"], "alone");
    // A ticket is a resource whatever it is shown with: its version counts.
    assert_eq!(all[0]["comments"].as_array().map(Vec::len), Some(20));
    for wrong in ["include=comment", "include=", "include=comments,comments", "include=COMMENTS"] {
        for path in ["/tickets", "/tickets/1"] {
            let answer = rest.get(&format!("{path}?{wrong}")).await;
            assert_eq!(answer.error(400, "VALIDATION_FAILED")["code"], "VALIDATION_FAILED");
        }
    }
    rest.patch("/tickets/1", json!({"comments": []})).await.error(400, "VALIDATION_FAILED");

    let mut tickets = orqit.tickets().await;
    let request = pb::GetTicketRequest { id: "3".into(), include: vec!["comments".into()] };
    let ticket = tickets.get_ticket(with_key(&key, request)).await.unwrap().into_inner();
    let ticket = ticket.ticket.unwrap();
    assert_eq!(ticket.comments.unwrap().comments.len(), 1);
    assert_eq!(ticket.history, None);
}

#[tokio::test]
async fn the_oldest_is_left_out_where_there_is_no_room() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(SCOPES).await;
    let large = "x".repeat(65_536);
    for id in 1..=4 {
        rest.post("/tickets", vpn()).await.data(201);
        for _ in 0..20 {
            orqit.clock.advance_millis(1000);
            comment(&rest, id, &large).await;
        }
    }
    let answer = rest.get("/tickets?include=comments").await;
    assert!(answer.body.len() < 3_670_016 + 65_536, "{}", answer.body.len());
    let tickets = answer.data(200);
    let counts: Vec<_> = tickets.as_array().unwrap().iter().collect();
    let counts = counts.iter().map(|ticket| ticket["comments"].as_array().unwrap().len());
    assert_eq!(counts.collect::<Vec<_>>(), [20, 20, 15, 0]);
    assert_eq!(tickets[3]["commentCount"], 20);
}

#[tokio::test]
async fn as_many_statements_are_run_for_one_ticket_as_for_many() {
    let machine = Machine::new().await;
    let serving = machine.serve(&[]).await;
    let key = machine.unlimited_key("tickets:write").await;
    let key = Rest::new(serving.url.clone(), &key);
    let reads = Rest::new(serving.url.clone(), &machine.unlimited_key("tickets:read").await);
    for id in 1..=100 {
        key.post("/tickets", vpn()).await.data(201);
        comment(&key, id, "a comment").await;
    }
    let operations = async || {
        let page = String::from_utf8(reads.get("//metrics").await.body).expect("text");
        let of = ["of=\"tickets\"", "of=\"comments\"", "of=\"history\""];
        let counts = page.lines().filter(|line| {
            line.starts_with("orqit_store_operation_duration_seconds_count")
                && of.iter().any(|of| line.contains(of))
        });
        let counts = counts.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        counts.sum::<f64>()
    };
    for (count, path) in [(1, "/tickets?perPage=1"), (100, "/tickets?perPage=100")] {
        let before = operations().await;
        let listed = reads.get(&format!("{path}&include=comments,history")).await.data(200);
        assert_eq!(listed.as_array().map(Vec::len), Some(count));
        assert_eq!(operations().await - before, 3.0, "{path}");
    }
}

#[tokio::test]
async fn the_newest_of_each_ticket_are_looked_up() {
    let test = TestStore::create().await;
    let reader = test.store.reader(test.workspace.id);
    let ids: Vec<_> = (1..=100).collect();
    let mut plan = reader.explain_newest_comments(&ids).await.unwrap();
    plan.extend(reader.explain_newest_history::<Ticket>(&ids).await.unwrap());
    let is_scan = |line: &&String| match is_postgres() {
        true => line.contains("Seq Scan"),
        false => ["SCAN x", "SCAN n", "SCAN t"].iter().any(|scan| line.starts_with(scan)),
    };
    assert_eq!(plan.iter().find(is_scan), None, "{}", plan.join("\n"));
}
