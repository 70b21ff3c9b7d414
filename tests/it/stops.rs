//! A stop: who is waited for, for how long, and what is written down afterwards.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use orqit::server::OPENAPI;
use orqit::store::{PageRequest, Position};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tonic::Code;

use crate::support::grpc::{self, frame};
use crate::support::http2::{self, Frame, PREFACE, read_data};
use crate::support::requests::{vpn, vpn_message};
use crate::support::server::{Options, Orqit};
use crate::support::tls::tls;
use crate::support::wire::{
    connect, exchange, post_head, read_answer, read_to_close, read_until, soon,
};

const PING: &str = "/api/public/v1/ping";
const CREATE: &str = "/orqit.v1.TicketService/CreateTicket";
/// A drain time that no test has the patience for.
const LONG: Duration = Duration::from_secs(60);
/// A drain time that a test waits for.
const SHORT: Duration = Duration::from_millis(300);

/// A server whose stop takes a minute if it waits for anybody.
async fn start() -> Orqit {
    Orqit::start_with(Options { drain_timeout: LONG, ..Options::default() }).await
}

/// A GET of ping by HTTP/1.1.
fn ping(more: &str) -> String {
    format!("GET {PING} HTTP/1.1\r\nhost: x\r\n{more}\r\n")
}

/// The first frames of an HTTP/2 connection, up to a request.
fn http2_get(settings: &[u8], path: &str) -> Vec<u8> {
    let settings = Frame::new(http2::SETTINGS, 0, 0, settings).bytes();
    [PREFACE, &settings, &http2::get(1, path).bytes()].concat()
}

/// Makes a request on a further connection. The server accepts connections in their order, so it
/// has accepted the earlier ones by then, and read what had arrived on them.
async fn settle(address: SocketAddr) {
    assert_eq!(exchange(address, ping("connection: close\r\n")).await.status, 200);
}

/// Lets the stop begin: nobody can connect any more.
async fn begin_stop(mut orqit: Orqit) -> JoinHandle<Orqit> {
    let address = orqit.address;
    let stopping = tokio::spawn(async move {
        orqit.stop().await;
        orqit
    });
    soon(async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    stopping
}

#[tokio::test]
async fn a_connection_without_a_request_does_not_hold_up_a_stop() {
    let settings = Frame::new(http2::SETTINGS, 0, 0, []).bytes();
    for begun in [
        b"".to_vec(),
        b"G".to_vec(),
        format!("GET {PING} HT").into(),
        format!("GET {PING} HTTP/1.1\r\nhost: x\r\n").into(),
        PREFACE[..10].to_vec(),
        PREFACE.to_vec(),
        [PREFACE, &settings].concat(),
    ] {
        let mut orqit = start().await;
        let mut stream = connect(orqit.address).await;
        stream.write_all(&begun).await.expect("sent");
        settle(orqit.address).await;
        soon(orqit.stop()).await;
        let answer = read_to_close(&mut stream).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{begun:?}");
    }
}

#[tokio::test]
async fn a_connection_that_idles_after_an_answer_does_not_hold_up_a_stop() {
    for next in ["", "GET ", "GET / HTTP/1.1\r\nhost: x\r\n"] {
        let mut orqit = start().await;
        let mut stream = connect(orqit.address).await;
        stream.write_all(ping("").as_bytes()).await.expect("sent");
        read_until(&mut stream, "\"success\":true").await;
        stream.write_all(next.as_bytes()).await.expect("sent");
        settle(orqit.address).await;
        soon(orqit.stop()).await;
    }
}

#[tokio::test]
async fn an_unfinished_tls_handshake_does_not_hold_up_a_stop() {
    for begun in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        let (acceptor, _) = tls();
        let options = Options { drain_timeout: LONG, tls: Some(acceptor), ..Options::default() };
        let mut orqit = Orqit::start_with(options).await;
        let mut stream = connect(orqit.address).await;
        stream.write_all(begun).await.expect("sent");
        // The server refuses this one; the other is in its handshake by then.
        let mut plain = connect(orqit.address).await;
        plain.write_all(ping("").as_bytes()).await.expect("sent");
        read_to_close(&mut plain).await;
        soon(orqit.stop()).await;
    }
}

#[tokio::test]
async fn an_idle_http2_client_that_does_not_read_does_not_hold_up_a_stop() {
    let mut orqit = start().await;
    // One acknowledges nothing: not the settings, nor the ping that asks whether it knows.
    let mut deaf = connect(orqit.address).await;
    deaf.write_all(&http2_get(&[], PING)).await.expect("sent");
    read_data(&mut deaf, usize::MAX).await;
    // The other has its socket full of acknowledgements that it does not read.
    let mut full = connect(orqit.address).await;
    full.write_all(&http2_get(&[], PING)).await.expect("sent");
    read_data(&mut full, usize::MAX).await;
    let pings = Frame::new(http2::PING, 0, 0, [0; 8]).bytes().repeat(10_000);
    // A server that is only slow to take them makes this test easier, not wrong.
    while tokio::time::timeout(SHORT, full.write_all(&pings)).await.is_ok() {}
    soon(orqit.stop()).await;
}

#[tokio::test]
async fn a_stop_lets_running_requests_finish_and_takes_no_more() {
    let orqit = start().await;
    let (address, key) = (orqit.address, orqit.key(&["tickets:write"]).await);
    let body = vpn().to_string();
    let mut running = connect(address).await;
    let head = post_head(&key, body.len(), "expect: 100-continue\r\n");
    running.write_all(head.as_bytes()).await.expect("sent");
    // From here on the server has the request and waits for its body.
    read_until(&mut running, "100 Continue\r\n\r\n").await;
    let mut idle = connect(address).await;
    idle.write_all(ping("").as_bytes()).await.expect("sent");
    read_until(&mut idle, "\"success\":true").await;

    let stopping = begin_stop(orqit).await;
    let _ = read_to_close(&mut idle).await;
    assert!(!stopping.is_finished(), "it waits for the running request");

    running.write_all(body.as_bytes()).await.expect("sent");
    assert_eq!(read_answer(&mut running).await.data(201)["id"], 1);
    let orqit = soon(stopping).await.expect("stopped");
    assert_eq!(orqit.events().await.len(), 1);
}

/// A call whose message is still to come. The server has it when this returns.
async fn open_call(
    address: SocketAddr,
    key: &str,
) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
    let stream = connect(address).await;
    let (mut client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(async move { drop(connection.await) });
    let request = http::Request::post(format!("http://{address}{CREATE}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("x-api-key", key);
    let request = request.body(()).expect("a request");
    let (answer, message) = client.send_request(request, false).expect("sent");
    // Streams are taken in their order.
    let ping = http::Request::get(format!("http://{address}{PING}")).body(()).expect("a request");
    let (pinged, _) = client.send_request(ping, true).expect("sent");
    assert_eq!(soon(pinged).await.expect("an answer").status(), 200);
    (answer, message)
}

#[tokio::test]
async fn a_stop_lets_running_calls_finish() {
    let orqit = start().await;
    let key = orqit.key(&["tickets:write"]).await;
    let (answer, mut message) = open_call(orqit.address, &key).await;
    let stopping = begin_stop(orqit).await;
    message.send_data(frame(&vpn_message()), true).expect("sent");
    let answer = grpc::read(answer).await;
    assert_eq!(answer.status().code(), Code::Ok);
    assert!(!answer.body.is_empty());
    let orqit = soon(stopping).await.expect("stopped");
    assert_eq!(orqit.events().await.len(), 1);
}

#[tokio::test]
async fn a_stop_waits_for_an_answer_that_its_client_takes_slowly() {
    let orqit = start().await;
    // INITIAL_WINDOW_SIZE: the server may send 16 bytes of the answer.
    let settings = [0, 4, 0, 0, 0, 16];
    let mut slow = connect(orqit.address).await;
    let request = http2_get(&settings, "/api/public/v1/openapi.json");
    slow.write_all(&request).await.expect("sent");
    let begun = read_data(&mut slow, 1).await;
    // The same without a request in flight.
    let mut idle = connect(orqit.address).await;
    idle.write_all(&http2_get(&[], PING)).await.expect("sent");
    read_data(&mut idle, usize::MAX).await;

    let stopping = begin_stop(orqit).await;
    read_to_close(&mut idle).await;
    let more = (1_u32 << 24).to_be_bytes();
    for stream in [0, 1] {
        let update = Frame::new(http2::WINDOW_UPDATE, 0, stream, more).bytes();
        slow.write_all(&update).await.expect("sent");
    }
    let rest = read_data(&mut slow, usize::MAX).await;
    assert_eq!(begun.len() + rest.len(), OPENAPI.len());
    soon(stopping).await.expect("stopped");
}

#[tokio::test]
async fn what_is_left_after_the_drain_time_is_aborted_and_then_the_usage_is_written() {
    let mut orqit = Orqit::start_with(Options {
        drain_timeout: SHORT,
        body_timeout: LONG,
        request_timeout: LONG,
        ..Options::default()
    })
    .await;
    let key = orqit.key(&["tickets:write", "tickets:read"]).await;
    orqit.rest(&key).get("/tickets").await.data(200);
    let mut running = connect(orqit.address).await;
    let head = post_head(&key, 100, "expect: 100-continue\r\n");
    running.write_all(head.as_bytes()).await.expect("sent");
    read_until(&mut running, "100 Continue\r\n\r\n").await;
    let (_answer, _message) = open_call(orqit.address, &key).await;
    soon(orqit.stop()).await;

    let page = PageRequest { per_page: 100, position: Position::Page(1) };
    let reader = orqit.store.reader(orqit.workspace.id);
    let logs = reader.list_request_logs(&Default::default(), &page).await.expect("read").rows;
    let mut statuses: Vec<_> = logs.iter().map(|log| log.status).collect();
    statuses.sort_unstable();
    // A request that was aborted ends before the usage is written, so its entry is there too.
    assert_eq!(statuses, [200, 499, 499]);
    assert_eq!(orqit.events().await, []);
}

#[tokio::test]
async fn a_stop_ends_open_streams_with_a_status() {
    let mut orqit = start().await;
    let channel = orqit.channel().await;
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    let everything = tonic_health::pb::HealthCheckRequest { service: String::new() };
    let mut watching = health.watch(everything).await.expect("a stream").into_inner();
    assert!(watching.message().await.expect("a message").is_some());
    soon(orqit.stop()).await;
    let end = watching.message().await.expect_err("the stream has ended");
    assert_eq!(end.code(), Code::Unavailable);
}
