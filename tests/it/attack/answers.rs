//! Answers that nobody reads.

use std::net::SocketAddr;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use super::target::{Sent, Target, WITH_KEY_MIB, duration};
use crate::cli::Machine;
use crate::support::rest::Rest;
use crate::support::wire::connect;

/// Pages of 3 MB each; one more than the default limits let a key have in a minute.
const PAGES: usize = 31;
const PAGE: &str = "/api/public/v1/tickets?cursor=start&perPage=100";

/// A server with 60 large tickets, and a key with the default limits.
async fn with_large_tickets() -> (Target, String) {
    let target = Target::start(&[("ORQIT_WRITE_TIMEOUT", "5s")]).await;
    let rest = Rest::new(target.serving.url.clone(), &target.key);
    for _ in 0..60 {
        let ticket = json!({"title": "Large", "description": "x".repeat(60_000), "type": "INCIDENT", "category": "OTHER"});
        rest.post("/tickets", ticket).await.data(201);
    }
    let create = ["key", "create", "--name", "Limited", "--scope", "tickets:read"];
    let limited = Machine::printed(target.machine.run(&create).await);
    (target, limited.trim_end().to_owned())
}

/// Asks for pages by HTTP/2 with a window of so many bytes for each, and reads none.
async fn ask_by_streams(address: SocketAddr, key: &str, window: u32) -> Sent {
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(window);
    let handshake = builder.handshake::<_, bytes::Bytes>(connect(address).await);
    let (mut client, connection) = handshake.await.expect("HTTP/2");
    let connection = tokio::spawn(async move { drop(connection.await) });
    let mut held = Vec::new();
    for _ in 0..PAGES {
        let Ok(ready) = client.clone().ready().await else { break };
        client = ready;
        let request = http::Request::get(format!("http://{address}{PAGE}"));
        let request = request.header("x-api-key", key).body(()).expect("a request");
        held.push(client.send_request(request, true));
    }
    tokio::time::sleep(duration()).await;
    connection.abort();
    Sent::new(format!("{} pages, window {window}", held.len()))
}

/// Asks for pages by HTTP/1.1, each on its own connection, and reads none.
async fn ask_by_connections(address: SocketAddr, key: &str) -> Sent {
    let mut connections = JoinSet::new();
    for _ in 0..PAGES {
        let get = format!("GET {PAGE} HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\n\r\n");
        connections.spawn(async move {
            let mut stream = connect(address).await;
            stream.write_all(get.repeat(3).as_bytes()).await.expect("sent");
            tokio::time::sleep(duration()).await;
        });
    }
    connections.join_all().await;
    Sent::new(format!("{PAGES} connections, 3 pages each"))
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_reads_hold_memory_within_a_bound() {
    let (target, limited) = with_large_tickets().await;
    for (key, whose) in [(&limited, "default limits"), (&target.key, "no limits")] {
        for window in [0, 1] {
            let asked = ask_by_streams(target.address, key, window);
            target.attack(&format!("unread pages, {whose}"), WITH_KEY_MIB, asked).await;
        }
        let asked = ask_by_connections(target.address, key);
        target.attack(&format!("unread pages by HTTP/1.1, {whose}"), WITH_KEY_MIB, asked).await;
    }
}
