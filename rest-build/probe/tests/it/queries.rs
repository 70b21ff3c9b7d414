//! What a query string may say.

use crate::support::{Answer, get};

/// The request that the service got, as its `Debug` text.
async fn request(query: &str) -> String {
    let data = get(&format!("/v1/books?{query}")).await.data();
    data["request"].as_str().expect("the request is told").to_owned()
}

async fn violations(query: &str) -> Vec<String> {
    get(&format!("/v1/books?{query}")).await.violations()
}

#[tokio::test]
async fn scalars_are_read() {
    let query = "shelf=a+b%2Bc&lent=false&ratio=-1.5e2&atLeast=18446744073709551615&sort=id";
    let request = request(query).await;
    assert!(request.contains(r#"shelf: "a b+c""#), "{request}");
    assert!(request.contains("lent: Some(false), ratio: -150.0"), "{request}");
    assert!(request.contains("at_least: 18446744073709551615"), "{request}");
    assert!(request.contains(r#"sort: Some("id")"#), "{request}");
}

#[tokio::test]
async fn numbers_and_enums_take_commas_and_repetition_but_strings_only_repetition() {
    let request = request("ids=1,2&ids=3&genres=NOVEL,GENRE_POETRY&tags=a,b&tags=c").await;
    assert!(request.contains("ids: [1, 2, 3]"), "{request}");
    assert!(request.contains("genres: [Novel, Poetry]"), "{request}");
    assert!(request.contains(r#"tags: ["a,b", "c"]"#), "{request}");
}

#[tokio::test]
async fn nested_fields_are_reached_by_dots_in_either_spelling() {
    for name in ["filter.author.fullName", "filter.author.full_name"] {
        let request = request(&format!("{name}=Dick&filter.genre=NOVEL")).await;
        assert!(request.contains(r#"full_name: "Dick""#), "{request}");
        assert!(request.contains("genre: Some(Novel)"), "{request}");
    }
    let wrong = violations("filter.author.fullName=abcdefghijk").await;
    assert_eq!(wrong, ["filter.author.fullName LENGTH"]);
}

#[tokio::test]
async fn both_names_of_a_field_work_but_not_together() {
    assert!(request("at_least=1").await.contains("at_least: 1"));
    assert_eq!(violations("at_least=1&atLeast=1").await, ["atLeast DUPLICATE_FIELD"]);
    assert_eq!(
        violations("publishedAfter=2026-01-01T00:00:00").await,
        ["publishedAfter INVALID_TIMESTAMP"]
    );
}

#[tokio::test]
async fn unknown_parameters_are_named_all_at_once() {
    let wrong = violations("colour=red&ids=ten&filter.labels=x&filter=y&filter.author=z&=1").await;
    assert_eq!(
        wrong,
        [
            "colour UNKNOWN_FIELD",
            "filter.labels UNKNOWN_FIELD",
            "filter UNKNOWN_FIELD",
            "filter.author UNKNOWN_FIELD",
            " UNKNOWN_FIELD",
            "ids WRONG_TYPE",
        ]
    );
    assert!(request("&&lent=true&").await.contains("lent: Some(true)"));
}

#[tokio::test]
async fn a_scalar_is_given_once_and_never_empty() {
    assert_eq!(violations("lent=true&lent=true").await, ["lent DUPLICATE_FIELD"]);
    for query in ["lent=", "lent", "shelf=", "ids=", "ids=1,,2", "ids=1,", "tags=", "genres=NOVEL,"]
    {
        let field = query.split('=').next().unwrap_or_default();
        assert_eq!(violations(query).await, [format!("{field} EMPTY")], "{query}");
    }
}

#[tokio::test]
async fn what_is_not_a_number_is_refused() {
    for value in ["1;2", "%2B1", "+1", "%201", "1e3", "ten", "1.0", "0x1", "-"] {
        let wrong = violations(&format!("ids={value}")).await;
        assert_eq!(wrong, ["ids WRONG_TYPE"], "{value}");
    }
    for value in ["inf", "NaN", ".5", "%2B1", "1,5"] {
        let wrong = violations(&format!("ratio={value}")).await;
        assert_eq!(wrong, ["ratio WRONG_TYPE"], "{value}");
    }
    assert_eq!(violations("ids=2147483648").await, ["ids OUT_OF_RANGE"]);
    assert_eq!(violations("atLeast=-1").await, ["atLeast OUT_OF_RANGE"]);
    assert_eq!(violations("ratio=1e400").await, ["ratio OUT_OF_RANGE"]);
    for value in ["1", "TRUE", "yes", "True"] {
        assert_eq!(violations(&format!("lent={value}")).await, ["lent WRONG_TYPE"], "{value}");
    }
}

#[tokio::test]
async fn a_bad_escape_is_named() {
    assert_eq!(
        violations("shelf=%zz&tags=%FF&%zz=1").await,
        ["shelf BAD_ESCAPE", "tags BAD_ESCAPE", "%zz BAD_ESCAPE",]
    );
}

#[tokio::test]
async fn a_plus_in_an_offset_gets_a_remedy() {
    let wrong = get("/v1/books?publishedAfter=2026-01-01T00:00:00+01:00").await.sentences();
    assert!(wrong[0].ends_with("publishedAfter must write the + of its offset as %2B in a URL"));
    let request = request("publishedAfter=2026-01-01T01:00:00%2B01:00").await;
    assert!(request.contains("seconds: 1767225600"), "{request}");
}

#[tokio::test]
async fn one_member_of_a_oneof_may_be_given() {
    assert!(request("branchId=3").await.contains("BranchId(3)"));
    assert_eq!(violations("person=a&branchId=3").await, ["branchId INVALID_VALUE"]);
}

#[tokio::test]
async fn a_listed_value_is_told_with_its_list() {
    let wrong = get("/v1/books?sort=size").await.sentences();
    assert_eq!(wrong, ["sort INVALID_VALUE: sort must be one of title, id"]);
}

#[tokio::test]
async fn a_route_with_a_whole_body_has_no_parameters() {
    let echoed = crate::support::send("POST", "/v1/echo?type=x", "{}").await;
    assert_eq!(echoed.violations(), ["type UNKNOWN_FIELD"]);
}

#[tokio::test]
async fn a_body_where_none_is_taken_is_refused() {
    let wrong = crate::support::send("GET", "/v1/books", "{}").await;
    assert_eq!(wrong.violations(), ["body UNKNOWN_FIELD"]);
    assert!(matches!(get("/v1/books").await, Answer::Reply { .. }));
}

#[tokio::test]
async fn a_map_to_text_takes_a_parameter_for_each_key() {
    let got = request("cf.colour=dark+red&cf.a.b=1,2&cf.%C3%A9=x&pageNotes.7=n").await;
    let cf = r#"cf: {"a.b": "1,2", "colour": "dark red", "é": "x"}"#;
    assert!(got.contains(cf), "{got}");
    assert!(got.contains(r#"page_notes: {7: "n"}"#), "{got}");
    let by_proto_name = request("page_notes.-7=n").await;
    assert!(by_proto_name.contains(r#"page_notes: {-7: "n"}"#), "{by_proto_name}");
    assert!(request("cf.k=x&filter.labels.k=y").await.contains(r#"labels: {"k": "y"}"#));
    for (query, wrong) in [
        ("cf=1", "cf UNKNOWN_FIELD"),
        ("cf.=1", "cf. UNKNOWN_FIELD"),
        ("cf", "cf UNKNOWN_FIELD"),
        ("cfa.b=1", "cfa.b UNKNOWN_FIELD"),
        ("CF.a=1", "CF.a UNKNOWN_FIELD"),
        ("cf.a=", "cf.a EMPTY"),
        ("cf.a=%FF", "cf.a BAD_ESCAPE"),
        ("cf.a=1&cf.a=1", "cf.a DUPLICATE_FIELD"),
        ("pageNotes.x=1", "pageNotes.x WRONG_TYPE"),
        ("pageNotes.1=1&page_notes.1=2", "page_notes.1 DUPLICATE_FIELD"),
        ("pageNotes.1=1&pageNotes.01=2", "pageNotes.01 DUPLICATE_FIELD"),
        ("cf.a=1&cf.b=1&cf.c=1&cf.d=1", "cf TOO_MANY_ITEMS"),
    ] {
        assert_eq!(violations(query).await, [wrong], "{query}");
    }
}
