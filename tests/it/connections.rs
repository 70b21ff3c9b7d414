//! The bounds of a connection, and TLS.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use orqit::config::{HEADER_BYTES_MAX, STREAMS_PER_CONNECTION_MAX};
use orqit::connections;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::Code;

use crate::support::grpc::{self, assert_refused, call, frame};
use crate::support::http2::{self, Frame, literal, read_frame};
use crate::support::requests::{vpn, vpn_message};
use crate::support::rest::send;
use crate::support::server::{Options, Orqit};
use crate::support::tls::tls;
use crate::support::wire::{connect, exchange, post_head, read_answer, read_to_close, soon};

const CREATE: &str = "/orqit.v1.TicketService/CreateTicket";
/// Short enough to wait for, long enough for a request that is sent at once.
const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_client_that_does_not_say_what_it_wants_is_cut() {
    let options = Options { header_timeout: SHORT, ..Options::default() };
    let orqit = Orqit::start_with(options).await;
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for begun in
        ["", "G", "GET /api/public/v1/ping HTTP/1.1\r\nhost: x\r\n", &preface[..10], preface]
    {
        let mut stream = connect(orqit.address).await;
        stream.write_all(begun.as_bytes()).await.expect("sent");
        let answer = read_to_close(&mut stream).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{begun:?}");
    }
    // Nor does it help to keep dripping.
    let mut stream = connect(orqit.address).await;
    let (mut reading, mut writing) = stream.split();
    let drip = async {
        let mut pace = tokio::time::interval(Duration::from_millis(10));
        writing.write_all(b"GET /api/public/v1/ping HTTP/1.1\r\n").await.expect("sent");
        while writing.write_all(b"x: y\r\n").await.is_ok() {
            pace.tick().await;
        }
    };
    tokio::select! {
        () = drip => {}
        answer = read_to_close(&mut reading) => assert!(!answer.starts_with(b"HTTP/1.1 200")),
    }
    // One that has spoken before may idle no longer either.
    let mut stream = connect(orqit.address).await;
    stream.write_all(b"GET /api/public/v1/ping HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    assert!(read_to_close(&mut stream).await.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_408() {
    let orqit = Orqit::start_with(Options { body_timeout: SHORT, ..Options::default() }).await;
    let key = orqit.key(&["tickets:write", "tickets:read"]).await;
    for begun in ["", "{\"title\":"] {
        let mut stream = connect(orqit.address).await;
        stream.write_all(post_head(&key, 100, "").as_bytes()).await.expect("sent");
        stream.write_all(begun.as_bytes()).await.expect("sent");
        let answer = read_answer(&mut stream).await;
        answer.error(408, "REQUEST_TIMEOUT");
    }
    // The same of a body where none is taken, as long as it may be empty.
    let mut stream = connect(orqit.address).await;
    let get = format!(
        "GET /api/public/v1/tickets HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(get.as_bytes()).await.expect("sent");
    read_answer(&mut stream).await.error(408, "REQUEST_TIMEOUT");
    assert_eq!(orqit.events().await, []);
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_nothing() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:write"]).await;
    let mut stream = connect(orqit.address).await;
    let body = vpn().to_string();
    stream.write_all(post_head(&key, body.len() + 1, "").as_bytes()).await.expect("sent");
    stream.write_all(body.as_bytes()).await.expect("sent");
    stream.shutdown().await.expect("no more");
    let _ = read_to_close(&mut stream).await;
    assert_eq!(orqit.events().await, []);
}

#[tokio::test]
async fn a_head_over_its_bound_is_431() {
    let orqit = Orqit::start().await;
    let get = async |len: usize| {
        let head = "GET /api/public/v1/ping HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-long: ";
        exchange(orqit.address, format!("{head}{}\r\n\r\n", "x".repeat(len))).await
    };
    assert_eq!(get(HEADER_BYTES_MAX - 1024).await.status, 200);
    assert_eq!(get(HEADER_BYTES_MAX).await.status, 431);

    let rest = orqit.rest("").over_http2();
    let long = |len: usize| {
        let parts = (0..16).map(|n| (format!("x-{n}"), "x".repeat(len / 16)));
        let request = parts.fold(rest.request(Method::GET, "/ping"), |r, (n, v)| r.header(n, v));
        send(request)
    };
    assert_eq!(long(HEADER_BYTES_MAX - 2048).await.status, 200);
    assert_eq!(long(HEADER_BYTES_MAX).await.status, 431);
}

#[tokio::test]
async fn bytes_that_are_no_http_are_400() {
    let orqit = Orqit::start().await;
    for bytes in [
        "NONSENSE\r\n\r\n",
        "GET /a b HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nbad header\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
    ] {
        assert_eq!(exchange(orqit.address, bytes).await.status, 400, "{bytes:?}");
    }
}

/// A HEADERS frame that opens a call and leaves it open: HPACK by hand, so that no client library
/// holds the stream back.
fn open_call(stream: u32, key: &str) -> Vec<u8> {
    let block = [
        vec![0x83, 0x86], // :method POST, :scheme http
        literal(":path", CREATE),
        literal(":authority", "x"),
        literal("content-type", "application/grpc"),
        literal("te", "trailers"),
        literal("x-api-key", key),
    ]
    .concat();
    Frame::new(http2::HEADERS, http2::END_HEADERS, stream, block).bytes()
}

#[tokio::test]
async fn a_connection_has_a_hundred_streams() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:write"]).await;
    let mut connection = connect(orqit.address).await;
    let settings = Frame::new(http2::SETTINGS, 0, 0, []).bytes();
    let mut bytes = [http2::PREFACE, &settings].concat();
    let streams = (0..=STREAMS_PER_CONNECTION_MAX).map(|n| 2 * n + 1);
    bytes.extend(streams.flat_map(|stream| open_call(stream, &key)));
    connection.write_all(&bytes).await.expect("sent");

    let mut announced = None;
    loop {
        let Frame { kind, flags, stream, payload } = read_frame(&mut connection).await;
        match kind {
            // SETTINGS that are no acknowledgement: MAX_CONCURRENT_STREAMS is number 3.
            http2::SETTINGS if flags == 0 => {
                let settings = payload
                    .chunks(6)
                    .map(|one| (one[1], u32::from_be_bytes([one[2], one[3], one[4], one[5]])));
                announced = settings.into_iter().find(|(id, _)| *id == 3).map(|(_, value)| value);
            }
            // RST_STREAM: REFUSED_STREAM, of the last one alone.
            http2::RST_STREAM => {
                assert_eq!(stream, 2 * STREAMS_PER_CONNECTION_MAX + 1);
                assert_eq!(payload, 7_u32.to_be_bytes());
                break;
            }
            http2::DATA | http2::HEADERS | http2::GOAWAY => {
                panic!("an answer, or the end, instead of a refusal: {kind}")
            }
            _ => {}
        }
    }
    assert_eq!(announced, Some(STREAMS_PER_CONNECTION_MAX));
}

#[tokio::test]
async fn a_request_is_answered_by_its_deadline() {
    let orqit = Orqit::start_with(Options { request_timeout: SHORT, ..Options::default() }).await;
    let key = orqit.key(&["tickets:write", "tickets:read"]).await;
    let rest = orqit.rest(&key);

    let writing = orqit.hold_writes().await;
    rest.post("/tickets", vpn()).await.error(504, "DEADLINE_EXCEEDED");
    let headers = [("x-api-key", key.as_str())];
    let late = call(orqit.address, CREATE, &headers, frame(&vpn_message())).await.status();
    assert_refused(&late, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    // A longer one of the client's own does not lengthen it.
    let headers = [("x-api-key", key.as_str()), ("grpc-timeout", "1H")];
    let late = call(orqit.address, CREATE, &headers, frame(&vpn_message())).await.status();
    assert_refused(&late, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    // Who only reads does not wait for who writes.
    assert_eq!(rest.get("/tickets").await.data(200), json!([]));
    drop(writing);

    assert_eq!(rest.post("/tickets", vpn()).await.data(201)["id"], 1, "nothing came of those");

    // A message that does not arrive: the deadline holds for that too.
    let (mut client, connection) =
        h2::client::handshake(connect(orqit.address).await).await.expect("HTTP/2");
    tokio::spawn(async move { drop(connection.await) });
    let request = http::Request::post(format!("http://{}{CREATE}", orqit.address))
        .header("content-type", "application/grpc")
        .header("x-api-key", &key);
    let (answer, mut body) =
        client.send_request(request.body(()).expect("a request"), false).expect("sent");
    body.send_data(Bytes::from_static(&[0, 0]), false).expect("sent");
    let late = grpc::read(answer).await.status();
    assert_refused(&late, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn tls_offers_both_versions_of_http() {
    let (acceptor, client) = tls();
    let orqit = Orqit::start_with(Options { tls: Some(acceptor), ..Options::default() }).await;
    let connect = async |protocols: &[&[u8]]| {
        let mut config = client.clone();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = connect(orqit.address).await;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake")
    };
    let chosen = |stream: &tokio_rustls::client::TlsStream<TcpStream>| {
        stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec)
    };
    let ping = b"GET /api/public/v1/ping HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    for (offered, expected) in [(&[&b"http/1.1"[..]][..], Some(b"http/1.1".to_vec())), (&[], None)]
    {
        let mut stream = connect(offered).await;
        assert_eq!(chosen(&stream), expected);
        stream.write_all(ping).await.expect("sent");
        assert_eq!(read_answer(&mut stream).await.data(200)["status"], "ok");
    }

    let stream = connect(&[b"h2", b"http/1.1"]).await;
    assert_eq!(chosen(&stream), Some(b"h2".to_vec()));
    let (mut client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(async move { drop(connection.await) });
    let request =
        http::Request::get("https://localhost/api/public/v1/ping").body(()).expect("a request");
    let (answer, _) = client.send_request(request, true).expect("sent");
    assert_eq!(soon(answer).await.expect("an answer").status(), 200);

    // Plain HTTP on a port of TLS is no request at all.
    let mut plain = TcpStream::connect(orqit.address).await.expect("a connection");
    plain.write_all(ping).await.expect("sent");
    assert!(!read_to_close(&mut plain).await.starts_with(b"HTTP/"));
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_by_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (absent, garbage) = (folder.path().join("absent.pem"), folder.path().join("garbage.pem"));
    std::fs::write(&garbage, "no PEM").expect("written");
    for (cert, key) in [(&absent, &absent), (&garbage, &garbage)] {
        let sentence = connections::tls(cert, key).err().expect("unusable");
        assert!(sentence.contains(&cert.display().to_string()), "{sentence}");
    }
}
