//! Which route a path leads to, and what its variables take from it.

use rest::Match;
use serde_json::json;

use crate::support::{Answer, get, routes, send};

fn template_of(method: &str, path: &str) -> &'static str {
    match routes().find(method, path) {
        Match::Found { binding, .. } => binding.route.template,
        Match::MethodNotAllowed { .. } => "method not allowed",
        Match::NotFound => "not found",
        Match::BadEscape => "bad escape",
    }
}

#[test]
fn a_literal_goes_before_a_variable() {
    assert_eq!(template_of("GET", "/v1/books/featured"), "/v1/books/featured");
    assert_eq!(template_of("GET", "/v1/books/features"), "/v1/books/{id}");
}

#[test]
fn a_literal_that_leads_nowhere_gives_way_to_the_variable() {
    assert_eq!(template_of("POST", "/v1/books/featured:archive"), "/v1/books/{id}:archive");
}

#[test]
fn the_path_decides_before_the_method() {
    assert_eq!(template_of("DELETE", "/v1/books/featured"), "method not allowed");
    assert_eq!(template_of("DELETE", "/v1/books/1"), "/v1/books/{id}");
}

#[test]
fn routes_are_exact() {
    for path in ["/v1/books/", "/v1//books", "//v1/books", "/V1/books", "/v1/Books", "v1/books", ""]
    {
        assert_eq!(template_of("GET", path), "not found", "{path}");
    }
    assert_eq!(template_of("GET", "/v1/%62ooks"), "not found");
    assert_eq!(template_of("GET", "/v1/books/1/"), "not found");
    assert_eq!(template_of("GET", "/v1/shelves//books"), "not found");
    assert_eq!(template_of("get", "/v1/books"), "method not allowed");
}

#[test]
fn head_goes_where_get_does_and_options_is_always_allowed() {
    assert_eq!(template_of("HEAD", "/v1/books/1"), "/v1/books/{id}");
    assert_eq!(template_of("HEAD", "/v1/books/1:archive"), "method not allowed");
    let routes = routes();
    assert_eq!(routes.allow("/v1/books/1"), Some("DELETE, GET, HEAD, OPTIONS, PATCH, PUT"));
    assert_eq!(routes.allow("/v1/books/1:archive"), Some("OPTIONS, POST"));
    assert_eq!(routes.allow("/v1/nothing"), None);
}

#[test]
fn a_custom_method_is_a_method() {
    assert_eq!(template_of("REPORT", "/v1/books/featured"), "/v1/books/featured");
    assert_eq!(routes().allow("/v1/books/featured"), Some("GET, HEAD, OPTIONS, REPORT"));
}

#[tokio::test]
async fn a_verb_is_not_part_of_the_variable_but_another_colon_is() {
    let archived = send("POST", "/v1/books/urn:isbn:1:archive", "").await.data();
    assert_eq!(archived["id"], "urn:isbn:1");
    // An unknown verb is part of the id, and an id takes no POST.
    let allow = send("POST", "/v1/books/1:burn", "").await.allow();
    assert_eq!(allow, "DELETE, GET, HEAD, OPTIONS, PATCH, PUT");
}

#[tokio::test]
async fn a_variable_can_span_segments() {
    assert_eq!(get("/v1/shelves/a").await.data(), json!({"name": "shelves/a"}));
    assert_eq!(get("/v1/files/a/b/c.txt").await.data(), json!({"path": "a/b/c.txt"}));
    assert_eq!(get("/v1/files/a/b:raw").await.data(), json!({"path": "a/b"}));
    assert_eq!(get("/v1/files").await.data(), json!({"path": ""}));
    assert!(matches!(get("/v1/files/a//b").await, Answer::NoRoute));
    assert!(matches!(get("/v1/files/").await, Answer::NoRoute));
}

#[tokio::test]
async fn an_escaped_slash_is_part_of_a_segment() {
    let books = get("/v1/shelves/a%2Fb%20c+d/books").await;
    let Answer::Reply { status: 200, .. } = books else { panic!("{books:?}") };
    assert_eq!(get("/v1/files/a%2fb/%C3%A9").await.data(), json!({"path": "a%2Fb/é"}));
    let created = send("POST", "/v1/shelves/a%2Fb+c/books", r#"{"title":"x","genre":"NOVEL"}"#);
    assert_eq!(created.await.data()["tags"][0], "a/b+c");
}

#[tokio::test]
async fn a_bad_escape_is_refused_where_there_is_a_route() {
    for path in ["/v1/books/%zz", "/v1/books/%F", "/v1/books/%", "/v1/books/%FF"] {
        assert!(matches!(get(path).await, Answer::BadEscape), "{path}");
    }
    assert!(matches!(get("/v1/nothing/%zz").await, Answer::NoRoute));
    assert!(matches!(send("POST", "/v1/books/%zz", "").await, Answer::Allow(_)));
}

#[tokio::test]
async fn a_path_value_that_does_not_fit_its_field_is_a_violation() {
    assert_eq!(get("/v1/books/abc").await.violations(), ["id WRONG_TYPE"]);
    assert_eq!(get("/v1/books/99999999999999999999").await.violations(), ["id OUT_OF_RANGE"]);
    assert_eq!(get("/v1/genres/novel/count").await.violations(), ["genre INVALID_ENUM"]);
    assert_eq!(get("/v1/genres/0/count").await.violations(), ["genre INVALID_ENUM"]);
    // Text fits whatever is in it: whether there is such an id, the service knows.
    assert_eq!(get("/v1/shelves/a%00b").await.data()["name"], "shelves/a\0b");
}

#[tokio::test]
async fn an_enum_in_the_path_has_its_short_or_its_full_name() {
    assert_eq!(get("/v1/genres/POETRY/count").await.data(), json!({"genre": "POETRY"}));
    assert_eq!(get("/v1/genres/GENRE_POETRY/count").await.data(), json!({"genre": "POETRY"}));
}

#[tokio::test]
async fn neither_query_nor_body_sets_what_the_path_sets() {
    assert_eq!(get("/v1/books/1?id=2").await.violations(), ["id UNKNOWN_FIELD"]);
    let archived = send("POST", "/v1/books/1:archive", r#"{"id": "2"}"#).await;
    assert_eq!(archived.violations(), ["id UNKNOWN_FIELD"]);
    let replaced = send("PUT", "/v1/books/1", r#"{"id": 2}"#).await;
    assert_eq!(replaced.violations(), ["book.id UNKNOWN_FIELD"]);
    let replaced = send("PUT", "/v1/books/7", r#"{"title": "x"}"#).await.data();
    assert_eq!((&replaced["id"], &replaced["title"]), (&json!(7), &json!("x")));
}
