//! Lists whose items are judged one by one: what is wrong in an item is told of that item alone.

use serde_json::json;

use crate::support::send;

async fn shelve(items: serde_json::Value) -> Vec<String> {
    let body = json!({ "items": items }).to_string();
    let mut data = send("POST", "/v1/books:shelve", body).await.data();
    serde_json::from_value(data["told"].take()).expect("texts")
}

#[tokio::test]
async fn what_is_wrong_in_an_item_is_told_of_that_item() {
    let told = shelve(json!([
        {"id": 1, "title": "Ubik"},
        {"id": 2, "title": "VALIS", "colour": "red", "genre": "FILM"},
        {"id": 0, "title": "Too long"},
    ]))
    .await;
    assert_eq!(told[0], "1 title");
    assert_eq!(
        told[1],
        "colour UNKNOWN_FIELD: colour is not a field here; leave it out; \
         genre INVALID_ENUM: genre must be one of NOVEL, POETRY"
    );
    assert!(told[2].starts_with("id OUT_OF_RANGE: id must be at least 1; title "), "{}", told[2]);
}

#[tokio::test]
async fn an_item_changes_the_fields_that_it_names() {
    let told = shelve(json!([
        {"id": 7, "genre": null, "version": 3},
        {"id": 8, "title": null},
        {"id": 9, "update_mask": "title", "tags": []},
    ]))
    .await;
    assert_eq!(told[0], "7 genre");
    assert_eq!(told[1], "title REQUIRED: title cannot be null");
    assert_eq!(
        told[2],
        "update_mask UNKNOWN_FIELD: update_mask is not a field here; leave it out; \
         tags READ_ONLY: tags is read-only; leave it out"
    );
}

#[tokio::test]
async fn what_is_wrong_outside_of_items_refuses_the_request() {
    for (body, expected) in [
        (json!({}), "items REQUIRED"),
        (json!({"items": []}), "items REQUIRED"),
        (json!({"items": {}}), "items WRONG_TYPE"),
        (json!({"items": [{"id": 1}, 5]}), "items[1] WRONG_TYPE"),
        (json!({"items": [{"id": 1}], "colour": "red"}), "colour UNKNOWN_FIELD"),
        (json!({"items": [{"id": 0}, {}, {}, {"id": 4}]}), "items TOO_MANY_ITEMS"),
    ] {
        let answer = send("POST", "/v1/books:shelve", body.to_string()).await;
        assert_eq!(answer.violations()[0], expected, "{body}");
    }
}

#[tokio::test]
async fn each_item_has_room_for_its_violations() {
    let wrong: serde_json::Map<_, _> =
        (0..99).map(|index| (format!("unknown{index}"), json!(1))).collect();
    let told = shelve(json!([wrong, wrong, {"id": 1, "colour": "red"}])).await;
    assert_eq!(told.map_violations(), [100, 100, 1]);
}

trait MapViolations {
    fn map_violations(&self) -> Vec<usize>;
}

impl MapViolations for Vec<String> {
    fn map_violations(&self) -> Vec<usize> {
        self.iter().map(|told| told.split("; ").filter(|it| it.contains(": ")).count()).collect()
    }
}

#[tokio::test]
async fn a_message_that_came_by_grpc_is_judged_alike() {
    use rest::{Validate, Violations};
    use rest_probe::pb;
    let item = |id, genre| pb::ShelvedBook { id, genre: Some(genre), ..Default::default() };
    let items = vec![item(1, 7), item(2, 99)];
    let request = pb::ShelveBooksRequest { items, ..Default::default() };
    let mut violations = Violations::default();
    request.validate(&mut violations);
    assert!(violations.is_empty());
    let items = violations.take_items();
    assert_eq!(items.keys().collect::<Vec<_>>(), [&1]);
    assert_eq!(items[&1].as_slice()[0].field, "genre");
}
