//! The rules of fields, over either protocol: here as messages that came by gRPC.

use rest::{Validate, Violations};
use rest_probe::pb;
use rest_probe::pb::everything::Point;

fn violations(message: &impl Validate) -> Vec<String> {
    let mut violations = Violations::default();
    message.validate(&mut violations);
    violations.as_slice().iter().map(|v| format!("{}: {}", v.code, v.message)).collect()
}

fn new_book(title: &str) -> pb::CreateBookRequest {
    let book = pb::NewBook { title: title.to_owned(), genre: 1 };
    pb::CreateBookRequest { book: Some(book), ..Default::default() }
}

fn echo(everything: pb::Everything) -> pb::EchoRequest {
    pb::EchoRequest { everything: Some(everything), ..Default::default() }
}

#[test]
fn length_counts_characters_and_not_bytes() {
    assert!(violations(&new_book("éééééééé")).is_empty());
    assert_eq!(
        violations(&new_book("ééééééééé")),
        ["LENGTH: book.title must be 1 to 8 characters"]
    );
    assert_eq!(violations(&new_book("")), ["REQUIRED: book.title is required"]);
}

#[test]
fn text_without_a_rule_is_bounded_and_free_of_nul() {
    let text = |text: String| echo(pb::Everything { text, ..Default::default() });
    assert!(violations(&text("𝄞".repeat(65_536))).is_empty());
    let too_long = violations(&text("a".repeat(65_537)));
    assert_eq!(too_long, ["LENGTH: everything.text must be at most 65536 characters"]);
    let nul = violations(&text("a\0".to_owned()));
    assert_eq!(nul, ["NUL: everything.text must not contain the character U+0000"]);
}

#[test]
fn text_of_a_path_is_an_id_that_the_service_looks_for() {
    let shelf = |shelf: String| pb::CreateBookRequest { shelf, ..Default::default() };
    assert!(violations(&shelf("a\0".to_owned())).is_empty());
    assert!(violations(&shelf("a".repeat(65_537))).is_empty());
}

#[test]
fn lists_are_bounded_and_unique_where_asked() {
    let update = |tags: &[&str]| pb::UpdateBookRequest {
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        ..Default::default()
    };
    assert!(violations(&update(&["a", "b", "c"])).is_empty());
    assert_eq!(
        violations(&update(&["a", "b", "a"])),
        ["DUPLICATE_ITEM: tags[2] is listed twice; leave one out"]
    );
    assert_eq!(
        violations(&update(&["a", "a", "a", "a"])),
        ["TOO_MANY_ITEMS: tags must have at most 3 items"]
    );
    let points = |count| {
        echo(pb::Everything { points: vec![Point::default(); count], ..Default::default() })
    };
    assert!(violations(&points(100)).is_empty());
    assert_eq!(
        violations(&points(101)),
        ["TOO_MANY_ITEMS: everything.points must have at most 100 items"]
    );
}

#[test]
fn numbers_have_bounds_and_zero_without_presence_is_absent() {
    let small = |small| echo(pb::Everything { small, ..Default::default() });
    assert!(violations(&small(0)).is_empty());
    assert!(violations(&small(2)).is_empty());
    assert_eq!(violations(&small(1)), ["OUT_OF_RANGE: everything.small must be at least 2"]);
    let point = |x| {
        echo(pb::Everything {
            points: vec![Point::default(), Point { x, y: 0.0 }],
            ..Default::default()
        })
    };
    assert!(violations(&point(5.0)).is_empty());
    let wrong = ["OUT_OF_RANGE: everything.points[1].x must be at most 5"];
    assert_eq!(violations(&point(5.1)), wrong);
    assert_eq!(violations(&point(f64::NAN)), wrong);
}

#[test]
fn an_enum_number_must_have_a_name_and_zero_is_none_where_it_can_be_left_out() {
    let names = "must be one of BELOW, RED, PLAIN";
    let colour = |colour| echo(pb::Everything { colour, ..Default::default() });
    assert!(violations(&colour(0)).is_empty());
    assert!(violations(&colour(-3)).is_empty());
    assert_eq!(violations(&colour(9)), [format!("INVALID_ENUM: everything.colour {names}")]);
    let shade = |shade| echo(pb::Everything { shade: Some(shade), ..Default::default() });
    assert!(violations(&shade(1)).is_empty());
    assert_eq!(violations(&shade(0)), [format!("INVALID_ENUM: everything.shade {names}")]);
    let colours = echo(pb::Everything { colours: vec![1, 0], ..Default::default() });
    assert_eq!(violations(&colours), [format!("INVALID_ENUM: everything.colours[1] {names}")]);
}

#[test]
fn instants_and_durations_must_be_writable() {
    let at = |seconds, nanos| {
        echo(pb::Everything {
            at: Some(prost_types::Timestamp { seconds, nanos }),
            ..Default::default()
        })
    };
    assert!(violations(&at(253_402_300_799, 999_999_999)).is_empty());
    for (seconds, nanos) in [(253_402_300_800, 0), (i64::MIN, 0), (0, -1), (0, 1_000_000_000)] {
        assert_eq!(violations(&at(seconds, nanos)).len(), 1, "{seconds} {nanos}");
    }
    let span = |seconds, nanos| {
        echo(pb::Everything {
            span: Some(prost_types::Duration { seconds, nanos }),
            ..Default::default()
        })
    };
    assert!(violations(&span(-1, -1)).is_empty());
    for (seconds, nanos) in [(1, -1), (315_576_000_001, 0), (0, i32::MIN)] {
        assert_eq!(violations(&span(seconds, nanos)).len(), 1, "{seconds} {nanos}");
    }
}

#[test]
fn rules_reach_maps_oneofs_and_free_json() {
    let mut everything = pb::Everything::default();
    everything.labels.insert("k\0".to_owned(), "v".to_owned());
    everything.paints.insert("wall".to_owned(), 9);
    let text = prost_types::value::Kind::StringValue("\0".to_owned());
    everything.any = Some(prost_types::Value { kind: Some(text) });
    everything.choice = Some(pb::everything::Choice::Spot(Point { x: 6.0, y: 0.0 }));
    everything.child = Some(Box::new(pb::Everything { small: 1, ..Default::default() }));
    let mut violations = Violations::default();
    echo(everything).validate(&mut violations);
    let found: Vec<_> = violations.as_slice().iter().map(|v| v.field.as_str()).collect();
    assert_eq!(
        found,
        [
            "everything.labels.k\0",
            "everything.paints.wall",
            "everything.any",
            "everything.child.small",
            "everything.spot.x",
        ]
    );
}

#[test]
fn nothing_is_said_twice_of_a_field() {
    let mut violations = Violations::default();
    violations.add("book.title", "WRONG_TYPE", "book.title must be a string");
    new_book("").validate(&mut violations);
    assert_eq!(violations.as_slice().len(), 1);
}

#[test]
fn a_string_has_the_form_that_its_rules_name() {
    type Form = (fn(&mut pb::Everything, String), &'static str, &'static str, Texts, Texts);
    type Texts = &'static [&'static str];
    let forms: [Form; 4] = [
        (
            |of, text| of.day = Some(text),
            "day",
            "INVALID_DATE: everything.day must be a date such as \"2026-11-23\"",
            &["2026-11-23", "2024-02-29", "0001-01-01"],
            &["", "2026-02-29", "2026-1-1", "2026-11-23T00:00:00Z", "0000-01-01"],
        ),
        (
            |of, text| of.address = Some(text),
            "address",
            "INVALID_EMAIL: everything.address must be an address such as name@host",
            &["a@b", "ana.sousa+x@example.com", "élan@bücher.example"],
            &["", "a", "a@", "@b", "a@b@c", "a b@c", "a@b\n", "a\u{a0}@b"],
        ),
        (
            |of, text| of.zone = Some(text),
            "zone",
            "INVALID_VALUE: everything.zone must be an IANA name such as Europe/Lisbon",
            &["Europe/Lisbon", "Etc/GMT+1", "America/Port-au-Prince"],
            &["Europe Lisbon", "Zürich"],
        ),
        (
            |of, text| of.tongue = Some(text),
            "tongue",
            "INVALID_VALUE: everything.tongue must be a BCP 47 tag such as pt-PT",
            &["pt", "pt-PT", "zh-Hant-TW", "de-1996"],
            &["", "p", "pt-", "pt_PT", "p1", "pt-abcdefghi"],
        ),
    ];
    for (set, field, refusal, right, wrong) in forms {
        let of = |text: &str| {
            let mut everything = pb::Everything::default();
            set(&mut everything, text.to_owned());
            violations(&echo(everything))
        };
        for text in right {
            assert!(of(text).is_empty(), "{field} {text}");
        }
        for text in wrong {
            assert_eq!(of(text), [refusal], "{field} {text:?}");
        }
    }
}

#[test]
fn an_enum_has_one_of_the_values_that_its_rules_name() {
    let of = |tint: i32, tints: &[i32]| {
        let (tint, tints) = (Some(tint), tints.to_vec());
        violations(&echo(pb::Everything { tint, tints, ..Default::default() }))
    };
    assert!(of(1, &[2, 2]).is_empty() && of(-3, &[]).is_empty());
    let tint = "INVALID_ENUM: everything.tint must be one of BELOW, RED";
    assert_eq!(of(2, &[]), [tint]);
    assert_eq!(of(0, &[]), [tint]);
    let tints = "INVALID_ENUM: everything.tints[1] must be one of PLAIN";
    assert_eq!(of(1, &[2, 1]), [tints]);
}
