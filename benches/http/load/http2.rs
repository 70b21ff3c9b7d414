//! As much of an HTTP/2 client as unary gRPC calls need (RFC 9113, RFC 7541).
//!
//! Headers that are the same in every call go into the compression table with a connection's first
//! request and are one byte each in all later ones, as every real client has it. Answers' headers
//! are not decoded: a refusal is told by its having no DATA.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Call;
use super::meter::Meter;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD_LEN: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const WINDOW_MAX: u32 = (1 << 31) - 1;
const WINDOW_DEFAULT: u32 = 65_535;
/// So many bytes are received before the server is told that it may send as many again.
const WINDOW_STEP: usize = 1 << 30;

/// The requests as frames, but for their stream.
pub struct Requests {
    first: Vec<Vec<u8>>,
    later: Vec<Vec<u8>>,
}

impl Requests {
    pub fn new(address: SocketAddr, key: &str, calls: &[Call]) -> Self {
        let authority = address.to_string();
        let bearer = format!("Bearer {key}");
        // Literals that enter the table (section 6.2.1), by a name of the static table or a new one.
        let mut first = literal(&[0x41], &authority);
        first.extend(literal(&[0x40, 2, b't', b'e'], "trailers"));
        first.extend(literal(&[0x40 | 31], "application/grpc"));
        first.extend(literal(&[0x40 | 23], &bearer));
        // The same four in the table, the newest of which is number 62.
        let later = [0x80 | 65, 0x80 | 64, 0x80 | 63, 0x80 | 62];
        Self {
            first: calls.iter().map(|call| frames(call, &first)).collect(),
            later: calls.iter().map(|call| frames(call, &later)).collect(),
        }
    }
}

fn frames(call: &Call, shared: &[u8]) -> Vec<u8> {
    // POST, http, and the path, which stays out of the table (section 6.2.2).
    let mut block = vec![0x83, 0x86];
    block.extend(literal(&[0x04], &call.path));
    block.extend(shared);
    let mut message = vec![0];
    message.extend((call.message.len() as u32).to_be_bytes());
    message.extend(&call.message);
    let mut frames = Vec::new();
    frame(&mut frames, HEADERS, END_HEADERS, 0, &block);
    frame(&mut frames, DATA, END_STREAM, 0, &message);
    frames
}

fn literal(name: &[u8], value: &str) -> Vec<u8> {
    let len = u8::try_from(value.len()).ok().filter(|len| *len < 127);
    let len = len.expect("no header here is so long that its length needs two bytes");
    [name, &[len], value.as_bytes()].concat()
}

fn frame(to: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    to.extend(&(payload.len() as u32).to_be_bytes()[1..]);
    to.extend([kind, flags]);
    to.extend(stream.to_be_bytes());
    to.extend(payload);
}

/// One connection with so many calls under way, beginning with number `at`.
pub async fn run(
    address: SocketAddr,
    requests: Rc<Requests>,
    at: usize,
    streams: usize,
    meter: Rc<Meter>,
) -> Result<(), String> {
    let mut connection =
        Connection { requests, at, stream: 1, open: Vec::new(), received: 0, out: Vec::new() };
    let ended = connection.run(address, streams, &meter).await;
    ended.map_err(|error| format!("HTTP/2 connection: {error}"))
}

struct Connection {
    requests: Rc<Requests>,
    at: usize,
    /// The next call's.
    stream: u32,
    open: Vec<Open>,
    /// Bytes of DATA that the server does not yet know it may send again.
    received: usize,
    /// What is to be sent. The windows for DATA need no watching: what is under way is a few bytes,
    /// and the server gives them back long before the window is used up.
    out: Vec<u8>,
}

/// A call under way.
struct Open {
    stream: u32,
    sent_at: Instant,
    has_data: bool,
}

impl Connection {
    async fn run(&mut self, address: SocketAddr, streams: usize, meter: &Meter) -> io::Result<()> {
        let mut socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        self.greet();
        for _ in 0..streams {
            self.call(Instant::now());
        }
        let mut buffer = vec![0; 256 * 1024];
        let mut filled = 0;
        loop {
            socket.write_all(&self.out).await?;
            self.out.clear();
            let read = socket.read(&mut buffer[filled..]).await?;
            if read == 0 {
                return Err(io::Error::other("it ended with calls under way"));
            }
            filled += read;
            let mut taken = 0;
            while let Some((head, payload)) = next_frame(&buffer[taken..filled]) {
                if self.is_over(head, payload, meter)? {
                    return Ok(());
                }
                taken += FRAME_HEAD_LEN + payload.len();
            }
            buffer.copy_within(taken..filled, 0);
            filled -= taken;
        }
    }

    /// No pushes, and the largest windows there are.
    fn greet(&mut self) {
        self.out.extend(PREFACE);
        let window = WINDOW_MAX.to_be_bytes();
        let settings = [&[0, 2, 0, 0, 0, 0, 0, 4][..], &window].concat();
        frame(&mut self.out, SETTINGS, 0, 0, &settings);
        self.widen(WINDOW_MAX - WINDOW_DEFAULT);
    }

    fn widen(&mut self, by: u32) {
        frame(&mut self.out, WINDOW_UPDATE, 0, 0, &by.to_be_bytes());
    }

    fn call(&mut self, now: Instant) {
        let requests = if self.stream == 1 { &self.requests.first } else { &self.requests.later };
        let request = &requests[self.at % requests.len()];
        let start = self.out.len();
        self.out.extend(request);
        let stream = self.stream.to_be_bytes();
        let block_len = usize::from(request[1]) << 8 | usize::from(request[2]);
        for head in [start, start + FRAME_HEAD_LEN + block_len] {
            self.out[head + 5..head + FRAME_HEAD_LEN].copy_from_slice(&stream);
        }
        self.open.push(Open { stream: self.stream, sent_at: now, has_data: false });
        self.stream += 2;
        self.at += 1;
    }

    /// Takes a frame in; whether it was the last answer wanted.
    fn is_over(&mut self, head: Head, payload: &[u8], meter: &Meter) -> io::Result<bool> {
        match head.kind {
            DATA | HEADERS => return self.is_last_answer(head, payload, meter),
            SETTINGS if head.flags & ACK == 0 => frame(&mut self.out, SETTINGS, ACK, 0, &[]),
            PING if head.flags & ACK == 0 => frame(&mut self.out, PING, ACK, 0, payload),
            RST_STREAM | GOAWAY => return Err(io::Error::other("the server broke it off")),
            _ => {}
        }
        Ok(false)
    }

    fn is_last_answer(&mut self, head: Head, payload: &[u8], meter: &Meter) -> io::Result<bool> {
        let Some(index) = self.open.iter().position(|open| open.stream == head.stream) else {
            return Err(io::Error::other("an answer to no question"));
        };
        if head.kind == DATA {
            self.open[index].has_data = true;
            self.received += payload.len();
            if self.received >= WINDOW_STEP {
                self.widen(self.received as u32);
                self.received = 0;
            }
        }
        if head.flags & END_STREAM == 0 {
            return Ok(false);
        }
        let ended = self.open.swap_remove(index);
        if !ended.has_data {
            return Err(io::Error::other("a call was refused"));
        }
        let now = Instant::now();
        if !meter.answered(now - ended.sent_at) {
            return Ok(true);
        }
        self.call(now);
        Ok(false)
    }
}

#[derive(Clone, Copy)]
struct Head {
    kind: u8,
    flags: u8,
    stream: u32,
}

/// The first frame, once it is whole.
fn next_frame(bytes: &[u8]) -> Option<(Head, &[u8])> {
    let (head, rest) = bytes.split_at_checked(FRAME_HEAD_LEN)?;
    let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    Some((Head { kind: head[3], flags: head[4], stream }, rest.get(..len)?))
}
