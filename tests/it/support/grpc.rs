//! What a gRPC status tells in its details, and calls byte by byte.

use std::net::SocketAddr;

use bytes::Bytes;
use http::HeaderMap;
use prost::Message;
use tokio::net::TcpStream;
use tonic::{Code, Status};
use tonic_types::{ErrorInfo, StatusExt};

use super::wire::soon;

/// The reason, domain and facts of a refusal.
#[track_caller]
pub fn error_info(status: &Status) -> ErrorInfo {
    let info = status.get_details_error_info().expect("an ErrorInfo");
    assert_eq!(info.domain, "orqit");
    info
}

/// The fields that a refusal names.
#[track_caller]
pub fn violations(status: &Status) -> Vec<String> {
    let bad = status.get_details_bad_request().expect("a BadRequest");
    bad.field_violations.into_iter().map(|violation| violation.field).collect()
}

/// Asserts the status and the reason of a refusal.
#[track_caller]
pub fn assert_refused(status: &Status, code: Code, reason: &str) {
    assert_eq!((status.code(), error_info(status).reason.as_str()), (code, reason), "{status:?}");
}

/// A message in its frame: not compressed, its length, its bytes.
pub fn frame(message: &impl Message) -> Bytes {
    let bytes = message.encode_to_vec();
    let len = u32::try_from(bytes.len()).expect("a short message");
    [&[0], &len.to_be_bytes()[..], &bytes].concat().into()
}

/// An answer to a call, read whole.
#[derive(Debug)]
pub struct Answer {
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: HeaderMap,
}

impl Answer {
    /// The status, wherever it stands.
    #[track_caller]
    pub fn status(&self) -> Status {
        let found = Status::from_header_map(&self.trailers);
        found.or_else(|| Status::from_header_map(&self.headers)).expect("a grpc-status")
    }
}

/// Calls a path with a body as it is, over HTTP/2 and a connection of its own.
pub async fn call(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (mut client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(async move { drop(connection.await) });
    let mut request = http::Request::post(format!("http://{address}{path}"));
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/grpc");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.header("te", "trailers").body(()).expect("a request");
    let (answer, mut sending) = client.send_request(request, false).expect("sent");
    // Whoever refuses at once may have closed the stream already.
    let _ = sending.send_data(body.into(), true);
    read(answer).await
}

/// Reads an answer whole.
pub async fn read(answer: h2::client::ResponseFuture) -> Answer {
    let (head, mut receiving) = soon(answer).await.expect("an answer").into_parts();
    let mut body = Vec::new();
    while let Some(data) = soon(receiving.data()).await {
        let data = data.expect("data");
        receiving.flow_control().release_capacity(data.len()).expect("capacity");
        body.extend(data);
    }
    let trailers = soon(receiving.trailers()).await.expect("trailers").unwrap_or_default();
    Answer { headers: head.headers, body, trailers }
}
