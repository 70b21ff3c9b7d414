//! Bodies whose last byte never comes, bodies that drip, and bodies to what takes none.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use super::target::{KEYLESS_MIB, Sent, Target, WITH_KEY_MIB, duration};
use crate::support::wire::{connect, post_head};

const CONNECTIONS: usize = 5;
const STREAMS: usize = 100;
const LEN: usize = 1 << 20;

/// Opens streams of HTTP/2 that each send all of a body but its last byte, and holds them open.
async fn withhold(address: SocketAddr, path: &str, headers: &[(&str, &str)], first: &[u8]) -> Sent {
    let mut connections = JoinSet::new();
    let body = Bytes::from([first, &vec![b' '; LEN - 1 - first.len()]].concat());
    for _ in 0..CONNECTIONS {
        let (mut client, connection) =
            h2::client::handshake(connect(address).await).await.expect("HTTP/2");
        connections.spawn(async move { drop(connection.await) });
        let mut held = Vec::new();
        for _ in 0..STREAMS {
            let mut request = http::Request::post(format!("http://{address}{path}"));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            // The server may refuse a stream at any moment; what was opened stays open.
            let Ok(ready) = client.clone().ready().await else { break };
            client = ready;
            let Ok((answer, mut sending)) =
                client.send_request(request.body(()).expect("a request"), false)
            else {
                break;
            };
            let _ = sending.send_data(body.clone(), false);
            held.push((answer, sending));
        }
        connections.spawn(async move {
            tokio::time::sleep(duration()).await;
            drop(held);
        });
    }
    tokio::time::sleep(duration()).await;
    connections.shutdown().await;
    Sent::new(format!("{CONNECTIONS} × {STREAMS} bodies of 1 MiB to {path}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_whose_last_byte_never_comes_hold_no_memory() {
    let target = Target::start(&[]).await;
    // A frame that says it is as long as the body.
    let frame = [&[0][..], &(LEN as u32 - 5).to_be_bytes()].concat();
    for path in [
        "/orqit.v1.SystemService/Ping",
        "/grpc.health.v1.Health/Check",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    ] {
        let headers = [("content-type", "application/grpc")];
        let withheld = withhold(target.address, path, &headers, &frame);
        target.attack("withheld last byte, no key", KEYLESS_MIB, withheld).await;
    }
    for path in ["/livez", "/api/public/v1/openapi.json", "/api/public/v1/keys/report-leak"] {
        let withheld = withhold(target.address, path, &[], b"{");
        target.attack("withheld last byte, no key", KEYLESS_MIB, withheld).await;
    }
    let headers = [("x-api-key", target.key.as_str())];
    let withheld = withhold(target.address, "/api/public/v1/tickets", &headers, b"{");
    target.attack("withheld last byte, with a key", WITH_KEY_MIB, withheld).await;
}

/// Sends one byte at a time on many connections, each after `head`.
async fn drip(address: SocketAddr, head: &str) -> Sent {
    const CONNECTIONS: usize = 100;
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let head = head.to_owned();
        connections.spawn(async move {
            let end = Instant::now() + duration();
            while Instant::now() < end {
                let mut stream = connect(address).await;
                let mut sent = stream.write_all(head.as_bytes()).await;
                while sent.is_ok() && Instant::now() < end {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    sent = stream.write_all(b"1").await;
                }
            }
        });
    }
    connections.join_all().await;
    Sent::new(format!("{CONNECTIONS} connections, a byte every 20 ms"))
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_and_bodies_that_drip_hold_nobody_up() {
    let target = Target::start(&[]).await;
    let address = target.address;
    target.attack("dripping head", KEYLESS_MIB, drip(address, "GET / HTTP/1.1\r\nx: ")).await;
    target.attack("half an HTTP/2 preface", KEYLESS_MIB, drip(address, "PRI * HTTP/2.0\r\n")).await;
    let body = post_head(&target.key, 1_000_000, "");
    target.attack("dripping body, with a key", WITH_KEY_MIB, drip(address, &body)).await;
    let chunked = "POST /livez HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n100000\r\n";
    target.attack("endless chunk to a page", KEYLESS_MIB, drip(address, chunked)).await;
}
