//! HTTP/2 frame by frame, for what a client library would not send or would answer by itself.

use tokio::io::{AsyncRead, AsyncReadExt};

use super::wire::soon;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;

/// On DATA and HEADERS: the last frame of its side of the stream.
pub const END_STREAM: u8 = 1;
/// On HEADERS: no CONTINUATION follows.
pub const END_HEADERS: u8 = 4;

/// The first bytes of every connection. Settings must follow.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, flags, stream, payload: payload.into() }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let len = u32::try_from(self.payload.len()).expect("short").to_be_bytes();
        [&len[1..], &[self.kind, self.flags], &self.stream.to_be_bytes(), &self.payload].concat()
    }

    /// Whether it is the last frame of its stream.
    pub fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }
}

/// A header in HPACK by hand.
pub fn literal(name: &str, value: &str) -> Vec<u8> {
    let len = |text: &str| u8::try_from(text.len()).expect("short");
    [&[0x10, len(name)], name.as_bytes(), &[len(value)], value.as_bytes()].concat()
}

/// A whole GET request.
pub fn get(stream: u32, path: &str) -> Frame {
    // :method GET, :scheme http
    let block = [vec![0x82, 0x86], literal(":path", path), literal(":authority", "x")].concat();
    Frame::new(HEADERS, END_HEADERS | END_STREAM, stream, block)
}

/// The next frame.
pub async fn read_frame(connection: &mut (impl AsyncRead + Unpin)) -> Frame {
    let mut head = [0; 9];
    soon(connection.read_exact(&mut head)).await.expect("a frame");
    let [a, b, c, kind, flags, stream @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    soon(connection.read_exact(&mut payload)).await.expect("a frame");
    Frame { kind, flags, stream: u32::from_be_bytes(stream), payload }
}

/// The data of a stream up to its end, or until `len` bytes are there.
pub async fn read_data(connection: &mut (impl AsyncRead + Unpin), len: usize) -> Vec<u8> {
    let mut data = Vec::new();
    loop {
        let frame = read_frame(connection).await;
        if frame.kind == DATA {
            data.extend(&frame.payload);
        }
        if frame.ends_stream() || data.len() >= len {
            return data;
        }
    }
}
