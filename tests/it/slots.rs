//! The slots of connections: idle ones end, and give way where there are as many as may be.

use std::time::Duration;

use http::Method;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::http2::{self, Frame, read_frame};
use crate::support::requests::vpn;
use crate::support::rest::send;
use crate::support::server::{Options, Orqit};
use crate::support::wire::{connect, post_head, read_to_close, read_until, soon};

const SHORT: Duration = Duration::from_millis(500);

/// A connection of HTTP/2 that has begun.
async fn connect_http2(orqit: &Orqit) -> TcpStream {
    let mut connection = connect(orqit.address).await;
    let settings = Frame::new(http2::SETTINGS, 0, 0, []).bytes();
    connection.write_all(&[http2::PREFACE, &settings].concat()).await.expect("sent");
    connection
}

#[tokio::test]
async fn a_connection_of_http_2_that_only_answers_pings_ends_after_the_idle_time() {
    let orqit = Orqit::start_with(Options { header_timeout: SHORT, ..Options::default() }).await;
    for requests in [0, 1] {
        let mut connection = connect_http2(&orqit).await;
        let begun = std::time::Instant::now();
        for _ in 0..requests {
            let ping = http2::get(1, "/api/public/v1/ping").bytes();
            connection.write_all(&ping).await.expect("sent");
        }
        let (mut reading, mut writing) = connection.split();
        let pings = async {
            let mut pace = tokio::time::interval(SHORT / 10);
            let ping = Frame::new(http2::PING, 0, 0, [0; 8]).bytes();
            while writing.write_all(&ping).await.is_ok() {
                pace.tick().await;
            }
        };
        tokio::select! {
            () = pings => {}
            _ = read_to_close(&mut reading) => {}
        }
        assert!((SHORT..SHORT * 20).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn an_open_stream_is_not_idle() {
    let orqit = Orqit::start_with(Options { header_timeout: SHORT, ..Options::default() }).await;
    let mut connection = connect_http2(&orqit).await;
    let block = [
        vec![0x83, 0x86],
        http2::literal(":path", "/grpc.health.v1.Health/Watch"),
        http2::literal(":authority", "x"),
        http2::literal("content-type", "application/grpc"),
    ];
    let head = Frame::new(http2::HEADERS, http2::END_HEADERS, 1, block.concat()).bytes();
    let message = Frame::new(http2::DATA, http2::END_STREAM, 1, [0; 5]).bytes();
    connection.write_all(&[head, message].concat()).await.expect("sent");
    while read_frame(&mut connection).await.kind != http2::DATA {}
    let ended = tokio::time::timeout(SHORT * 4, async {
        while !read_frame(&mut connection).await.ends_stream() {}
    });
    assert!(ended.await.is_err(), "the watch goes on");
}

#[tokio::test]
async fn where_an_address_has_as_many_as_may_be_those_without_a_request_give_way() {
    let options = Options { connections_per_address: 3, ..Options::default() };
    let orqit = Orqit::start_with(options).await;
    let mut idle = Vec::new();
    for _ in 0..3 {
        idle.push(connect(orqit.address).await);
    }
    let mut fourth = connect(orqit.address).await;
    let ping = b"GET /api/public/v1/ping HTTP/1.1\r\nhost: x\r\n\r\n";
    fourth.write_all(ping).await.expect("sent");
    assert!(read_until(&mut fourth, "\r\n").await.contains("200"));
    let first = read_to_close(&mut idle[0]).await;
    assert_eq!(first, b"", "it gave way");
    // The others are served as before.
    idle[1].write_all(ping).await.expect("sent");
    assert!(read_until(&mut idle[1], "\r\n").await.contains("200"));
}

#[tokio::test]
async fn where_all_have_a_request_a_new_one_of_the_address_is_closed() {
    let options = Options { connections_per_address: 2, ..Options::default() };
    let orqit = Orqit::start_with(options).await;
    let key = orqit.key(&["tickets:write"]).await;
    let body = vpn().to_string();
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut stream = connect(orqit.address).await;
        let head = post_head(&key, body.len(), "expect: 100-continue\r\n");
        stream.write_all(head.as_bytes()).await.expect("sent");
        assert!(read_until(&mut stream, "\r\n\r\n").await.contains("100 Continue"));
        busy.push(stream);
    }
    let mut third = connect(orqit.address).await;
    assert_eq!(soon(read_to_close(&mut third)).await, b"");
    for stream in &mut busy {
        stream.write_all(body.as_bytes()).await.expect("sent");
        assert!(read_until(stream, "\r\n").await.contains("201"));
    }
    // And then there is room again, and a metric that tells.
    let metrics = orqit.rest("").get("//metrics").await;
    let metrics = String::from_utf8(metrics.body).expect("text");
    assert!(metrics.contains("orqit_connections_refused_total"), "{metrics}");
}

#[tokio::test]
async fn a_trusted_proxy_has_as_many_connections_as_there_are() {
    let trusted_proxies = vec!["127.0.0.1/32"];
    let options = Options { connections_per_address: 1, trusted_proxies, ..Options::default() };
    let orqit = Orqit::start_with(options).await;
    let mut open = Vec::new();
    for _ in 0..5 {
        open.push(connect(orqit.address).await);
    }
    for stream in &mut open {
        stream
            .write_all(b"GET /api/public/v1/ping HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .expect("sent");
        assert!(read_until(stream, "\r\n").await.contains("200"));
    }
}

#[tokio::test]
async fn idle_connections_shut_nobody_out_when_all_slots_are_taken() {
    let options = Options { connections_max: 50, ..Options::default() };
    let orqit = Orqit::start_with(options).await;
    let key = orqit.key(&["tickets:write"]).await;
    let mut idle = Vec::new();
    for number in 0..200 {
        idle.push(connect(orqit.address).await);
        if number % 20 == 0 {
            let request = orqit.rest(&key).request(Method::POST, "/tickets");
            soon(send(request.json(&vpn()))).await.data(201);
        }
    }
    assert_eq!(orqit.rest(&key).post("/tickets", vpn()).await.data(201)["id"], json!(11));
}
