//! Tests of the runtime by itself, part by part; the rest is tested through the probe.

use prost_types::Timestamp;

use crate::json::Json;
use crate::{Binding, Match, Reply, Route, Routes, Rpc, format_timestamp, parse_timestamp};

static RPCS: [Rpc; 2] = [rpc("One"), rpc("Two")];

const fn rpc(method: &'static str) -> Rpc {
    Rpc {
        service: "t.S",
        method,
        grpc_path: method,
        policy: None,
        routes: &[],
        versioned: false,
        has_figures: false,
        streams: false,
    }
}

fn binding(rpc: usize, method: &'static str, template: &'static str) -> Binding {
    let route: &'static Route = Box::leak(Box::new(Route { method, template }));
    Binding::new(&RPCS[rpc], route, false, |_| async {
        Ok(Reply::new(&RPCS[0], bytes::Bytes::new(), None, Default::default()))
    })
}

fn routes(templates: &[&'static str]) -> Result<Routes, String> {
    Routes::new(templates.iter().map(|template| binding(0, "GET", template)).collect())
}

fn found(routes: &Routes, path: &str) -> (&'static str, Vec<String>) {
    match routes.find("GET", path) {
        Match::Found { binding, captures } => (binding.route.template, captures),
        other => panic!("{path}: {other:?}"),
    }
}

#[test]
fn literals_go_before_one_segment_and_that_before_all() {
    let routes =
        routes(&["/a/b", "/a/{x}", "/a/{x=**}", "/a/{x}/c", "/a/b/d"]).expect("no conflict");
    assert_eq!(found(&routes, "/a/b"), ("/a/b", vec![]));
    assert_eq!(found(&routes, "/a/z"), ("/a/{x}", vec!["z".to_owned()]));
    assert_eq!(found(&routes, "/a/b/d"), ("/a/b/d", vec![]));
    assert_eq!(found(&routes, "/a/b/c"), ("/a/{x}/c", vec!["b".to_owned()]));
    assert_eq!(found(&routes, "/a/b/e"), ("/a/{x=**}", vec!["b/e".to_owned()]));
    assert_eq!(found(&routes, "/a"), ("/a/{x=**}", vec![String::new()]));
}

#[test]
fn a_variable_takes_its_own_segments_only() {
    let template = "/v1/{name=shelves/*/books/**}:list";
    let routes = routes(&[template, "/{a}/x/{b=y/*}/{c}"]).expect("no conflict");
    let path = "/v1/shelves/1/books/2/3:list";
    assert_eq!(found(&routes, path), (template, vec!["shelves/1/books/2/3".to_owned()]));
    let (_, captures) = found(&routes, "/%41/x/y/%2F/%2F");
    assert_eq!(captures, ["A", "y/%2F", "/"]);
}

#[test]
fn two_rpcs_with_one_route_are_named() {
    let same = vec![binding(0, "GET", "/a/{x}"), binding(1, "GET", "/a/{y}")];
    let sentence = Routes::new(same).expect_err("they conflict");
    assert_eq!(sentence, "GET /a/{y} -> Two has the same route as GET /a/{x} -> One");
    let other_method = vec![binding(0, "GET", "/a/{x}"), binding(1, "PUT", "/a/{y}")];
    assert!(Routes::new(other_method).is_ok());
}

#[test]
fn what_is_no_template_is_refused() {
    for template in ["", "a", "/a//b", "/a/", "/**/a", "/{x", "/{x}y/z"] {
        assert!(routes(&[template]).is_err(), "{template}");
    }
    assert!(routes(&["/{x=**}"]).is_ok());
}

#[test]
fn the_tree_keeps_order_and_second_names() {
    let json = Json::parse(br#" {"b": 1, "a": [true, null], "b": "x"} "#).expect("it is JSON");
    let Json::Object(members) = json else { panic!("it is an object") };
    let names: Vec<_> = members.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["b", "a", "b"]);
    assert_eq!(members[1].1, Json::Array(vec![Json::Bool(true), Json::Null]));
}

#[test]
fn every_day_is_written_and_read_back() {
    // A prime number of seconds, so that the times of day differ.
    let seconds = (-62_135_596_800_i64..=253_402_300_799).step_by(9_999_991);
    for (index, seconds) in seconds.enumerate() {
        let nanos = i32::try_from(index % 1_000).expect("below a thousand") * 1_000_000;
        let timestamp = Timestamp { seconds, nanos };
        let text = format_timestamp(&timestamp).expect("it is in range");
        let text = str::from_utf8(&text).expect("it is ASCII");
        assert_eq!(parse_timestamp(text), Ok(timestamp), "{text}");
        let known = chrono::DateTime::from_timestamp(seconds, nanos.unsigned_abs());
        let known = known.expect("it is in range").format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        assert_eq!(text, known);
    }
}

#[test]
fn an_instant_beyond_four_digits_of_years_is_not_written() {
    assert_eq!(format_timestamp(&Timestamp { seconds: 253_402_300_800, nanos: 0 }), None);
    assert_eq!(format_timestamp(&Timestamp { seconds: -62_135_596_801, nanos: 0 }), None);
    assert!(format_timestamp(&Timestamp { seconds: 0, nanos: i32::MIN }).is_some());
}
