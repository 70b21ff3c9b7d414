//! Connections that do nothing, more of them than there are slots.

use tokio::io::AsyncWriteExt;

use super::target::{KEYLESS_MIB, Sent, Target, duration, full_size};
use crate::support::http2::{self, Frame};
use crate::support::wire::connect;

/// Opens connections that send `first` and then nothing.
async fn occupy(target: &Target, count: usize, first: &[u8]) -> Sent {
    let mut held = Vec::new();
    for _ in 0..count {
        let mut stream = connect(target.address).await;
        // One that had to give way may be closed already.
        let _ = stream.write_all(first).await;
        held.push(stream);
    }
    tokio::time::sleep(duration()).await;
    Sent::new(format!("{} connections of an address", held.len()))
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_shut_nobody_out() {
    let settings: &[(&str, &str)] = if full_size().is_some() {
        &[]
    } else {
        &[("ORQIT_CONNECTIONS_MAX", "200"), ("ORQIT_CONNECTIONS_PER_ADDRESS", "100")]
    };
    let target = Target::start(settings).await;
    let count = if full_size().is_some() { 2_000 } else { 300 };
    let begun = [http2::PREFACE, &Frame::new(http2::SETTINGS, 0, 0, []).bytes()].concat();
    for (name, first) in [
        ("silent connections", &b""[..]),
        ("half a request", b"GET / HTTP/1.1\r\nhost: x\r\n"),
        ("idle HTTP/2", &begun),
    ] {
        target.attack(name, KEYLESS_MIB, occupy(&target, count, first)).await;
    }
}
