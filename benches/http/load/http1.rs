//! As much of an HTTP/1.1 client as keep-alive GET and POST need.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Call;
use super::meter::Meter;

/// Requests with an idempotency key that were sent.
static SENT: AtomicU64 = AtomicU64::new(1);

/// The most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// What stands where each request gets an idempotency key of its own.
const ANY_IDEMPOTENCY_KEY: &str = "0000000000000000";

/// A request as bytes.
pub struct Request {
    bytes: Vec<u8>,
    /// Where in them its idempotency key stands.
    idempotency_key_at: Option<usize>,
}

impl Request {
    /// A GET, or a POST of the call's message, which is JSON then.
    pub fn new(address: SocketAddr, call: &Call, key: &str) -> Self {
        let (path, body) = (&call.path, String::from_utf8_lossy(&call.message));
        let method = if body.is_empty() { "GET" } else { "POST" };
        let mut text = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\naccept: */*\r\nauthorization: Bearer {key}\r\n"
        );
        let idempotency_key_at = call.idempotent.then(|| {
            text += "idempotency-key: ";
            text.len()
        });
        if call.idempotent {
            text += &format!("{ANY_IDEMPOTENCY_KEY}\r\n");
        }
        if !body.is_empty() {
            text +=
                &format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        }
        Self { bytes: format!("{text}\r\n{body}").into_bytes(), idempotency_key_at }
    }

    async fn send(&self, stream: &mut TcpStream) -> io::Result<()> {
        let Some(at) = self.idempotency_key_at else { return stream.write_all(&self.bytes).await };
        let number = SENT.fetch_add(1, Ordering::Relaxed);
        let key = format!("{number:0width$}", width = ANY_IDEMPOTENCY_KEY.len());
        let mut bytes = self.bytes.clone();
        bytes[at..at + key.len()].copy_from_slice(key.as_bytes());
        stream.write_all(&bytes).await
    }
}

/// The body of one answer.
pub async fn fetch(address: SocketAddr, path: &str, key: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let call = Call { path: path.to_owned(), ..Call::default() };
    Request::new(address, &call, key).send(&mut stream).await?;
    let mut buffer = vec![0; ANSWER_BYTES_MAX];
    let body = read_answer(&mut stream, &mut buffer).await?;
    Ok(buffer[body].to_vec())
}

/// One connection: sends the requests in turn, beginning with number `at`.
pub async fn run(
    address: SocketAddr,
    requests: Rc<[Request]>,
    at: usize,
    meter: Rc<Meter>,
) -> Result<(), String> {
    let ended = ask(address, &requests, at, &meter).await;
    ended.map_err(|error| format!("HTTP/1.1 connection: {error}"))
}

async fn ask(
    address: SocketAddr,
    requests: &[Request],
    mut at: usize,
    meter: &Meter,
) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; ANSWER_BYTES_MAX];
    let mut sent_at = Instant::now();
    loop {
        requests[at % requests.len()].send(&mut stream).await?;
        read_answer(&mut stream, &mut buffer).await?;
        let now = Instant::now();
        if !meter.answered(now - sent_at) {
            return Ok(());
        }
        sent_at = now;
        at += 1;
    }
}

/// Reads one answer; where in the buffer its body stands.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<Range<usize>> {
    let mut filled = 0;
    let mut body = None;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Err(io::Error::other("it ended within an answer"));
        }
        filled += read;
        if body.is_none() {
            body = find_body(&buffer[..filled])?;
        }
        if let Some(body) = body.clone().filter(|body| body.end <= filled) {
            return Ok(body);
        }
    }
}

/// Where the body will stand, once the head is whole.
fn find_body(answer: &[u8]) -> io::Result<Option<Range<usize>>> {
    const LENGTH: &[u8] = b"\r\ncontent-length: ";
    let find = |text: &[u8], from: &[u8]| from.windows(text.len()).position(|at| at == text);
    let Some(head_end) = find(b"\r\n\r\n", answer) else { return Ok(None) };
    let head = &answer[..head_end];
    if !head.starts_with(b"HTTP/1.1 20") {
        return Err(io::Error::other(String::from_utf8_lossy(answer)));
    }
    let digits = find(LENGTH, head).map_or(&[][..], |at| &head[at + LENGTH.len()..]);
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let len = digits.fold(0, |len, digit| len * 10 + usize::from(digit - b'0'));
    let start = head_end + 4;
    Ok(Some(start..start + len))
}
