//! Kinds of values that have their own JSON, there and back.

use serde_json::{Value, json};

use crate::support::{Answer, send};

async fn echo(field: &str, value: Value) -> Answer {
    send("POST", "/v1/echo", json!({"everything": {field: value}}).to_string()).await
}

async fn round_trip(field: &str, value: Value) {
    let data = echo(field, value.clone()).await.data();
    assert_eq!(data[field], value, "{field}");
}

#[tokio::test]
async fn every_kind_comes_back_as_it_was_sent() {
    let text = "<b>&amp; \u{7f}\u{2028} é 𝄞 \" \\ \n  ";
    round_trip("text", json!(text)).await;
    round_trip("blob", json!("AP+/")).await;
    round_trip("points", json!([{"x": 1.5, "y": -0.25}])).await;
    round_trip("labels", json!({"": "a", "b.c": "d"})).await;
    round_trip("spots", json!({"-1": {"x": 1.0, "y": 2.0}})).await;
    round_trip("paints", json!({"wall": "RED"})).await;
    round_trip("extra", json!({"a": [1, 2.5, null, {"b": true}], "c": "d"})).await;
    round_trip("several", json!([[], {}, -3])).await;
    round_trip("any", json!("text")).await;
    round_trip("names", json!("a,b.c")).await;
    round_trip("span", json!("-3.500s")).await;
    round_trip("times", json!(["2026-01-31T09:30:00.123Z"])).await;
}

#[tokio::test]
async fn base64_comes_in_either_alphabet_with_or_without_padding() {
    for sent in ["+/8=", "-_8=", "-_8", "+/8"] {
        assert_eq!(echo("blob", json!(sent)).await.data()["blob"], "+/8=", "{sent}");
    }
    assert_eq!(echo("blob", json!("a")).await.violations(), ["everything.blob WRONG_TYPE"]);
    assert_eq!(echo("blob", json!([1])).await.violations(), ["everything.blob WRONG_TYPE"]);
}

#[tokio::test]
async fn an_instant_may_have_any_offset_and_is_answered_in_utc() {
    let pairs = [
        ("2026-01-31T09:30:00Z", "2026-01-31T09:30:00.000Z"),
        ("2026-01-31t09:30:00.1z", "2026-01-31T09:30:00.100Z"),
        ("2026-01-31T00:30:00.123456789+01:00", "2026-01-30T23:30:00.123Z"),
        ("2024-02-29T23:59:59-14:30", "2024-03-01T14:29:59.000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
    ];
    for (sent, answered) in pairs {
        assert_eq!(echo("at", json!(sent)).await.data()["at"], answered, "{sent}");
    }
}

#[tokio::test]
async fn what_is_no_instant_is_refused_with_a_remedy() {
    let pairs = [
        ("2026-01-31T09:30:00", "must end in Z or in an offset such as +01:00"),
        ("2026-01-31", "must be an RFC 3339 time such as 2026-01-31T09:30:00Z"),
        ("2026-01-31 09:30:00Z", "must be an RFC 3339 time such as 2026-01-31T09:30:00Z"),
        ("2026-01-31T09:30:00.Z", "must be an RFC 3339 time such as 2026-01-31T09:30:00Z"),
        ("2026-02-29T09:30:00Z", "must be a date that exists"),
        ("2026-13-01T09:30:00Z", "must be a date that exists"),
        ("2026-01-31T24:00:00Z", "must be a time of day that exists"),
        ("2016-12-31T23:59:60Z", "must not be a leap second; send :59"),
        ("0000-12-31T00:00:00Z", "must be in the years 0001 to 9999"),
        ("0001-01-01T00:00:00+00:01", "must be in the years 0001 to 9999"),
        ("2026-01-31T09:30:00+24:00", "must end in Z or in an offset such as +01:00"),
        ("2026-01-31T09:30:00Zx", "must end in Z or in an offset such as +01:00"),
        ("２026-01-31T09:30Z", "must be an RFC 3339 time such as 2026-01-31T09:30:00Z"),
    ];
    for (sent, remedy) in pairs {
        let wrong = echo("at", json!(sent)).await.sentences();
        assert_eq!(
            wrong,
            [format!("everything.at INVALID_TIMESTAMP: everything.at {remedy}")],
            "{sent}"
        );
    }
    assert_eq!(echo("at", json!(1)).await.violations(), ["everything.at WRONG_TYPE"]);
}

#[tokio::test]
async fn a_duration_is_seconds_with_an_s() {
    let pairs = [("0s", "0s"), ("-0.000000001s", "-0.000000001s"), ("1.5s", "1.500s")];
    for (sent, answered) in pairs {
        assert_eq!(echo("span", json!(sent)).await.data()["span"], answered);
    }
    for sent in ["1", "1m", "s", ".5s", "1.s", "--1s", "1s ", "315576000001s", "1é"] {
        let wrong = echo("span", json!(sent)).await.violations();
        assert_eq!(wrong, ["everything.span INVALID_DURATION"], "{sent}");
    }
}

#[tokio::test]
async fn a_key_of_a_map_must_fit_its_type() {
    let wrong = echo("spots", json!({"2147483648": {}, "one": {}})).await.violations();
    assert_eq!(
        wrong,
        ["everything.spots.2147483648 OUT_OF_RANGE", "everything.spots.one WRONG_TYPE"]
    );
    let wrong = echo("labels", json!({"a": 1})).await.violations();
    assert_eq!(wrong, ["everything.labels.a WRONG_TYPE"]);
    let wrong = echo("labels", json!([])).await.violations();
    assert_eq!(wrong, ["everything.labels WRONG_TYPE"]);
}

#[tokio::test]
async fn what_is_not_set_is_null_and_lists_are_empty() {
    let data = send("POST", "/v1/echo", r#"{"everything": {}}"#).await.data();
    let fields = data.as_object().expect("an object");
    assert_eq!(fields.len(), 38);
    for name in ["ratio", "colour", "point", "extra", "any", "at", "span", "word", "paint", "shade"]
    {
        assert_eq!(fields[name], Value::Null, "{name}");
    }
    assert_eq!(fields["colours"], json!([]));
    assert_eq!(fields["labels"], json!({}));
    assert_eq!(fields["text"], json!(""));
    assert_eq!(send("POST", "/v1/echo", "{}").await.data(), Value::Null);
}

#[tokio::test]
async fn a_string_that_takes_a_number_has_its_digits() {
    let pairs = [
        (json!("TCK-1"), "TCK-1"),
        (json!("007"), "007"),
        (json!(7), "7"),
        (json!(-7), "-7"),
        (json!(u64::MAX), "18446744073709551615"),
    ];
    for (sent, answered) in pairs {
        assert_eq!(echo("reference", sent.clone()).await.data()["reference"], answered, "{sent}");
        let list = echo("references", json!([sent, "x"])).await.data();
        assert_eq!(list["references"], json!([answered, "x"]));
    }
    for sent in [json!(1.5), json!(1e30), json!(true), json!([7]), json!({"a": 7})] {
        let wrong = echo("reference", sent.clone()).await.violations();
        assert_eq!(wrong, ["everything.reference WRONG_TYPE"], "{sent}");
    }
    // A string that does not say so takes none.
    assert_eq!(echo("text", json!(7)).await.violations(), ["everything.text WRONG_TYPE"]);
    // Its rules hold for the digits.
    let long = echo("reference", json!("123456789012345678901")).await.violations();
    assert_eq!(long, ["everything.reference LENGTH"]);
}

#[tokio::test]
async fn a_list_has_as_many_items_as_its_rule_says() {
    let items = |count: usize| json!(vec![1; count]);
    assert!(echo("references", items(150)).await.data().is_object());
    assert_eq!(
        echo("references", items(151)).await.violations(),
        ["everything.references TOO_MANY_ITEMS"]
    );
    // Without a rule 100.
    let times = |count: usize| json!(vec!["2026-01-31T09:30:00Z"; count]);
    assert!(echo("times", times(100)).await.data().is_object());
    assert_eq!(echo("times", times(101)).await.violations(), ["everything.times TOO_MANY_ITEMS"]);
}

#[tokio::test]
async fn json_has_the_same_values_of_an_enum_as_messages() {
    for sent in ["RED", "COLOUR_RED", "BELOW"] {
        echo("tint", json!(sent)).await.data();
    }
    for sent in [json!("PLAIN"), json!("GREEN"), json!("COLOUR_UNSPECIFIED")] {
        assert_eq!(echo("tint", sent).await.violations(), ["everything.tint INVALID_ENUM"]);
    }
    echo("tints", json!(["PLAIN"])).await.data();
    assert_eq!(
        echo("tints", json!(["RED"])).await.violations(),
        ["everything.tints[0] INVALID_ENUM"]
    );
}
