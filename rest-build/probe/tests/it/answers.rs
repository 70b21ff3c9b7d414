//! What an answer looks like.

use rest::{Call, Refusal};
use serde_json::json;

use crate::support::{Answer, get, routes, send, send_with};

fn parts(answer: Answer) -> (u16, serde_json::Value, Option<i64>) {
    match answer {
        Answer::Reply { status, json, version, .. } => (status, json, version),
        other => panic!("not a success: {other:?}"),
    }
}

#[tokio::test]
async fn the_whole_message_is_the_data_with_its_version() {
    let (status, json, version) = parts(get("/v1/books/1").await);
    assert_eq!(status, 200);
    assert_eq!(
        json,
        json!({
            "success": true,
            "data": {
                "id": 1, "title": "Ubik", "genre": "NOVEL", "version": 4, "keeper": "", "tags": [],
                "publishedAt": null, "marks": {},
            },
        })
    );
    assert_eq!(version, Some(4));
}

#[tokio::test]
async fn page_meta_stands_beside_the_data() {
    let (_, json, version) = parts(get("/v1/shelves/a/books").await);
    assert_eq!(json["data"].as_array().map(Vec::len), Some(2));
    assert_eq!(json["meta"], json!({"totalCount": 2}));
    assert_eq!(version, None);
    let (_, json, _) = parts(get("/v1/books").await);
    let fields: Vec<_> = json["data"].as_object().expect("an object").keys().collect();
    assert_eq!(fields, ["books", "request"]);
    assert_eq!(json["meta"], json!({"totalCount": 2}));
}

#[tokio::test]
async fn a_missing_resource_is_null() {
    let (_, json, version) = parts(get("/v1/books/featured").await);
    assert_eq!(json, json!({"success": true, "data": null}));
    assert_eq!(version, None);
}

#[tokio::test]
async fn the_policy_gives_the_status() {
    let body = r#"{"title": "x", "genre": "NOVEL"}"#;
    assert_eq!(parts(send("POST", "/v1/shelves/a/books", body).await).0, 201);
    let (status, json, _) = parts(send("DELETE", "/v1/books/1", "").await);
    assert_eq!((status, json), (200, json!({"success": true, "data": {}})));
}

#[tokio::test]
async fn a_refusal_of_the_service_passes_through() {
    let Answer::Refused(status) = get("/v1/books/404").await else { panic!("it is refused") };
    assert_eq!(status.code(), tonic::Code::NotFound);
    assert_eq!(status.message(), "There is no such book.");
}

#[tokio::test]
async fn metadata_goes_to_the_service_and_back() {
    let mut call = Call::default();
    call.metadata.insert("x-seen", tonic::metadata::MetadataValue::from_static("yes"));
    let Answer::Reply { metadata, .. } = send_with("GET", "/v1/books/1", "", call).await else {
        panic!("it is answered");
    };
    assert_eq!(metadata.get("x-seen").map(|value| value.as_bytes()), Some(b"yes".as_slice()));
}

#[tokio::test]
async fn the_json_is_compact_and_in_the_order_of_the_fields() {
    let routes = routes();
    let rest::Match::Found { binding, captures } = routes.find("GET", "/v1/genres/NOVEL/count")
    else {
        panic!("there is a route");
    };
    let answer: Result<_, Refusal> = binding.call(Call { captures, ..Call::default() }).await;
    let rest::Content::Whole(body) = answer.expect("it is answered").content else {
        panic!("it streams");
    };
    assert_eq!(body.as_ref(), br#"{"success":true,"data":{"genre":"NOVEL"}}"#);
}
