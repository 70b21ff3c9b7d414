//! Tickets made and changed many at once, through the API.

use http::Method;
use orqit::pb;
use orqit::store::NewKey;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::requests::{vpn, vpn_message, vpn_with};
use crate::support::rest::{Answer, Rest, send};
use crate::support::server::{Orqit, with_key};

const SCOPES: &[&str] = &["tickets:read", "tickets:write", "workspace:manage"];
const BATCH: &str = "/tickets/batch";

async fn create(rest: &Rest, items: Value) -> Value {
    rest.post(BATCH, json!({ "items": items })).await.data(200)
}

async fn update(rest: &Rest, items: Value) -> Value {
    rest.patch(BATCH, json!({ "items": items })).await.data(200)
}

/// Of each result what its ticket is and became, or the code and the fields that are wrong.
pub fn told(results: &Value) -> Vec<String> {
    let results = results.as_array().expect("a list").iter();
    let line = |result: &Value| match (&result["data"], &result["error"]) {
        (data, Value::Null) => {
            let id = data["id"].as_i64().expect("an id");
            assert_eq!(data["ticketNumber"], format!("TCK-{id}"));
            let outcome = data["outcome"].as_str().expect("an outcome");
            assert_eq!(result["status"], if outcome == "CREATED" { 201 } else { 200 });
            format!("{id} {outcome} {}", data["version"])
        }
        (Value::Null, error) => {
            let details = error["details"].as_array().expect("a list").iter();
            let fields: Vec<_> =
                details.map(|wrong| wrong["field"].as_str().expect("a field")).collect();
            let code = error["code"].as_str().expect("a code");
            assert!(error["message"].as_str().is_some_and(|message| message.len() > 10));
            format!("{} {code} {}", result["status"], fields.join(",")).trim().to_owned()
        }
        _ => panic!("both: {result}"),
    };
    results.map(line).collect()
}

async fn event_types(orqit: &Orqit) -> Vec<Value> {
    orqit.payloads().await.iter().map(|event| event["type"].clone()).collect()
}

#[tokio::test]
async fn each_item_of_a_batch_is_made_or_refused_by_itself() {
    let orqit = Orqit::start().await;
    let other = orqit.workspace("other").await;
    for name in ["Ann", "Ben"] {
        orqit.user_of(&other, name).await;
    }
    let rest = orqit.rest_as(SCOPES).await;
    rest.post("/categories", json!({"name": "VPN", "baseCategory": "NETWORK"})).await.data(201);
    let external = json!({"externalSource": "old", "externalId": "1"});
    let results = create(
        &rest,
        json!([
            vpn(),
            vpn_with(json!({"colour": "red", "priority": "URGENT", "tags": "a"})),
            {"title": "", "type": "INCIDENT"},
            vpn_with(external.clone()),
            vpn_with(external),
            vpn_with(json!({"requesterId": 4, "parentId": 99, "watcherUserIds": [1, 9]})),
            vpn_with(json!({"categoryConfigId": 1})),
            vpn_with(json!({"category": null, "categoryConfigId": 1})),
            vpn_with(json!({"category": null})),
            vpn_with(json!({"externalId": "1"})),
            vpn_with(json!({"title": "a".repeat(256)})),
            vpn(),
        ]),
    )
    .await;
    let expected = [
        "1 CREATED 1",
        "400 VALIDATION_FAILED colour,priority,tags",
        "400 VALIDATION_FAILED title,description,category",
        "2 CREATED 1",
        "409 ALREADY_EXISTS",
        "400 INVALID_REFERENCE requesterId,watcherUserIds[1],parentId",
        "400 VALIDATION_FAILED categoryConfigId",
        "3 CREATED 1",
        "400 VALIDATION_FAILED category",
        "400 VALIDATION_FAILED externalSource",
        "400 VALIDATION_FAILED title",
        "4 CREATED 1",
    ];
    assert_eq!(told(&results), expected);
    // Nothing of what was refused is left.
    let list = rest.get("/tickets?sort=createdAt").await.json();
    assert_eq!(list["meta"]["totalCount"], 4);
    assert_eq!(list["data"][2]["category"], "NETWORK");
    assert_eq!(event_types(&orqit).await[1..], ["ticket.created"; 4]);
    assert_eq!(rest.get("/tickets?category=NETWORK").await.json()["meta"]["totalCount"], 4);
    assert_eq!(rest.get("/tickets?q=vpn").await.json()["meta"]["totalCount"], 4);
}

#[tokio::test]
async fn an_atomic_batch_is_done_as_a_whole_or_not_at_all() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(SCOPES).await;
    let batch =
        json!({"atomic": true, "items": [vpn(), vpn_with(json!({"requesterId": 9})), vpn()]});
    let results = rest.post(BATCH, batch).await.data(200);
    let aborted = "424 BATCH_ABORTED";
    assert_eq!(told(&results), [aborted, "400 INVALID_REFERENCE requesterId", aborted]);
    assert_eq!(rest.get("/tickets").await.json()["meta"]["totalCount"], 0);
    assert!(orqit.events().await.is_empty());

    let results = rest.post(BATCH, json!({"atomic": true, "items": [vpn(), vpn()]})).await;
    assert_eq!(told(&results.data(200)), ["1 CREATED 1", "2 CREATED 1"]);
    for (second, expected) in [
        (json!({"id": 2, "version": 7}), [aborted, "412 VERSION_CONFLICT"]),
        (json!({"id": 2, "version": 1, "status": "CLOSED"}), ["1 UPDATED 2", "2 UPDATED 2"]),
    ] {
        let items = json!([{"id": 1, "title": "Changed"}, second]);
        let results = rest.patch(BATCH, json!({"atomic": true, "items": items})).await;
        assert_eq!(told(&results.data(200)), expected);
    }
    assert_eq!(rest.get("/tickets?status=CLOSED").await.json()["meta"]["totalCount"], 1);
    assert_eq!(rest.get("/tickets/1/history").await.data(200).as_array().map(Vec::len), Some(1));
    assert_eq!(orqit.events().await.len(), 4);
}

#[tokio::test]
async fn each_item_of_a_batch_changes_its_ticket() {
    let orqit = Orqit::start().await;
    let other = orqit.workspace("other").await;
    let foreign = orqit.rest(&orqit.key_of(&other, SCOPES).await);
    create(&foreign, json!([vpn(), vpn(), vpn(), vpn(), vpn(), vpn(), vpn()])).await;
    let rest = orqit.rest_as(SCOPES).await;
    create(&rest, json!([vpn(), vpn(), vpn(), vpn(), vpn()])).await;
    let external = json!({"externalSource": "old", "externalId": "1"});
    let external = |id: i64| {
        let mut item = external.clone();
        item["id"] = id.into();
        item
    };
    let results = update(
        &rest,
        json!([
            {"id": 3, "priority": "HIGH", "tags": ["a", "b"]},
            {"id": "TCK-3", "version": 2, "priority": "LOW", "tags": null},
            {"id": "3", "version": 2, "title": "Late"},
            {"id": 1, "status": "CANCELLED"},
            {"id": 1, "status": "RESOLVED", "title": "Never"},
            {"id": 2},
            {"id": 2, "title": null, "ticketNumber": "TCK-9", "comments": []},
            {"id": 7},
            {"id": "abc", "title": "None"},
            {"title": "None"},
            external(4),
            external(5),
            {"id": 5, "parentId": 4},
            {"id": 4, "parentId": 5},
        ]),
    )
    .await;
    let expected = [
        "3 UPDATED 2",
        "3 UPDATED 3",
        "412 VERSION_CONFLICT",
        "1 UPDATED 2",
        "409 INVALID_STATUS_TRANSITION",
        "2 UNCHANGED 1",
        "400 VALIDATION_FAILED ticketNumber,comments,title",
        "404 TICKET_NOT_FOUND",
        "404 TICKET_NOT_FOUND",
        "400 VALIDATION_FAILED id",
        "4 UPDATED 2",
        "409 ALREADY_EXISTS",
        "5 UPDATED 2",
        "400 VALIDATION_FAILED parentId",
    ];
    assert_eq!(told(&results), expected);
    let third = rest.get("/tickets/3").await.data(200);
    assert_eq!((&third["priority"], &third["tags"]), (&json!("LOW"), &json!([])));
    assert_eq!(rest.get("/tickets/1").await.data(200)["title"], vpn()["title"]);
    assert_eq!(rest.get("/tickets?priority=HIGH").await.json()["meta"]["totalCount"], 0);
    let history = rest.get("/tickets/3/history").await.data(200);
    assert_eq!(history.as_array().map(Vec::len), Some(4));
    assert_eq!(event_types(&orqit).await[5..], ["ticket.updated"; 5]);
    let put =
        rest.request(Method::PUT, BATCH).json(&json!({"items": [{"id": 5, "parentId": null}]}));
    assert_eq!(told(&send(put).await.data(200)), ["5 UPDATED 3"]);
}

#[tokio::test]
async fn over_grpc_items_are_judged_alike() {
    let orqit = Orqit::start().await;
    let key = orqit.key(SCOPES).await;
    let mut tickets = orqit.tickets().await;
    let items = vec![
        vpn_message(),
        pb::CreateTicketRequest { priority: Some(9), title: String::new(), ..vpn_message() },
        vpn_message(),
    ];
    let batch = pb::BatchCreateTicketsRequest { items, atomic: false };
    let results = tickets.batch_create_tickets(with_key(&key, batch)).await.expect("results");
    let results = serde_json::to_value(results.into_inner().results).expect("JSON");
    let wrong = "400 VALIDATION_FAILED title,priority";
    assert_eq!(told(&results), ["1 CREATED 1", wrong, "2 CREATED 1"]);

    let item = |id: &str| pb::UpdateTicketRequest { id: id.into(), ..Default::default() };
    let mask = |path: &str| Some(prost_types::FieldMask { paths: vec![path.into()] });
    let items = vec![
        pb::UpdateTicketRequest { title: Some("Present".into()), ..item("1") },
        pb::UpdateTicketRequest {
            update_mask: mask("tags"),
            title: Some("No".into()),
            ..item("2")
        },
        pb::UpdateTicketRequest { update_mask: mask("colour"), ..item("2") },
        pb::UpdateTicketRequest { version: Some(1), title: Some("Late".into()), ..item("TCK-1") },
        item(""),
    ];
    let batch = pb::BatchUpdateTicketsRequest { items, atomic: false };
    let results = tickets.batch_update_tickets(with_key(&key, batch)).await.expect("results");
    let results = serde_json::to_value(results.into_inner().results).expect("JSON");
    let expected = [
        "1 UPDATED 2",
        "2 UNCHANGED 1",
        "400 VALIDATION_FAILED updateMask",
        "412 VERSION_CONFLICT",
        "400 VALIDATION_FAILED id",
    ];
    assert_eq!(told(&results), expected);
}

#[tokio::test]
async fn a_batch_has_1_to_100_items_and_no_precondition() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest(&free(&orqit, 0, 0).await);
    let hundred: Vec<_> = std::iter::repeat_with(vpn).take(100).collect();
    assert_eq!(create(&rest, json!(hundred)).await.as_array().map(Vec::len), Some(100));
    for (body, field) in [
        (json!({"items": []}), "items"),
        (json!({}), "items"),
        (json!({"items": [vec![vpn(); 101]]}), "items[0]"),
        (json!({"items": vec![vpn(); 101]}), "items"),
        (json!({"items": [vpn(), 5]}), "items[1]"),
        (json!({"items": [vpn()], "atomic": "yes"}), "atomic"),
        (json!({"items": [vpn()], "id": 1}), "id"),
    ] {
        let answer = rest.post(BATCH, body).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.wrong_fields(), [field]);
    }
    for header in ["if-match", "if-none-match"] {
        let request = rest.request(Method::PATCH, BATCH).header(header, "*");
        let answer = send(request.json(&json!({"items": [{"id": 1, "title": "No"}]}))).await;
        assert_eq!(answer.status, 400);
    }
    assert_eq!(rest.get("/tickets").await.json()["meta"]["totalCount"], 100);
    assert_eq!(orqit.events().await.len(), 100);
}

/// A key with these limits; 0 is none.
async fn free(orqit: &Orqit, per_minute: i32, group_per_minute: i32) -> String {
    let limits = |new: &mut NewKey| {
        (new.per_minute, new.group_per_minute) = (per_minute, group_per_minute);
    };
    orqit.key_with(&orqit.workspace, SCOPES, limits).await
}

fn left(answer: &Answer) -> &str {
    answer.header("x-ratelimit-remaining").expect("told")
}

#[tokio::test]
async fn a_batch_counts_as_one_request_for_each_item() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest(&free(&orqit, 20, 12).await);
    let batch = |items: usize| json!({"items": vec![vpn(); items]});
    let answer = rest.post(BATCH, batch(5)).await;
    answer.data(200);
    assert_eq!(left(&answer), "7");
    // Never admitted: told before anything else is spent.
    let answer = rest.post(BATCH, batch(13)).await;
    let error = answer.error(400, "VALIDATION_FAILED");
    assert!(error["message"].as_str().is_some_and(|it| it.contains("12")), "{error}");
    assert_eq!((answer.wrong_fields(), left(&answer)), (vec!["items".to_owned()], "6"));
    // What is refused as a whole spends one, and so does one that is not admitted.
    assert_eq!(left(&rest.post(BATCH, json!({"items": []})).await), "5");
    let answer = rest.post(BATCH, batch(6)).await;
    let error = answer.error(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(left(&answer), "4");
    assert_eq!(answer.header("retry-after"), Some(&*error["retryAfterSeconds"].to_string()));
    assert_eq!(rest.get("/tickets").await.json()["meta"]["totalCount"], 5);
    // As many as are left are admitted.
    let answer = rest.post(BATCH, batch(3)).await;
    answer.data(200);
    assert_eq!(left(&answer), "0");
    rest.post(BATCH, batch(1)).await.error(429, "RATE_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn a_batch_is_done_once_for_its_idempotency_key_and_again_it_spends_one() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest(&free(&orqit, 20, 0).await);
    let once = async |items: Value| {
        let request = rest.request(Method::POST, BATCH).header("idempotency-key", "night");
        send(request.json(&json!({ "items": items }))).await
    };
    let items = json!([vpn(), vpn_with(json!({"colour": "red"})), vpn()]);
    let first = once(items.clone()).await;
    let expected = ["1 CREATED 1", "400 UNKNOWN_FIELD colour", "2 CREATED 1"];
    assert_eq!(
        (told(&first.data(200)), left(&first)),
        (expected.map(str::to_owned).to_vec(), "17")
    );
    let again = once(items).await;
    assert_eq!((&again.body, again.header("idempotent-replayed")), (&first.body, Some("true")));
    assert_eq!(left(&again), "16");
    // What was wrong with an item is part of the request.
    once(json!([vpn(), vpn(), vpn()])).await.error(409, "IDEMPOTENCY_KEY_CONFLICT");
    assert_eq!(orqit.events().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn batches_and_single_changes_that_cross_wait_for_each_other_in_one_order() {
    let rounds = std::env::var("ORQIT_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    let rounds: usize = rounds.unwrap_or(100);
    let orqit = Orqit::start().await;
    let rest = orqit.rest(&free(&orqit, 0, 0).await);
    create(&rest, json!(vec![vpn(); 6])).await;
    for round in 0..rounds {
        let mut running = JoinSet::new();
        for (method, path, body) in [
            (Method::PATCH, BATCH, changes([1, 2, 3, 4, 5], round)),
            (Method::PATCH, BATCH, changes([5, 4, 3, 2, 6], round + 1)),
            (Method::PATCH, BATCH, json!({"items": [{"id": 6, "parentId": 1}, {"id": 1}]})),
            (Method::PATCH, "/tickets/4", json!({"title": format!("single {round}")})),
            (Method::PATCH, "/tickets/2", json!({"parentId": 3})),
        ] {
            let request = rest.request(method, path).json(&body);
            running.spawn(async move { send(request).await.data(200) });
        }
        for results in running.join_all().await {
            for result in results.as_array().into_iter().flatten() {
                assert_eq!(result["status"], 200, "{result}");
            }
        }
    }
}

/// A batch that changes these tickets in this order.
fn changes(ids: [i64; 5], round: usize) -> Value {
    let priority = if round.is_multiple_of(2) { "LOW" } else { "HIGH" };
    let title = format!("round {round}");
    json!({"items": ids.map(|id| json!({"id": id, "title": title, "priority": priority}))})
}
