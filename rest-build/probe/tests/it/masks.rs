//! Which fields an update changes.

use rest::{Mask, Merge, Patch, Validate, Violations};
use rest_probe::pb;
use serde_json::json;

use crate::support::{Answer, send};

async fn patch(body: &str) -> Answer {
    send("PATCH", "/v1/books/1", body).await
}

fn request(paths: Option<&[&str]>) -> pb::UpdateBookRequest {
    let paths = paths.map(|paths| paths.iter().map(|path| (*path).to_owned()).collect());
    pb::UpdateBookRequest {
        id: 1,
        update_mask: paths.map(|paths| prost_types::FieldMask { paths }),
        ..Default::default()
    }
}

fn mask(request: &pb::UpdateBookRequest) -> (Mask, Vec<String>) {
    let mut violations = Violations::default();
    let mask = request.mask(&mut violations);
    let found = violations.as_slice().iter();
    (mask, found.map(|v| format!("{} {}: {}", v.field, v.code, v.message)).collect())
}

#[tokio::test]
async fn the_keys_of_the_body_are_the_mask() {
    let changed = patch(r#"{"title": "x", "publishedAt": null, "tags": []}"#).await.data();
    assert_eq!(changed["changed"], json!(["title", "published_at", "tags"]));
    assert_eq!(patch("{}").await.data()["changed"], json!([]));
    assert_eq!(patch(r#"{"version": 3}"#).await.data()["changed"], json!([]));
}

#[tokio::test]
async fn an_empty_body_is_refused() {
    assert_eq!(patch("").await.malformed(), "The body is empty; send a JSON object.");
}

#[tokio::test]
async fn a_required_field_cannot_be_cleared_but_left_out() {
    let wrong = patch(r#"{"title": null}"#).await.sentences();
    assert_eq!(wrong, ["title REQUIRED: title cannot be null"]);
    assert_eq!(patch(r#"{"title": ""}"#).await.violations(), ["title LENGTH"]);
    assert_eq!(patch(r#"{"title": 7}"#).await.violations(), ["title WRONG_TYPE"]);
    assert_eq!(patch(r#"{"genre": null}"#).await.data()["changed"], json!(["genre"]));
}

#[tokio::test]
async fn what_the_resource_has_but_the_request_lacks_is_read_only() {
    let wrong = patch(r#"{"id": 1, "keeper": "x", "colour": 1, "updateMask": "title"}"#).await;
    assert_eq!(
        wrong.sentences(),
        [
            "id READ_ONLY: id is read-only; leave it out",
            "keeper READ_ONLY: keeper is read-only; leave it out",
            "colour UNKNOWN_FIELD: colour is not a field here; leave it out",
            "updateMask UNKNOWN_FIELD: updateMask is not a field here; leave it out",
        ]
    );
    assert_eq!(
        patch(r#"{"update_mask": "title"}"#).await.violations(),
        ["update_mask UNKNOWN_FIELD"]
    );
}

#[test]
fn an_explicit_mask_takes_either_spelling() {
    let (mask, wrong) = mask(&request(Some(&["published_at", "publishedAt", "tags"])));
    assert!(wrong.is_empty());
    assert_eq!(mask.iter().collect::<Vec<_>>(), ["published_at", "tags"]);
    assert!(mask.has("tags") && !mask.has("title"));
}

#[test]
fn an_explicit_mask_names_only_what_can_be_updated() {
    for path in ["id", "version", "update_mask", "*", "keeper", "title.x", ""] {
        let (mask, wrong) = mask(&request(Some(&[path])));
        assert!(mask.is_empty());
        assert_eq!(
            wrong,
            [format!(
                "updateMask INVALID_MASK: updateMask cannot name {path}, only title, genre, tags, \
             published_at, marks"
            )]
        );
    }
}

#[test]
fn without_a_mask_what_is_present_is_changed_and_an_empty_mask_changes_nothing() {
    let mut request = request(None);
    request.genre = Some(1);
    request.tags = vec!["a".to_owned()];
    request.version = Some(1);
    assert_eq!(mask(&request).0.iter().collect::<Vec<_>>(), ["genre", "tags"]);
    request.update_mask = Some(prost_types::FieldMask::default());
    assert!(mask(&request).0.is_empty());
}

#[test]
fn what_a_mask_does_not_name_can_be_taken_out() {
    let mut request = request(Some(&["genre"]));
    (request.genre, request.version) = (Some(1), Some(1));
    request.tags = vec!["a".to_owned()];
    let named = mask(&request).0;
    request.keep_only(&named);
    assert_eq!((request.genre, request.tags.len(), request.version), (Some(1), 0, Some(1)));
}

#[test]
fn a_required_field_that_an_explicit_mask_names_must_be_set() {
    let mut violations = Violations::default();
    request(Some(&["title", "genre", "keeper"])).validate(&mut violations);
    let found: Vec<_> = violations.as_slice().iter().map(|v| v.field.as_str()).collect();
    assert_eq!(found, ["updateMask", "title"]);
}

#[test]
fn an_update_is_merged_into_the_resource() {
    let book = pb::Book {
        id: 1,
        title: "Old".to_owned(),
        genre: 2,
        keeper: "Ana".to_owned(),
        tags: vec!["a".to_owned()],
        ..Default::default()
    };
    let merged = |request: &pb::UpdateBookRequest| {
        let mut merged = book.clone();
        request.merge(&mask(request).0, &mut merged);
        merged
    };
    assert_eq!(merged(&request(Some(&[]))), book);
    // What the mask names and the request leaves out is cleared.
    let title = Some("New".to_owned());
    let update = pb::UpdateBookRequest { title, ..request(Some(&["title", "tags", "genre"])) };
    let expected = pb::Book { title: "New".to_owned(), genre: 0, tags: Vec::new(), ..book.clone() };
    assert_eq!(merged(&update), expected);
    // Without a mask what is present is changed.
    let update = pb::UpdateBookRequest { genre: Some(1), ..request(None) };
    assert_eq!(merged(&update), pb::Book { genre: 1, ..book.clone() });
}

#[test]
fn a_map_is_merged_entry_by_entry() {
    use prost_types::Value;
    use prost_types::value::Kind;
    let text = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
    let entries = |entries: &[(&str, &Value)]| {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).clone())).collect()
    };
    let (one, two, null) = (text("1"), text("2"), Value { kind: Some(Kind::NullValue(0)) });
    let book = pb::Book { marks: entries(&[("a", &one), ("b", &one)]), ..Default::default() };
    for (fields, marks, expected) in [
        (
            None,
            entries(&[("b", &two), ("c", &two), ("a", &null)]),
            entries(&[("b", &two), ("c", &two)]),
        ),
        (Some(&["marks"][..]), entries(&[("d", &null)]), book.marks.clone()),
        (Some(&["marks"]), entries(&[]), entries(&[])),
        (None, entries(&[]), book.marks.clone()),
    ] {
        let update = pb::UpdateBookRequest { marks, ..request(fields) };
        let mut merged = book.clone();
        update.merge(&mask(&update).0, &mut merged);
        assert_eq!(merged.marks, expected);
    }
}

#[tokio::test]
async fn an_empty_object_names_nothing_of_a_map_and_null_clears_it() {
    for (body, changed) in [
        (r#"{"marks": {}}"#, json!([])),
        (r#"{"marks": null}"#, json!(["marks"])),
        (r#"{"marks": {"a": null}, "tags": []}"#, json!(["marks", "tags"])),
    ] {
        let mut data = send("PATCH", "/v1/books/1", body.to_owned()).await.data();
        assert_eq!(data["changed"].take(), changed, "{body}");
    }
}
