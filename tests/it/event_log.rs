//! The log of events: in pages, by types and times, one by one, and its catalogue.

use orqit::event_type::EventType;
use orqit::pb;
use orqit::server::OPENAPI;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::grpc::{assert_refused, violations};
use crate::support::requests::{vpn, vpn_with};
use crate::support::rest::{Answer, Rest};
use crate::support::server::{Orqit, with_key};

/// The sequences of a page.
fn sequences(answer: &Answer) -> Vec<i64> {
    let events = answer.data(200);
    let events = events.as_array().expect("a list").iter();
    events.map(|event| event["sequence"].as_i64().expect("a number")).collect()
}

/// Makes five events: of two tickets, one of which changes twice, and of a user.
async fn five(rest: &Rest) {
    rest.post("/tickets", vpn()).await.data(201);
    rest.patch("/tickets/1", json!({"priority": "LOW"})).await.data(200);
    rest.patch("/tickets/1", json!({"status": "IN_PROGRESS"})).await.data(200);
    rest.post("/tickets", vpn_with(json!({"title": "Another"}))).await.data(201);
    rest.post("/users", json!({"displayName": "Ana", "email": "ana@example.com"})).await.data(201);
}

#[tokio::test]
async fn the_log_is_read_on_after_a_sequence_and_by_types_and_topics() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    assert_eq!(
        rest.get("/events").await.json()["meta"],
        json!({"nextAfter": 0, "endOfFeed": true})
    );
    five(&rest).await;

    let first = rest.get("/events?perPage=2").await;
    assert_eq!(sequences(&first), [1, 2]);
    assert_eq!(first.json()["meta"], json!({"nextAfter": 2, "endOfFeed": false}));
    let rest_of_it = rest.get("/events?after=2").await;
    assert_eq!(sequences(&rest_of_it), [3, 4, 5]);
    assert_eq!(rest_of_it.json()["meta"], json!({"nextAfter": 5, "endOfFeed": true}));
    assert_eq!(sequences(&rest.get("/events?after=5").await), [0_i64; 0]);

    for (types, expected) in [
        ("ticket.created", &[1, 4][..]),
        ("ticket.status_changed", &[3]),
        ("ticket.status_changed&types=user.created", &[3, 5]),
        ("ticket.*", &[1, 2, 3, 4]),
        ("ticket.closed", &[]),
        ("kb.*&types=*", &[1, 2, 3, 4, 5]),
    ] {
        let page = rest.get(&format!("/events?types={types}")).await;
        assert_eq!(sequences(&page), expected, "{types}");
        assert_eq!(page.json()["meta"]["nextAfter"], 5, "{types}");
    }

    // The payload is what webhooks get, to the value.
    let payloads = orqit.payloads().await;
    let event = &rest.get("/events?after=2&perPage=1").await.data(200)[0];
    assert_eq!(event, &payloads[2]);
    let id = event["id"].as_str().expect("text");
    assert_eq!(&rest.get(&format!("/events/{id}")).await.data(200), event);
    assert_eq!(&rest.get("/events/3").await.data(200), event);
    rest.get("/events/6").await.error(404, "EVENT_NOT_FOUND");
    rest.get("/events/evt_0000000000000000000000").await.error(404, "EVENT_NOT_FOUND");
    let other = orqit.workspace("other").await;
    let other = orqit.rest(&orqit.key_of(&other, &["webhooks:manage"]).await);
    other.get(&format!("/events/{id}")).await.error(404, "EVENT_NOT_FOUND");
    assert_eq!(sequences(&other.get("/events").await), [0_i64; 0]);
}

#[tokio::test]
async fn the_log_is_read_by_time() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let mut times = Vec::new();
    for title in 0..40 {
        times.push(orqit.clock.now().to_rfc3339());
        rest.post("/tickets", vpn_with(json!({"title": title.to_string()}))).await.data(201);
        orqit.clock.advance_millis(60_000);
    }
    let page = async |query: String| rest.get(&format!("/events?perPage=100{query}")).await;
    assert_eq!(sequences(&page(format!("&since={}", times[35])).await), [36, 37, 38, 39, 40]);
    assert_eq!(sequences(&page(format!("&until={}", times[2])).await), [1, 2]);
    let between = page(format!("&since={}&until={}", times[9], times[12])).await;
    assert_eq!(sequences(&between), [10, 11, 12]);
    assert_eq!(between.json()["meta"]["endOfFeed"], true);
    let narrow = page(format!("&after=10&since={}&until={}", times[9], times[12])).await;
    assert_eq!(sequences(&narrow), [11, 12]);
    assert_eq!(sequences(&page("&since=2030-01-01T00:00:00Z".to_owned()).await), [0_i64; 0]);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    five(&rest).await;
    let refused = rest.get("/events?after=6&types=ticket.deleted&perPage=101").await;
    refused.error(400, "VALIDATION_FAILED");
    assert_eq!(refused.wrong_fields(), ["perPage", "types[0]"]);
    let refused = rest.get("/events?after=6").await;
    refused.assert_wrong("after=6", "VALIDATION_FAILED", &[("after", "OUT_OF_RANGE")]);
    let key = orqit.key(&["webhooks:manage"]).await;
    let mut grpc = pb::event_service_client::EventServiceClient::new(orqit.channel().await);
    let beyond = pb::ListEventsRequest { after: Some(6), ..Default::default() };
    let status = grpc.list_events(with_key(&key, beyond)).await.expect_err("beyond");
    assert_refused(&status, Code::InvalidArgument, "VALIDATION_FAILED");
    assert_eq!(violations(&status), ["after"]);
    let read = pb::ListEventsRequest { after: Some(3), ..Default::default() };
    let page = grpc.list_events(with_key(&key, read)).await.expect("a page").into_inner();
    assert_eq!(page.events.len(), 2);
    orqit.rest_as(&["audit:read"]).await.get("/events").await.error(403, "INSUFFICIENT_SCOPE");
}

#[tokio::test]
async fn the_catalogue_has_a_schema_for_each_type() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["webhooks:manage"]).await;
    let types = rest.get("/event-types").await.data(200);
    let types = types.as_array().expect("a list");
    let names: Vec<_> = types.iter().map(|it| it["type"].as_str().expect("text")).collect();
    assert_eq!(names, EventType::ALL.iter().map(|it| it.name()).collect::<Vec<_>>());
    let document: Value = serde_json::from_str(OPENAPI).expect("JSON");
    for (of, told) in EventType::ALL.iter().zip(types) {
        assert!(document["webhooks"][of.name()]["post"].is_object(), "{told}");
        let schema = &told["schema"];
        assert_eq!(schema["properties"]["type"]["const"], of.name());
        let data = &schema["properties"]["data"];
        assert_eq!(data["properties"]["object"]["$ref"], format!("#/$defs/{}", of.object()));
        // Nothing leads out of the schema.
        let text = schema.to_string();
        assert!(!text.contains("#/components/"), "{text}");
        for target in text.split("#/$defs/").skip(1) {
            let target = target.split('"').next().expect("a first part");
            assert!(schema["$defs"][target].is_object(), "{target}");
        }
    }
    let comment =
        &types[names.iter().position(|name| *name == "ticket.comment.created").expect("it")];
    assert!(comment["schema"]["properties"]["data"]["properties"]["ticket"].is_object());
}
