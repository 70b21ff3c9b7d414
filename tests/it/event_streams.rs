//! The stream of events: what is stored, then what happens, with no gap and no repeat between them.

use std::time::Duration;

use orqit::event_type::EventType;
use orqit::pb;
use orqit::pb::stream_events_response::Told;
use serde_json::{Value, json};
use tonic::{Code, Streaming};

use crate::support::database::actor;
use crate::support::grpc::{assert_refused, violations};
use crate::support::requests::{vpn, vpn_with};
use crate::support::rest::{Rest, send};
use crate::support::server::{Orqit, with_key};
use crate::support::tower::Frames;

const STREAM: &str = "/events/stream";
const SSE: &str = "text/event-stream";
const NDJSON: &str = "application/x-ndjson";

async fn open(
    orqit: &Orqit,
    request: pb::StreamEventsRequest,
) -> Streaming<pb::StreamEventsResponse> {
    let key = orqit.key(&["webhooks:manage"]).await;
    let mut client = pb::event_service_client::EventServiceClient::new(orqit.channel().await);
    let opened = client.stream_events(with_key(&key, request)).await;
    opened.expect("a stream").into_inner()
}

/// The sequence of the next event of a stream.
async fn event(stream: &mut Streaming<pb::StreamEventsResponse>) -> i64 {
    loop {
        let next = tokio::time::timeout(Duration::from_secs(20), stream.message());
        let message = next.await.expect("soon").expect("no error").expect("no end");
        if let Some(Told::Event(event)) = message.told {
            return event.sequence;
        }
    }
}

/// The event in a frame of SSE; none in a checkpoint.
fn data(frame: &str) -> Option<Value> {
    let data = frame.lines().find_map(|line| line.strip_prefix("data: "))?;
    Some(serde_json::from_str(data).expect("JSON"))
}

/// The sequence of the next event of a stream over REST.
async fn next(frames: &mut Frames) -> i64 {
    loop {
        let frame = frames.next().await.expect("no end");
        let event = match frame.starts_with('{') {
            true => {
                let line: Value = serde_json::from_str(&frame).expect("JSON");
                line.get("event").cloned()
            }
            false => data(&frame),
        };
        if let Some(event) = event {
            return event["sequence"].as_i64().expect("a number");
        }
    }
}

async fn ticket(rest: &Rest, title: &str) {
    rest.post("/tickets", vpn_with(json!({"title": title}))).await.data(201);
}

#[tokio::test]
async fn a_stream_begins_with_what_is_stored_and_goes_on_with_what_happens() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    ticket(&rest, "1").await;
    ticket(&rest, "2").await;
    let mut grpc =
        open(&orqit, pb::StreamEventsRequest { after: Some(0), types: Vec::new() }).await;
    let mut sse = Frames::open(&rest, &format!("{STREAM}?after=1"), SSE).await;
    let mut ndjson = Frames::open(&rest, &format!("{STREAM}?after=0"), NDJSON).await;
    for name in ["content-encoding", "etag"] {
        assert!(sse.response.headers().get(name).is_none(), "{name}");
    }
    assert_eq!(sse.response.headers()["cache-control"], "no-store");
    assert_eq!(sse.response.headers()["x-accel-buffering"], "no");
    let frame = sse.next().await.expect("a frame");
    assert!(frame.starts_with("id: 2\nevent: ticket.created\ndata: {"), "{frame}");
    assert_eq!(data(&frame).expect("an event"), orqit.payloads().await[1]);
    assert_eq!((event(&mut grpc).await, event(&mut grpc).await), (1, 2));
    assert_eq!((next(&mut ndjson).await, next(&mut ndjson).await), (1, 2));
    ticket(&rest, "3").await;
    assert_eq!(event(&mut grpc).await, 3);
    assert_eq!(next(&mut sse).await, 3);
    assert_eq!(next(&mut ndjson).await, 3);
}

#[tokio::test]
async fn a_stream_from_now_on_tells_where_that_is() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    ticket(&rest, "1").await;
    let mut grpc = open(&orqit, pb::StreamEventsRequest::default()).await;
    let first = grpc.message().await.expect("no error").expect("a message");
    assert_eq!(first.told, Some(Told::Checkpoint(1)));
    let mut sse = Frames::open(&rest, STREAM, SSE).await;
    assert_eq!(sse.next().await.expect("a frame"), ": checkpoint\nid: 1");
    ticket(&rest, "2").await;
    assert_eq!((event(&mut grpc).await, next(&mut sse).await), (2, 2));
}

#[tokio::test]
async fn a_stream_has_the_types_and_topics_that_it_asks_for_and_passes_over_the_others() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    ticket(&rest, "1").await;
    let types = vec!["ticket.status_changed".to_owned(), "user.*".to_owned()];
    let mut grpc = open(&orqit, pb::StreamEventsRequest { after: Some(0), types }).await;
    let path = format!("{STREAM}?after=0&types=ticket.status_changed&types=user.*");
    let mut sse = Frames::open(&rest, &path, SSE).await;
    rest.patch("/tickets/1", json!({"priority": "LOW"})).await.data(200);
    rest.patch("/tickets/1", json!({"status": "IN_PROGRESS"})).await.data(200);
    rest.post("/users", json!({"displayName": "Ana", "email": "ana@example.com"})).await.data(201);
    assert_eq!((event(&mut grpc).await, event(&mut grpc).await), (3, 4));
    assert_eq!((next(&mut sse).await, next(&mut sse).await), (3, 4));
}

#[tokio::test]
async fn a_stream_that_broke_off_goes_on_after_the_last_event_id() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    for title in ["1", "2", "3"] {
        ticket(&rest, title).await;
    }
    let request = rest.request(http::Method::GET, &format!("{STREAM}?after=0"));
    let mut response = request.header("Last-Event-ID", "2").send().await.expect("an answer");
    let chunk = response.chunk().await.expect("bytes").expect("no end");
    assert!(chunk.starts_with(b"id: 3\n"), "{chunk:?}");
}

#[tokio::test]
async fn what_cannot_be_streamed_is_refused_before_the_first_frame() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    rest.post("/tickets", vpn()).await.data(201);
    let refused = rest.get(&format!("{STREAM}?after=2")).await;
    refused.assert_wrong("after=2", "VALIDATION_FAILED", &[("after", "OUT_OF_RANGE")]);
    let refused = rest.get(&format!("{STREAM}?after=-1&types=none")).await;
    refused.error(400, "VALIDATION_FAILED");
    assert_eq!(refused.wrong_fields(), ["after", "types[0]"]);
    for id in ["x", "-1", "2"] {
        let request = rest.request(http::Method::GET, STREAM).header("Last-Event-ID", id);
        assert_eq!(send(request).await.wrong_fields(), ["Last-Event-ID"], "{id}");
    }
    let head = send(rest.request(http::Method::HEAD, STREAM)).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    let key = orqit.key(&["webhooks:manage"]).await;
    let mut client = pb::event_service_client::EventServiceClient::new(orqit.channel().await);
    let beyond = pb::StreamEventsRequest { after: Some(2), types: Vec::new() };
    let status = client.stream_events(with_key(&key, beyond)).await.expect_err("beyond");
    assert_refused(&status, Code::InvalidArgument, "VALIDATION_FAILED");
    assert_eq!(violations(&status), ["after"]);
}

/// Subscribes fifty times in the middle of ten thousand changes of many writers, over each protocol in
/// turn: whatever was stored and whatever comes is told once, in order.
#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_gap_and_no_repeat_at_the_seam() {
    const WRITERS: i64 = 8;
    const EACH: i64 = 1250;
    const READERS: i64 = 50;
    /// What a reader reads of what was stored when it came, and of what came later.
    const BEFORE: i64 = 100;
    const AFTER: i64 = 300;
    let orqit = Orqit::start().await;
    let writing: Vec<_> =
        (0..WRITERS).map(|writer| tokio::spawn(write(&orqit, writer, EACH))).collect();
    let (total, mut readers) = (WRITERS * EACH, tokio::task::JoinSet::new());
    for reader in 0..READERS {
        let last = log_reaches(&orqit, 1 + reader * total / READERS).await;
        let after = (last - BEFORE).max(0);
        let expected = after + 1..=(last + AFTER).min(total);
        if reader % 3 == 0 {
            let asked = pb::StreamEventsRequest { after: Some(after), types: Vec::new() };
            let mut stream = open(&orqit, asked).await;
            readers.spawn(async move {
                for sequence in expected {
                    assert_eq!(event(&mut stream).await, sequence, "gRPC");
                }
            });
        } else {
            let accept = if reader % 3 == 1 { SSE } else { NDJSON };
            let rest = orqit.rest(&orqit.key(&["webhooks:manage"]).await);
            let mut frames = Frames::open(&rest, &format!("{STREAM}?after={after}"), accept).await;
            readers.spawn(async move {
                for sequence in expected {
                    assert_eq!(next(&mut frames).await, sequence, "{accept}");
                }
            });
        }
    }
    for writer in writing {
        writer.await.expect("it wrote");
    }
    while let Some(read) = readers.join_next().await {
        read.expect("it read all");
    }
    assert_eq!(log_reaches(&orqit, total).await, total);
}

/// Makes so many changes, one after the other.
fn write(orqit: &Orqit, writer: i64, changes: i64) -> impl Future<Output = ()> + Send + use<> {
    let (store, workspace) = (orqit.store.clone(), orqit.workspace.id);
    async move {
        for change in 0..changes {
            let mut tx = store.begin(workspace, actor()).await.expect("a change");
            let told = json!({"writer": writer, "change": change});
            tx.record(crate::support::tickets::event(EventType::WorkspaceUpdated, told));
            tx.commit().await.expect("committed");
        }
    }
}

/// Waits until the log has an event with this sequence, and answers its last one.
async fn log_reaches(orqit: &Orqit, sequence: i64) -> i64 {
    loop {
        let last = orqit.store.reader(orqit.workspace.id).log_ends().await.expect("ends").last;
        if last >= sequence {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
