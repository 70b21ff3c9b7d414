//! Frames of HTTP/2 that no honest client sends, or not so many of them.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use super::target::{KEYLESS_MIB, Sent, Target, duration};
use crate::support::http2::{self, END_HEADERS, Frame, HEADERS, RST_STREAM, literal};
use crate::support::wire::connect;

const CONTINUATION: u8 = 9;
const PRIORITY: u8 = 2;
const CONNECTIONS: usize = 4;

/// What it is called, what comes first on a connection, and what then comes again and again.
type Flood = (&'static str, Vec<u8>, fn(u32) -> Vec<u8>);

/// Sends `bytes(n)` for n = 0, 1, 2 … on each of some connections, and begins anew whenever one is
/// closed. `begin` comes first on each.
async fn flood(target: &Target, begin: Vec<u8>, bytes: fn(u32) -> Vec<u8>) -> Sent {
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (address, begin) = (target.address, begin.clone());
        connections.spawn(async move {
            let (end, mut sent) = (Instant::now() + duration(), 0_usize);
            while Instant::now() < end {
                let (mut reading, mut writing) = connect(address).await.into_split();
                // What the server says is read and dropped, so that it never waits for us.
                let read = tokio::spawn(async move {
                    let mut buffer = vec![0; 64 * 1024];
                    while reading.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
                });
                let settings = Frame::new(http2::SETTINGS, 0, 0, []).bytes();
                let first = [http2::PREFACE, &settings, &begin].concat();
                let mut written = writing.write_all(&first).await;
                for number in 0.. {
                    if written.is_err() || read.is_finished() || Instant::now() >= end {
                        break;
                    }
                    let batch: Vec<u8> = (0..64).flat_map(|at| bytes(64 * number + at)).collect();
                    written = writing.write_all(&batch).await;
                    sent += 64;
                }
                read.abort();
            }
            sent
        });
    }
    let sent: usize = connections.join_all().await.into_iter().sum();
    Sent::new(format!("{sent} frames"))
}

fn ping_head(stream: u32) -> Frame {
    let block =
        [vec![0x82, 0x86], literal(":path", "/api/public/v1/ping"), literal(":authority", "x")];
    Frame::new(HEADERS, END_HEADERS, stream, block.concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_frames_hold_nobody_up() {
    let target = Target::start(&[]).await;
    let floods: [Flood; 8] = [
        ("rapid reset", Vec::new(), |n| {
            let stream = 2 * n + 1;
            let reset = Frame::new(RST_STREAM, 0, stream, 8_u32.to_be_bytes());
            [ping_head(stream).bytes(), reset.bytes()].concat()
        }),
        ("endless CONTINUATION", Frame::new(HEADERS, 0, 1, [0x82, 0x86]).bytes(), |_| {
            Frame::new(CONTINUATION, 0, 1, literal("x", &"y".repeat(100))).bytes()
        }),
        ("PING", Vec::new(), |_| Frame::new(http2::PING, 0, 0, [0; 8]).bytes()),
        ("SETTINGS", Vec::new(), |n| {
            let size = [0, 4, 0, 0, (n >> 8) as u8, n as u8];
            Frame::new(http2::SETTINGS, 0, 0, size).bytes()
        }),
        ("empty DATA", ping_head(1).bytes(), |_| Frame::new(http2::DATA, 0, 1, []).bytes()),
        ("WINDOW_UPDATE", Vec::new(), |_| {
            Frame::new(http2::WINDOW_UPDATE, 0, 0, 0x7fff_ffff_u32.to_be_bytes()).bytes()
        }),
        ("PRIORITY and unknown frames", Vec::new(), |n| {
            let priority = Frame::new(PRIORITY, 0, 2 * n + 1, [0, 0, 0, 0, 1]);
            [priority.bytes(), Frame::new(0xfa, 0, 0, [0; 100]).bytes()].concat()
        }),
        ("a header list over its bound", Vec::new(), |n| {
            let mut block = vec![0x82, 0x86];
            for _ in 0..100 {
                block.extend(literal("x", &"y".repeat(120)));
            }
            Frame::new(HEADERS, END_HEADERS, 2 * n + 1, block).bytes()
        }),
    ];
    for (name, begin, bytes) in floods {
        target.attack(name, KEYLESS_MIB, flood(&target, begin, bytes)).await;
    }
}
