//! Peers that hold memory: bodies that nobody wants or that never end, answers that nobody reads.

use std::time::Duration;

use http::Method;
use orqit::config::PUBLIC_BODY_BYTES_MAX;
use orqit::held_bytes::Bounds;
use orqit::pb;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tonic::Code;

use crate::support::grpc::{assert_refused, call, frame};
use crate::support::http2::{
    self, END_HEADERS, END_STREAM, Frame, HEADERS, RST_STREAM, literal, read_frame,
};
use crate::support::requests::vpn;
use crate::support::rest::{Rest, send};
use crate::support::server::{Options, Orqit};
use crate::support::wire::{connect, post_head, read_answer, read_to_close, soon};

/// Short enough to wait for, long enough for a request that is sent at once.
const SHORT: Duration = Duration::from_millis(500);
/// Longer than what does not move is left alone where there is no room.
const STUCK: Duration = Duration::from_millis(1200);

const PING: &str = "/orqit.v1.SystemService/Ping";
const HEALTH: &str = "/grpc.health.v1.Health/Check";

#[tokio::test]
async fn a_body_that_nobody_wants_is_refused_at_its_first_byte() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:read"]).await;
    for path in [
        "/livez",
        "/readyz",
        "/metrics",
        "/api/public/v1/openapi.json",
        "/api/public/v1/ping",
        "/api/public/v1/tickets",
    ] {
        // Announced, and not sent.
        let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\n");
        let mut stream = connect(orqit.address).await;
        let announced = format!("{head}content-length: 1000000\r\n\r\n");
        stream.write_all(announced.as_bytes()).await.expect("sent");
        read_answer(&mut stream).await.error(400, "VALIDATION_FAILED");
        // Begun, and not ended.
        let mut stream = connect(orqit.address).await;
        let begun = format!("{head}transfer-encoding: chunked\r\n\r\n1\r\nx\r\n");
        stream.write_all(begun.as_bytes()).await.expect("sent");
        read_answer(&mut stream).await.error(400, "VALIDATION_FAILED");
    }
    // An empty one is none.
    let request = orqit.rest("").request(Method::GET, "/ping");
    send(request.header("content-length", "0")).await.data(200);
    assert_eq!(orqit.rest("").get("/ping").await.status, 200);
}

#[tokio::test]
async fn what_needs_no_key_takes_four_kib() {
    let orqit = Orqit::start().await;
    let most = PUBLIC_BODY_BYTES_MAX;
    // {"key":"…"}: ten bytes around it.
    let report = |len: usize| json!({"key": "x".repeat(len - 10)}).to_string();
    let rest = orqit.rest("");
    let fits = rest.post_raw("/keys/report-leak", report(most)).await;
    fits.error(400, "VALIDATION_FAILED");
    let refused = rest.post_raw("/keys/report-leak", report(most + 1)).await;
    let error = refused.error(413, "PAYLOAD_TOO_LARGE");
    assert!(error["message"].as_str().expect("text").contains("4 KiB"), "{error}");
    let report = |len: usize| frame(&pb::ReportLeakRequest { key: "x".repeat(len - 3) });
    let path = "/orqit.v1.KeyService/ReportLeak";
    let fits = call(orqit.address, path, &[], report(most)).await.status();
    assert_refused(&fits, Code::InvalidArgument, "VALIDATION_FAILED");
    // Unknown fields, so that the size is all that is wrong.
    let unknown = |len: usize| {
        let head = [&[0][..], &u32::try_from(len).expect("short").to_be_bytes()].concat();
        let field = [&[0xfa, 0x3f][..], &varint(len - 4)].concat();
        [head, field, vec![b'x'; len - 4]].concat()
    };
    for path in [PING, path, HEALTH, "/grpc.health.v1.Health/Watch"] {
        let refused = call(orqit.address, path, &[], unknown(most + 1)).await.status();
        assert_refused(&refused, Code::ResourceExhausted, "PAYLOAD_TOO_LARGE");
    }
    assert_eq!(call(orqit.address, PING, &[], unknown(most)).await.status().code(), Code::Ok);
}

/// Two bytes of a length in protobuf.
fn varint(value: usize) -> [u8; 2] {
    [(value & 0x7f) as u8 | 0x80, (value >> 7) as u8]
}

#[tokio::test]
async fn a_message_that_does_not_arrive_is_given_up_without_a_key_too() {
    let orqit = Orqit::start_with(Options { body_timeout: SHORT, ..Options::default() }).await;
    for path in [PING, HEALTH, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"] {
        let stream = TcpStream::connect(orqit.address).await.expect("a connection");
        let (mut client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        tokio::spawn(async move { drop(connection.await) });
        let request = http::Request::post(format!("http://{}{path}", orqit.address));
        let request = request.header("content-type", "application/grpc").body(());
        let (answer, mut body) = client.send_request(request.expect("one"), false).expect("sent");
        body.send_data(bytes::Bytes::from_static(&[0, 0, 0, 0, 9, 1]), false).expect("sent");
        let status = crate::support::grpc::read(answer).await.status();
        assert_eq!(status.code(), Code::Cancelled, "{path}: {status:?}");
    }
}

/// Room for a body of 1 MiB, with what a request is charged beside it.
fn room_for_one_body() -> Options {
    let of_network = (1 << 20) + 64 * 1024;
    Options { bodies: Bounds { total: 4 * of_network, of_network }, ..Options::default() }
}

/// A connection that has sent all of a body of 1 MiB but its last byte, a while ago.
async fn withhold_a_byte(orqit: &Orqit, key: &str) -> TcpStream {
    let len = 1 << 20;
    let mut connection = connect(orqit.address).await;
    connection.write_all(post_head(key, len, "").as_bytes()).await.expect("sent");
    // A server that has no room for it may close before it has read everything.
    let _ = connection.write_all(&vec![b' '; len - 1]).await;
    tokio::time::sleep(STUCK / 6).await;
    connection
}

#[tokio::test]
async fn a_body_whose_last_byte_never_comes_gives_way() {
    let orqit = Orqit::start_with(room_for_one_body()).await;
    let key = orqit.key(&["tickets:write"]).await;
    let rest = orqit.rest(&key);
    let large = || {
        let mut body = vpn().to_string();
        body.extend(std::iter::repeat_n(' ', 500_000));
        body
    };
    let mut attempts = 0;
    let (mut withheld, refused) = loop {
        attempts += 1;
        assert!(attempts < 20, "a withheld body has never been in the way");
        let withheld = withhold_a_byte(&orqit, &key).await;
        // What moved a moment ago is left alone, so the new one is told to come back: unless the
        // machine is so slow that the body has not been read yet, or has been stuck for long.
        let answer = rest.post_raw("/tickets", large()).await;
        if answer.status != 201 {
            break (withheld, answer);
        }
    };
    let error = refused.error(503, "SERVICE_UNAVAILABLE");
    assert_eq!(error["retryAfterSeconds"], 1);
    tokio::time::sleep(STUCK).await;
    rest.post_raw("/tickets", large()).await.data(201);
    read_answer(&mut withheld).await.error(503, "SERVICE_UNAVAILABLE");
    // Small ones of the same address found room all the time.
    rest.post("/tickets", vpn()).await.data(201);
}

/// A ticket whose answer is more than a stream is given at a time.
async fn large_ticket(rest: &Rest) {
    let body = json!({"title": "Large", "description": "x".repeat(60_000), "type": "INCIDENT", "category": "OTHER"});
    rest.post("/tickets", body).await.data(201);
}

/// A connection of HTTP/2 whose streams may be sent nothing.
async fn without_window(orqit: &Orqit) -> TcpStream {
    let mut connection = connect(orqit.address).await;
    // INITIAL_WINDOW_SIZE is number 4.
    let settings = Frame::new(http2::SETTINGS, 0, 0, [0, 4, 0, 0, 0, 0]).bytes();
    connection.write_all(&[http2::PREFACE, &settings].concat()).await.expect("sent");
    connection
}

/// GET with a key.
fn get(stream: u32, path: &str, key: &str) -> Vec<u8> {
    let block = [vec![0x82, 0x86], literal(":path", path), literal(":authority", "x")].concat();
    let block = [block, literal("x-api-key", key)].concat();
    Frame::new(HEADERS, END_HEADERS | END_STREAM, stream, block).bytes()
}

#[tokio::test]
async fn a_stream_that_nobody_reads_is_reset_and_its_connection_goes_on() {
    let orqit = Orqit::start_with(Options { write_timeout: SHORT, ..Options::default() }).await;
    let key = orqit.key(&["tickets:write", "tickets:read"]).await;
    large_ticket(&orqit.rest(&key)).await;
    let mut connection = without_window(&orqit).await;
    for path in ["/api/public/v1/tickets", "/api/public/v1/tickets/1"] {
        let stream = if path.ends_with('1') { 3 } else { 1 };
        connection.write_all(&get(stream, path, &key)).await.expect("sent");
        let mut head_came = false;
        loop {
            let frame = read_frame(&mut connection).await;
            assert_ne!(frame.kind, http2::DATA, "it was given no window");
            assert_ne!(frame.kind, http2::GOAWAY);
            head_came |= frame.kind == HEADERS;
            if frame.kind == RST_STREAM {
                assert!(head_came && frame.stream == stream);
                break;
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_read_slowly_is_read_whole() {
    let orqit = Orqit::start_with(Options { write_timeout: SHORT, ..Options::default() }).await;
    let key = orqit.key(&["tickets:write", "tickets:read"]).await;
    large_ticket(&orqit.rest(&key)).await;
    let mut connection = without_window(&orqit).await;
    connection.write_all(&get(1, "/api/public/v1/tickets/1", &key)).await.expect("sent");
    let mut data = Vec::new();
    loop {
        let frame = read_frame(&mut connection).await;
        data.extend((frame.kind == http2::DATA).then_some(&frame.payload).into_iter().flatten());
        assert_ne!(frame.kind, RST_STREAM, "after {} bytes", data.len());
        if frame.ends_stream() {
            break;
        }
        if matches!(frame.kind, http2::DATA | HEADERS) {
            // Slower than the whole may wait, faster than a piece may.
            tokio::time::sleep(SHORT / 2).await;
            let more = 16_384_u32.to_be_bytes();
            let update = Frame::new(http2::WINDOW_UPDATE, 0, 1, more).bytes();
            connection.write_all(&update).await.expect("sent");
        }
    }
    let json: serde_json::Value = serde_json::from_slice(&data).expect("JSON");
    assert_eq!(json["data"]["description"].as_str().map(str::len), Some(60_000));
}

#[tokio::test]
async fn a_connection_of_http_1_that_reads_nothing_is_closed() {
    let orqit = Orqit::start_with(Options { write_timeout: SHORT, ..Options::default() }).await;
    let key = orqit.key(&["tickets:write", "tickets:read"]).await;
    let rest = orqit.rest(&key);
    for _ in 0..50 {
        large_ticket(&rest).await;
    }
    // 3 MB each: more than the sockets take.
    let mut stream = connect(orqit.address).await;
    let get = format!(
        "GET /api/public/v1/tickets?perPage=50 HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\n\r\n"
    );
    stream.write_all(get.repeat(5).as_bytes()).await.expect("sent");
    tokio::time::sleep(SHORT * 4).await;
    let read = soon(read_to_close(&mut stream)).await;
    assert!(read.len() < 12_000_000, "{}", read.len());
}

#[tokio::test]
async fn answers_that_nobody_reads_give_way() {
    let of_network = 200_000;
    let answers = Bounds { total: 4 * of_network, of_network };
    let orqit = Orqit::start_with(Options { answers, ..Options::default() }).await;
    let key = orqit.key(&["tickets:write", "tickets:read"]).await;
    let rest = orqit.rest(&key);
    large_ticket(&rest).await;
    let mut connection = without_window(&orqit).await;
    for stream in [1, 3, 5] {
        connection.write_all(&get(stream, "/api/public/v1/tickets/1", &key)).await.expect("sent");
    }
    for _ in 0..3 {
        while read_frame(&mut connection).await.kind != HEADERS {}
    }
    // 180,000 bytes are held: one more is refused, and so is what reads it by gRPC.
    rest.get("/tickets/1").await.error(503, "SERVICE_UNAVAILABLE");
    let request = frame(&pb::GetTicketRequest { id: "1".to_owned(), ..Default::default() });
    let path = "/orqit.v1.TicketService/GetTicket";
    let status = call(orqit.address, path, &[("x-api-key", &key)], request.clone()).await.status();
    assert_refused(&status, Code::Unavailable, "SERVICE_UNAVAILABLE");
    // What was changed is told all the same, and what is small finds room.
    rest.patch("/tickets/1", json!({"title": "Larger"})).await.data(200);
    rest.get("/keys/self").await.data(200);
    tokio::time::sleep(STUCK).await;
    rest.get("/tickets/1").await.data(200);
    while read_frame(&mut connection).await.kind != RST_STREAM {}
    let status = call(orqit.address, path, &[("x-api-key", &key)], request).await.status();
    assert_eq!(status.code(), Code::Ok);
}

#[tokio::test]
async fn a_connection_whose_other_stream_has_been_silent_for_long_is_served() {
    let orqit = Orqit::start_with(Options { write_timeout: SHORT, ..Options::default() }).await;
    let key = orqit.key(&["tickets:write", "tickets:read"]).await;
    large_ticket(&orqit.rest(&key)).await;
    let mut connection = connect(orqit.address).await;
    let settings = Frame::new(http2::SETTINGS, 0, 0, []).bytes();
    let block = [
        vec![0x83, 0x86],
        literal(":path", "/grpc.health.v1.Health/Watch"),
        literal(":authority", "x"),
        literal("content-type", "application/grpc"),
    ];
    let head = Frame::new(HEADERS, END_HEADERS, 1, block.concat()).bytes();
    let message = Frame::new(http2::DATA, END_STREAM, 1, [0; 5]).bytes();
    let first = [http2::PREFACE, &settings, &head, &message].concat();
    connection.write_all(&first).await.expect("sent");
    while read_frame(&mut connection).await.kind != http2::DATA {}
    // Longer than anything may wait for its peer.
    tokio::time::sleep(SHORT * 4).await;
    for stream in [3, 5] {
        connection.write_all(&get(stream, "/api/public/v1/tickets/1", &key)).await.expect("sent");
        let mut len = 0;
        loop {
            let frame = read_frame(&mut connection).await;
            assert!(frame.kind != RST_STREAM && frame.kind != http2::GOAWAY);
            len += if frame.kind == http2::DATA { frame.payload.len() } else { 0 };
            if frame.stream == stream && frame.ends_stream() {
                break;
            }
            let more = 60_000_u32.to_be_bytes();
            let connection_window = Frame::new(http2::WINDOW_UPDATE, 0, 0, more).bytes();
            connection.write_all(&connection_window).await.expect("sent");
        }
        assert!(len > 60_000, "{len}");
    }
}
