//! What a JSON body may say.

use serde_json::{Value, json};

use crate::support::{Answer, send};

async fn echo(everything: &str) -> Answer {
    send("POST", "/v1/echo", format!(r#"{{"everything": {everything}}}"#)).await
}

async fn value(field: &str, json: &str) -> Value {
    echo(&format!(r#"{{"{field}": {json}}}"#)).await.data()[field].take()
}

async fn violations(everything: &str) -> Vec<String> {
    echo(everything).await.violations()
}

async fn violation(field: &str, json: &str) -> String {
    let all = violations(&format!(r#"{{"{field}": {json}}}"#)).await;
    all.join(", ")
}

#[tokio::test]
async fn a_body_in_a_field_stands_beside_path_and_query() {
    let body = r#"{"title": "Ubik", "genre": "NOVEL"}"#;
    let created = send("POST", "/v1/shelves/a/books?notify=true", body).await.data();
    assert_eq!(created["title"], "Ubik");
    assert_eq!(created["tags"], json!(["a", "true"]));
    let wrong = send("POST", "/v1/shelves/a/books?book=1&notify=1", r#"{"notify": true}"#).await;
    assert_eq!(
        wrong.violations(),
        [
            "book.notify UNKNOWN_FIELD",
            "book UNKNOWN_FIELD",
            "notify WRONG_TYPE",
            "book.title REQUIRED",
            "book.genre REQUIRED",
        ]
    );
}

#[tokio::test]
async fn what_is_no_json_object_stops_at_once() {
    let bodies: [&[u8]; 12] = [
        b"[]",
        b"null",
        b"\"x\"",
        b"{",
        b"{} {}",
        b"{} x",
        b"{'a': 1}",
        b"{\"a\": 01}",
        b"{\"type\": \"\\ud800\"}",
        b"{\"type\": \"\xFF\"}",
        b"{\"type\": 1e400}",
        b"{\"type\": NaN}",
    ];
    for body in bodies {
        let sentence = send("POST", "/v1/echo", body).await.malformed();
        assert!(sentence.starts_with("The body "), "{sentence}");
    }
    let sentence = send("POST", "/v1/echo", "{\n  \"type\": }").await.malformed();
    assert!(sentence.ends_with("at line 2 column 11."), "{sentence}");
}

#[tokio::test]
async fn nesting_is_bounded() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth - 2), "]".repeat(depth - 2));
        echo_text(&format!(r#"{{"several": [{open}{close}]}}"#))
    };
    assert!(matches!(send("POST", "/v1/echo", nested(63)).await, Answer::Reply { .. }));
    let sentence = send("POST", "/v1/echo", nested(64)).await.malformed();
    assert!(sentence.contains("nests more than 64 levels"), "{sentence}");
    let bomb = send("POST", "/v1/echo", "[".repeat(1 << 20)).await.malformed();
    assert!(bomb.contains("nests more than 64 levels"), "{bomb}");
}

fn echo_text(everything: &str) -> String {
    format!(r#"{{"everything": {everything}}}"#)
}

#[tokio::test]
async fn an_empty_body_will_do_where_nothing_is_required() {
    assert_eq!(send("POST", "/v1/books/1:archive", "").await.data()["reason"], Value::Null);
    let sentence = send("POST", "/v1/shelves/a/books", "").await.malformed();
    assert_eq!(sentence, "The body is empty; send a JSON object.");
}

#[tokio::test]
async fn either_name_of_a_field_works_but_not_both() {
    assert_eq!(value("smallUnsigned", "1").await, 1);
    assert_eq!(echo(r#"{"small_unsigned": 1}"#).await.data()["smallUnsigned"], 1);
    let wrong = echo(r#"{"small_unsigned": 1, "smallUnsigned": 2}"#).await.sentences();
    assert_eq!(
        wrong,
        ["everything.smallUnsigned DUPLICATE_FIELD: everything.smallUnsigned must \
                        be given only once; small_unsigned is the same field"]
    );
}

#[tokio::test]
async fn a_key_twice_is_named() {
    assert_eq!(
        violations(r#"{"flag": true, "flag": true}"#).await,
        ["everything.flag DUPLICATE_FIELD"]
    );
    assert_eq!(
        violations(r#"{"flag": null, "flag": null}"#).await,
        ["everything.flag DUPLICATE_FIELD"]
    );
    assert_eq!(
        violations(r#"{"labels": {"a": "1", "a": "2"}}"#).await,
        ["everything.labels.a DUPLICATE_FIELD"]
    );
    assert_eq!(
        violations(r#"{"extra": {"a": {"b": 1, "b": 2}}}"#).await,
        ["everything.extra.a.b DUPLICATE_FIELD"]
    );
}

#[tokio::test]
async fn everything_wrong_is_told_at_once_with_its_place() {
    let wrong = violations(
        r#"{"flag": 1, "colour": "PINK", "points": [{"x": 1}, {"z": 1}, {"x": "1"}, 3],
            "child": {"child": {"at": "today"}}, "nothing": null, "small": 1}"#,
    );
    assert_eq!(
        wrong.await,
        [
            "everything.flag WRONG_TYPE",
            "everything.colour INVALID_ENUM",
            "everything.points[1].z UNKNOWN_FIELD",
            "everything.points[2].x WRONG_TYPE",
            "everything.points[3] WRONG_TYPE",
            "everything.child.child.at INVALID_TIMESTAMP",
            "everything.nothing UNKNOWN_FIELD",
            "everything.small OUT_OF_RANGE",
        ]
    );
}

#[tokio::test]
async fn a_long_unknown_name_is_cut_and_their_number_is_bounded() {
    let name = "é".repeat(100);
    let wrong = violations(&format!(r#"{{"{name}": 1}}"#)).await;
    assert_eq!(wrong, [format!("everything.{}… UNKNOWN_FIELD", "é".repeat(64))]);
    let many: Vec<_> = (0..1000).map(|index| format!(r#""k{index}": 1"#)).collect();
    assert_eq!(violations(&format!("{{{}}}", many.join(","))).await.len(), 100);
}

#[tokio::test]
async fn null_is_the_same_as_absent() {
    let echoed = echo(r#"{"flag": null, "large": null, "colours": null, "word": null}"#).await;
    let data = echoed.data();
    assert_eq!(data["flag"], false);
    assert_eq!(data["colours"], json!([]));
    assert_eq!(data["word"], Value::Null);
    assert_eq!(violation("colours", "[null]").await, "everything.colours[0] INVALID_ENUM");
}

#[tokio::test]
async fn integers_keep_their_whole_range() {
    assert_eq!(value("large", "9223372036854775807").await, i64::MAX);
    assert_eq!(value("large", "-9223372036854775808").await, i64::MIN);
    assert_eq!(value("largeUnsigned", "18446744073709551615").await, u64::MAX);
    assert_eq!(value("fixed", "\"-9007199254740993\"").await, -9_007_199_254_740_993_i64);
    assert_eq!(value("large", "1.0").await, 1);
    assert_eq!(value("small", "-0").await, 0);
    assert_eq!(value("small", "2e3").await, 2000);
}

#[tokio::test]
async fn an_integer_that_is_none_or_too_large_is_refused() {
    for json in ["1.5", "true", "\"1.0\"", "\" 1\"", "\"\"", "[1]", "{}"] {
        assert_eq!(violation("large", json).await, "everything.large WRONG_TYPE", "{json}");
    }
    assert_eq!(violation("small", "\"1\"").await, "everything.small WRONG_TYPE");
    let digits = "1".repeat(40);
    for json in ["9223372036854775808", "1e30", "9007199254740994.0", &digits] {
        assert_eq!(violation("large", json).await, "everything.large OUT_OF_RANGE", "{json}");
    }
    assert_eq!(violation("small", "2147483648").await, "everything.small OUT_OF_RANGE");
    assert_eq!(violation("smallUnsigned", "-1").await, "everything.smallUnsigned OUT_OF_RANGE");
    let wrong = violation("largeUnsigned", "\"18446744073709551616\"").await;
    assert_eq!(wrong, "everything.largeUnsigned OUT_OF_RANGE");
    assert_eq!(violation("point", r#"{"y": 1e39}"#).await, "everything.point.y OUT_OF_RANGE");
}

#[tokio::test]
async fn an_enum_has_its_short_or_its_full_name() {
    assert_eq!(value("colour", r#""RED""#).await, "RED");
    assert_eq!(value("colour", r#""COLOUR_RED""#).await, "RED");
    assert_eq!(value("colour", r#""COLOUR_BELOW""#).await, "BELOW");
    assert_eq!(value("colour", r#""PLAIN""#).await, "PLAIN");
    for json in [r#""red""#, "1", r#""1""#, r#""UNSPECIFIED""#, r#""COLOUR_UNSPECIFIED""#, r#""""#]
    {
        assert_eq!(violation("colour", json).await, "everything.colour INVALID_ENUM", "{json}");
    }
    let wrong = echo(r#"{"colour": "PINK"}"#).await.sentences();
    assert!(wrong[0].ends_with("everything.colour must be one of BELOW, RED, PLAIN"), "{wrong:?}");
}

#[tokio::test]
async fn one_member_of_a_oneof_may_be_set() {
    assert_eq!(value("spot", r#"{"x": 1}"#).await["x"], 1.0);
    assert_eq!(value("paint", r#""RED""#).await, "RED");
    assert_eq!(value("twin", r#"{"word": "x"}"#).await["word"], "x");
    let wrong = echo(r#"{"word": "x", "paint": "RED", "raw": null}"#).await.sentences();
    assert_eq!(
        wrong,
        ["everything.paint INVALID_VALUE: everything.paint cannot stand beside \
                        another one of word, spot, paint, raw, twin"]
    );
}

#[tokio::test]
async fn a_field_named_like_a_keyword_is_a_field() {
    assert!(matches!(send("POST", "/v1/echo", r#"{"type": "x"}"#).await, Answer::Reply { .. }));
}
