//! Streams over real sockets, by the control tower of the generator's probe: what each protocol sends.

use std::time::Duration;

use http::Method;
use rest_probe::streams::tower_service_client::TowerServiceClient;
use rest_probe::streams::watch_flights_response::Told;
use rest_probe::streams::{WatchFlightsRequest, WatchWindRequest};
use serde_json::{Value, json};
use tonic::Code;

use crate::support::grpc::{assert_refused, error_info, violations};
use crate::support::rest::send;
use crate::support::server::{Options, with_key};
use crate::support::tower::{self, FLIGHTS, Frames, SCOPE, client, flights, open, status, told};
use crate::support::wire::soon;

#[tokio::test]
async fn rest_writes_events_and_checkpoints() {
    let (orqit, _) = tower::start(Options::default()).await;
    let rest = orqit.rest_as(SCOPE).await;
    let path = format!("{FLIGHTS}?count=2&after=7");
    let stream = Frames::sse(&rest, &path).await;
    let headers = stream.response.headers().clone();
    assert_eq!(headers["content-type"], "text/event-stream");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["x-accel-buffering"], "no");
    assert!(headers.contains_key("x-request-id"));
    let flight = |sequence: i64| {
        format!(
            "id: {sequence}\nevent: flight.landed\ndata: {}",
            json!({"sequence": sequence, "kind": "flight.landed", "cargo": ""})
        )
    };
    assert_eq!(stream.all().await, [": checkpoint\nid: 7".to_owned(), flight(8), flight(9)]);

    let stream = Frames::open(&rest, &path, "application/x-ndjson").await;
    assert_eq!(stream.response.headers()["content-type"], "application/x-ndjson");
    let line = |sequence: i64| {
        json!({"flight": {"sequence": sequence, "kind": "flight.landed", "cargo": ""}}).to_string()
    };
    assert_eq!(stream.all().await, [r#"{"checkpoint":7}"#.to_owned(), line(8), line(9)]);

    // A stream whose messages are documents by themselves.
    let wind = [r#"data: {"strength":1}"#, r#"data: {"strength":2}"#];
    assert_eq!(Frames::sse(&rest, "/wind").await.all().await, wind);
    let wind = [r#"{"strength":1}"#, r#"{"strength":2}"#];
    assert_eq!(Frames::open(&rest, "/wind", "application/x-ndjson").await.all().await, wind);
}

#[tokio::test]
async fn grpc_sends_the_same_messages() {
    let (orqit, _) = tower::start(Options::default()).await;
    let key = orqit.key(SCOPE).await;
    let request = WatchFlightsRequest { count: 2, after: 7, ..flights("north") };
    let answer = client(&orqit).await.watch_flights(with_key(&key, request)).await.expect("opened");
    let mut stream = answer.into_inner();
    assert_eq!(told(&mut stream).await, Told::Checkpoint(7));
    for sequence in [8, 9] {
        let Told::Flight(flight) = told(&mut stream).await else { panic!("a flight") };
        assert_eq!(flight.sequence, sequence);
    }
    assert!(stream.message().await.expect("no error").is_none());
    let wind = with_key(&key, WatchWindRequest {});
    let mut wind = client(&orqit).await.watch_wind(wind).await.expect("opened").into_inner();
    assert_eq!(wind.message().await.expect("no error").expect("a wind").strength, 1);
}

#[tokio::test]
async fn grpc_web_ends_a_stream_with_its_trailers() {
    let (orqit, _) = tower::start(Options::default()).await;
    let rest = orqit.rest_as(SCOPE).await;
    let path = "//probe.streams.v1.TowerService/WatchFlights";
    let body = |tower: &str, count| {
        crate::support::grpc::frame(&WatchFlightsRequest { count, ..flights(tower) })
    };
    for (tower, count, end) in [("north", 2, "grpc-status:0"), ("gone", 0, "grpc-status:3")] {
        let request = rest.request(Method::POST, path).body(body(tower, count));
        let answer = send(request.header("content-type", "application/grpc-web+proto")).await;
        assert_eq!(answer.status, 200);
        let text = String::from_utf8_lossy(&answer.body);
        assert!(text.contains("flight.landed") && text.contains(end), "{text}");
    }
}

#[tokio::test]
async fn a_stream_goes_on_after_the_last_event_id() {
    let (orqit, _) = tower::start(Options::default()).await;
    let rest = orqit.rest_as(SCOPE).await;
    let resume = |id: &str| {
        let request = rest.request(Method::GET, &format!("{FLIGHTS}?count=1&after=3"));
        send(request.header("Last-Event-ID", id))
    };
    let answer = resume("41").await;
    assert!(String::from_utf8_lossy(&answer.body).contains("id: 42\n"), "{answer:?}");
    assert_eq!(resume("last").await.wrong_fields(), ["Last-Event-ID"]);
}

#[tokio::test]
async fn what_is_refused_before_the_first_frame_is_an_answer_as_any_other() {
    let (orqit, _) = tower::start(Options::default()).await;
    let rest = orqit.rest_as(SCOPE).await;
    rest.get("/towers/nowhere/flights").await.error(404, "TICKET_NOT_FOUND");
    let wrong = rest.get(&format!("{FLIGHTS}?count=-1&bytes=1000001&colour=red")).await;
    wrong.error(400, "VALIDATION_FAILED");
    assert_eq!(wrong.wrong_fields().len(), 3);
    rest.post(FLIGHTS, json!({})).await.error(405, "METHOD_NOT_ALLOWED");
    orqit.rest("").get(FLIGHTS).await.error(401, "MISSING_API_KEY");
    let other = orqit.rest_as(&["kb:read"]).await;
    other.get(FLIGHTS).await.error(403, "INSUFFICIENT_SCOPE");

    let key = orqit.key(SCOPE).await;
    let refused = |request| async {
        client(&orqit).await.watch_flights(with_key(&key, request)).await.expect_err("refused")
    };
    assert_refused(&refused(flights("nowhere")).await, Code::NotFound, "TICKET_NOT_FOUND");
    let wrong = refused(WatchFlightsRequest { count: -1, ..flights("north") }).await;
    assert_eq!(violations(&wrong), ["count"]);
}

#[tokio::test]
async fn an_error_within_a_stream_is_its_last_frame() {
    let (orqit, _) = tower::start(Options::default()).await;
    let (key, rest) = (orqit.key(SCOPE).await, orqit.rest_as(SCOPE).await);
    let mut stream = Frames::sse(&rest, "/towers/gone/flights").await;
    assert!(stream.next().await.expect("a flight").starts_with("id: 1\n"));
    let error = stream.error().await;
    assert_eq!(error["code"], "VALIDATION_FAILED");
    assert_eq!(error["details"][0]["field"], "tower");

    let lines =
        Frames::open(&rest, "/towers/gone/flights", "application/x-ndjson").await.all().await;
    let last: Value = serde_json::from_str(&lines[1]).expect("JSON");
    assert_eq!((lines.len(), &last["error"]["code"]), (2, &json!("VALIDATION_FAILED")));

    let request = with_key(&key, flights("gone"));
    let mut stream =
        client(&orqit).await.watch_flights(request).await.expect("opened").into_inner();
    told(&mut stream).await;
    let status = status(stream).await;
    assert_refused(&status, Code::InvalidArgument, "VALIDATION_FAILED");
    assert_eq!(violations(&status), ["tower"]);
    assert!(!error_info(&status).metadata["requestId"].is_empty());
}

#[tokio::test]
async fn a_panic_within_a_stream_tells_nothing_and_ends_it_alone() {
    let (orqit, _) = tower::start(Options::default()).await;
    let (key, rest) = (orqit.key(SCOPE).await, orqit.rest_as(SCOPE).await);
    let mut stream = Frames::sse(&rest, "/towers/broken/flights").await;
    stream.next().await.expect("a flight");
    let error = stream.error().await;
    assert_eq!(error["code"], "INTERNAL_ERROR");
    assert!(!error.to_string().contains("secret"), "{error}");
    // On one connection with another.
    let mut other = open(&orqit, &key).await;
    let request = with_key(&key, flights("broken"));
    let mut stream =
        client(&orqit).await.watch_flights(request).await.expect("opened").into_inner();
    told(&mut stream).await;
    assert_refused(&status(stream).await, Code::Internal, "INTERNAL_ERROR");
    drop(soon(tokio::time::timeout(Duration::from_millis(50), other.message())).await);
}

#[tokio::test]
async fn a_stream_is_never_compressed() {
    let (orqit, _) = tower::start(Options::default()).await;
    let rest = orqit.rest_as(SCOPE).await;
    for accept in ["text/event-stream", "application/x-ndjson"] {
        let request = rest.request(Method::GET, &format!("{FLIGHTS}?count=3&bytes=5000"));
        let answer = send(request.header("accept-encoding", "gzip").header("accept", accept)).await;
        assert!(!answer.headers.contains_key("content-encoding"));
        assert!(answer.body.len() > 15_000);
    }
    let call = orqit.channel().await;
    let mut client =
        TowerServiceClient::new(call).accept_compressed(tonic::codec::CompressionEncoding::Gzip);
    let key = orqit.key(SCOPE).await;
    let request = WatchFlightsRequest { count: 1, bytes: 5000, ..flights("north") };
    let answer = client.watch_flights(with_key(&key, request)).await.expect("opened");
    assert!(!answer.metadata().contains_key("grpc-encoding"));
}

#[tokio::test]
async fn opening_spends_one_request_and_head_opens_nothing() {
    let (orqit, _) = tower::start(Options::default()).await;
    let limited = |key: &mut orqit::store::NewKey| key.per_minute = 60;
    let key = orqit.key_with(&orqit.workspace, SCOPE, limited).await;
    let rest = orqit.rest(&key);
    let remaining = |headers: &http::HeaderMap| headers["x-ratelimit-remaining"].clone();
    let mut stream = Frames::sse(&rest, &format!("{FLIGHTS}?count=50")).await;
    assert_eq!(remaining(stream.response.headers()), "59");
    while stream.next().await.is_some() {}
    let mut heads = Vec::new();
    for _ in 0..12 {
        let head = soon(send(rest.request(Method::HEAD, FLIGHTS))).await;
        assert_eq!((head.status.as_u16(), &head.body[..]), (200, &b""[..]));
        assert_eq!(head.headers["content-type"], "text/event-stream");
        heads.push(head);
    }
    assert_eq!(remaining(&heads[11].headers), "47");
}
