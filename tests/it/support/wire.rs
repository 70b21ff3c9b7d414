//! HTTP/1.1 byte by byte, for what a client library would not send.

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::rest::Answer;

/// How long to wait for what must come: far longer than it takes.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for what must come.
#[track_caller]
pub fn soon<F: Future>(what: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        let done = tokio::time::timeout(PATIENCE, what).await;
        done.unwrap_or_else(|_| panic!("nothing came within {PATIENCE:?} at {caller}"))
    }
}

pub async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a connection")
}

/// The head of a POST to /tickets whose body of `len` bytes is still to come.
pub fn post_head(key: &str, len: usize, more: &str) -> String {
    format!(
        "POST /api/public/v1/tickets HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\
         content-length: {len}\r\n{more}\r\n"
    )
}

/// Sends bytes on a connection of their own, and reads the answer until the server closes: the
/// bytes should ask it to.
pub async fn exchange(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Answer {
    let mut stream = connect(address).await;
    // A server that refuses early may close before it has read everything.
    let _ = stream.write_all(bytes.as_ref()).await;
    read_answer(&mut stream).await
}

/// Reads one answer, until the server closes.
pub async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> Answer {
    parse(&read_to_close(stream).await)
}

/// Reads until the server closes, by whichever way.
pub async fn read_to_close(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset counts as closed; what came before it was read.
    let _ = soon(stream.read_to_end(&mut bytes)).await;
    bytes
}

/// Reads until `end` has come.
pub async fn read_until(stream: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut text = String::new();
    while !text.contains(end) {
        let mut byte = [0];
        let read = soon(stream.read(&mut byte)).await.expect("more bytes");
        assert_ne!(read, 0, "closed after {text:?}");
        text.push(char::from(byte[0]));
    }
    text
}

fn parse(bytes: &[u8]) -> Answer {
    let text = || String::from_utf8_lossy(bytes);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer: {:?}", text()));
    let head = std::str::from_utf8(&bytes[..end]).expect("a head in ASCII");
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").expect("a header");
        let name: HeaderName = name.parse().expect("a name");
        headers.append(name, HeaderValue::from_str(value).expect("a value"));
    }
    let status = StatusCode::from_bytes(status.as_bytes()).expect("a status");
    Answer { status, headers, body: bytes[end + 4..].to_vec() }
}
